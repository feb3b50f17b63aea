//! `GET /api/keys`.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Key;
use crate::app::App;
use crate::caller::Caller;
use crate::failure::{ErrorBody, Failure};
use crate::params::{InQuery, List};

/// Whose keys.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Whose {
    /// Whose; one's own where it is left out. Others' only for admins.
    user: Option<String>,
}

/// Lists keys without their secrets.
#[utoipa::path(
    get, path = "/api/keys", tag = "keys", params(Whose),
    responses((status = OK, body = List<Key>), (status = FORBIDDEN, body = ErrorBody))
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    InQuery(whose): InQuery<Whose>,
) -> Result<Json<List<Key>>, Failure> {
    let others = || Failure::forbidden("only an admin may see other people's keys; leave `user` out");
    let user = caller.whose(whose.user).ok_or_else(others)?;
    let keys = app.store().api_keys().list(Some(&user)).await?;
    Ok(Json(List::whole(keys.into_iter().map(Key::from).collect())))
}
