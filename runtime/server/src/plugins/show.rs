//! `GET /api/plugins/{plugin}`.

use axum::Json;
use axum::extract::State;

use super::view::PluginBody;
use crate::app::App;
use crate::caller::Admin;
use crate::failure::{ErrorBody, Failure};
use crate::params::{InPath, plugin_id};

/// One installed plugin.
#[utoipa::path(
    get, path = "/api/plugins/{plugin}", tag = "plugins",
    params(("plugin" = String, Path, description = "Id of a plugin")),
    responses((status = OK, body = PluginBody), (status = NOT_FOUND, body = ErrorBody), (status = FORBIDDEN, body = ErrorBody))
)]
pub(crate) async fn show(
    State(app): State<App>,
    _admin: Admin,
    InPath(plugin): InPath<String>,
) -> Result<Json<PluginBody>, Failure> {
    let found = super::found(&app, &plugin_id(&plugin)?)?;
    Ok(Json(found.into()))
}
