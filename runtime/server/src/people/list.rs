//! `GET /api/users`.

use axum::Json;
use axum::extract::State;
use innkeeper_model::authority::Authority;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Person;
use crate::app::App;
use crate::caller::Admin;
use crate::failure::{ErrorBody, Failure};
use crate::params::{InQuery, List, page_request};

/// Which people.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// Part of their name.
    name: Option<String>,
    /// How many at most; 50 where it is left out, at most 200.
    limit: Option<u32>,
    /// `next` of the part before.
    cursor: Option<String>,
}

/// Lists people.
#[utoipa::path(
    get, path = "/api/users", tag = "users", params(Which),
    responses((status = OK, body = List<Person>), (status = FORBIDDEN, body = ErrorBody))
)]
pub(crate) async fn list(
    State(app): State<App>,
    Admin(admin): Admin,
    InQuery(which): InQuery<Which>,
) -> Result<Json<List<Person>>, Failure> {
    let page = page_request(which.limit, which.cursor);
    let people =
        app.store().users().list(&Authority::All(admin.user.id), which.name.as_deref(), &page).await?;
    Ok(Json(List::part(people, Person::from)))
}
