//! `GET /api/users/me` and `GET /api/users/{id}`.

use axum::Json;
use axum::extract::State;
use innkeeper_model::UserId;
use innkeeper_model::authority::Authority;
use innkeeper_store::StoreError;

use super::Person;
use crate::app::App;
use crate::caller::{Admin, Caller};
use crate::failure::{ErrorBody, Failure, answers};
use crate::params::InPath;

/// Why there is nobody.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Nobody of that id.
    #[error("there is no such person; `GET /api/users` lists people")]
    Unknown,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Unknown => Self::not_found("unknown-user", error.to_string()),
            Error::Store(error) => error.into(),
        }
    }
}

answers!(Error);

/// Whose key this is.
#[utoipa::path(get, path = "/api/users/me", tag = "users", responses((status = OK, body = Person)))]
pub(crate) async fn me(caller: Caller) -> Json<Person> {
    Json(caller.user.into())
}

/// One person.
#[utoipa::path(
    get, path = "/api/users/{id}", tag = "users", params(("id" = String, Path, description = "Id of a person")),
    responses((status = OK, body = Person), (status = NOT_FOUND, body = ErrorBody))
)]
pub(crate) async fn show(
    State(app): State<App>,
    Admin(admin): Admin,
    InPath(id): InPath<String>,
) -> Result<Json<Person>, Error> {
    let found = app.store().users().get(&Authority::All(admin.user.id), &UserId::from(id)).await?;
    found.map(|user| Json(user.into())).ok_or(Error::Unknown)
}
