//! `POST /api/users`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use innkeeper_store::{NewUser, StoreError};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{GivenRole, Person};
use crate::app::App;
use crate::body::JsonBody;
use crate::caller::Admin;
use crate::failure::{ErrorBody, Failure, answers};

/// A person to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPerson {
    /// What to call them.
    name: String,
    /// Address.
    email: String,
    /// What they may do; `user` where it is left out.
    #[serde(default)]
    role: GivenRole,
}

/// Why nobody was added.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The address is somebody's.
    #[error("somebody has the address `{0}` already; choose another")]
    Taken(String),
    /// The database.
    #[error(transparent)]
    Store(StoreError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Taken(_) => Self::new(StatusCode::CONFLICT, "email-taken", error.to_string()),
            Error::Store(error) => error.into(),
        }
    }
}

answers!(Error);

/// Adds a person.
#[utoipa::path(
    post, path = "/api/users", tag = "users", request_body = NewPerson,
    responses((status = CREATED, body = Person), (status = CONFLICT, body = ErrorBody), (status = FORBIDDEN, body = ErrorBody))
)]
pub(crate) async fn add(
    State(app): State<App>,
    _admin: Admin,
    JsonBody(new): JsonBody<NewPerson>,
) -> Result<(StatusCode, Json<Person>), Error> {
    let user = NewUser { name: new.name, email: new.email, role: new.role.into() };
    let email = user.email.clone();
    let added = app.store().users().insert(user).await.map_err(|error| match error {
        StoreError::Conflict(_) => Error::Taken(innkeeper_host::log::escape(&email)),
        other => Error::Store(other),
    })?;
    Ok((StatusCode::CREATED, Json(added.into())))
}
