//! `DELETE /api/users/{id}`.

use axum::extract::State;
use axum::http::StatusCode;
use innkeeper_model::UserId;
use innkeeper_store::StoreError;

use crate::app::App;
use crate::caller::Admin;
use crate::failure::{ErrorBody, Failure, answers};
use crate::params::InPath;

/// Why nobody was deleted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Nobody of that id.
    #[error("there is no such person; `GET /api/users` lists people")]
    Unknown,
    /// The caller's own.
    #[error("you cannot delete yourself; another admin can")]
    Oneself,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Unknown => Self::not_found("unknown-user", error.to_string()),
            Error::Oneself => Self::new(StatusCode::CONFLICT, "oneself", error.to_string()),
            Error::Store(error) => error.into(),
        }
    }
}

answers!(Error);

/// Deletes a person with everything of theirs; receipts keep a pseudonym.
#[utoipa::path(
    delete, path = "/api/users/{id}", tag = "users", params(("id" = String, Path, description = "Id of a person")),
    responses((status = NO_CONTENT), (status = NOT_FOUND, body = ErrorBody), (status = CONFLICT, body = ErrorBody))
)]
pub(crate) async fn remove(
    State(app): State<App>,
    Admin(admin): Admin,
    InPath(id): InPath<String>,
) -> Result<StatusCode, Error> {
    let id = UserId::from(id);
    if id == admin.user.id {
        return Err(Error::Oneself);
    }
    let removed = app.store().users().delete(&id).await;
    app.access().forget();
    if removed? { Ok(StatusCode::NO_CONTENT) } else { Err(Error::Unknown) }
}
