//! `POST /api/keys`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use innkeeper_store::{KEYS_MAX, StoreError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Key;
use crate::app::App;
use crate::body::JsonBody;
use crate::caller::Caller;
use crate::failure::{ErrorBody, Failure, answers};

/// A key to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKey {
    /// What to call it.
    name: String,
    /// Whose; the caller's where it is left out. Others' only for admins.
    #[serde(default)]
    user: Option<String>,
}

/// A new key.
#[derive(Serialize, ToSchema)]
pub(crate) struct Created {
    #[serde(flatten)]
    key: Key,
    /// Shown this once.
    #[schema(example = "ik_…")]
    secret: String,
}

/// Why there is no new key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A user for somebody else.
    #[error("only an admin may make keys for others; leave `user` out")]
    Others,
    /// Nobody, or somebody who is not admitted.
    #[error("there is nobody of that id who may have a key; `GET /api/users` lists people and their roles")]
    NoOwner,
    /// As many as one person may have.
    #[error("this person has {KEYS_MAX} keys already; revoke one that is not in use")]
    TooMany,
    /// The database.
    #[error(transparent)]
    Store(StoreError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Others => Self::forbidden(error.to_string()),
            Error::NoOwner => Self::not_found("unknown-user", error.to_string()),
            Error::TooMany => Self::new(StatusCode::CONFLICT, "too-many-keys", error.to_string()),
            Error::Store(error) => error.into(),
        }
    }
}

answers!(Error);

/// Makes a key. Its secret is in the answer and nowhere else.
#[utoipa::path(
    post, path = "/api/keys", tag = "keys", request_body = NewKey,
    responses((status = CREATED, body = Created), (status = FORBIDDEN, body = ErrorBody), (status = NOT_FOUND, body = ErrorBody), (status = CONFLICT, body = ErrorBody))
)]
pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    JsonBody(new): JsonBody<NewKey>,
) -> Result<(StatusCode, Json<Created>), Error> {
    let user = caller.whose(new.user).ok_or(Error::Others)?;
    let made = app.store().api_keys().create(&user, &new.name).await;
    let (key, secret) = made.map_err(|error| match error {
        StoreError::NotFound(_) => Error::NoOwner,
        StoreError::Quota(_) => Error::TooMany,
        other => Error::Store(other),
    })?;
    Ok((StatusCode::CREATED, Json(Created { key: key.into(), secret })))
}
