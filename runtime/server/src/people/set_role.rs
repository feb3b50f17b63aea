//! `PUT /api/users/{id}/role`.

use axum::Json;
use axum::extract::State;
use innkeeper_model::UserId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::show::Error;
use super::{GivenRole, Person};
use crate::app::App;
use crate::body::JsonBody;
use crate::caller::Admin;
use crate::failure::ErrorBody;
use crate::params::InPath;

/// What a person may do.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetRole {
    /// The role.
    role: GivenRole,
}

/// Changes what a person may do; it reaches what runs for them within two seconds.
#[utoipa::path(
    put, path = "/api/users/{id}/role", tag = "users", request_body = SetRole,
    params(("id" = String, Path, description = "Id of a person")),
    responses((status = OK, body = Person), (status = NOT_FOUND, body = ErrorBody), (status = FORBIDDEN, body = ErrorBody))
)]
pub(crate) async fn set_role(
    State(app): State<App>,
    _admin: Admin,
    InPath(id): InPath<String>,
    JsonBody(body): JsonBody<SetRole>,
) -> Result<Json<Person>, Error> {
    let changed = app.store().users().set_role(&UserId::from(id), body.role.into()).await;
    app.access().forget();
    match changed {
        Ok(user) => Ok(Json(user.into())),
        Err(innkeeper_store::StoreError::NotFound(_)) => Err(Error::Unknown),
        Err(error) => Err(error.into()),
    }
}
