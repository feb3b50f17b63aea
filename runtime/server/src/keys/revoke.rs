//! `DELETE /api/keys/{id}`.

use axum::extract::State;
use axum::http::StatusCode;
use innkeeper_store::{ApiKeyId, StoreError};

use crate::app::App;
use crate::caller::Caller;
use crate::failure::{ErrorBody, Failure, answers};
use crate::params::InPath;

/// Why no key was revoked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// None of that id that the caller may revoke.
    #[error("there is no such key among yours; `GET /api/keys` lists them")]
    Unknown,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Unknown => Self::not_found("unknown-key", error.to_string()),
            Error::Store(error) => error.into(),
        }
    }
}

answers!(Error);

/// Revokes a key: one's own, or any for an admin. What runs by it ends within two seconds.
#[utoipa::path(
    delete, path = "/api/keys/{id}", tag = "keys", params(("id" = String, Path, description = "Id of a key")),
    responses((status = NO_CONTENT), (status = NOT_FOUND, body = ErrorBody))
)]
pub(crate) async fn revoke(
    State(app): State<App>,
    caller: Caller,
    InPath(id): InPath<String>,
) -> Result<StatusCode, Error> {
    let keys = app.store().api_keys();
    let id = ApiKeyId::new(id);
    let may = caller.is_admin() || keys.list(Some(&caller.user.id)).await?.iter().any(|key| key.id == id);
    if !may {
        return Err(Error::Unknown);
    }
    let revoked = keys.revoke(&id).await;
    app.access().forget();
    if revoked? { Ok(StatusCode::NO_CONTENT) } else { Err(Error::Unknown) }
}
