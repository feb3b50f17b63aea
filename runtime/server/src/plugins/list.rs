//! `GET /api/plugins`.

use axum::Json;
use axum::extract::State;

use super::view::PluginBody;
use crate::app::App;
use crate::caller::Admin;
use crate::failure::ErrorBody;
use crate::params::List;

/// Lists installed plugins, those that cannot run included.
#[utoipa::path(
    get, path = "/api/plugins", tag = "plugins",
    responses((status = OK, body = List<PluginBody>), (status = FORBIDDEN, body = ErrorBody))
)]
pub(crate) async fn list(State(app): State<App>, _admin: Admin) -> Json<List<PluginBody>> {
    Json(List::whole(app.registry().list().into_iter().map(PluginBody::from).collect()))
}
