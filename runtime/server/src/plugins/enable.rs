//! `POST /api/plugins/{plugin}/enable` and `/disable`.

use axum::Json;
use axum::extract::State;

use super::view::PluginBody;
use crate::app::App;
use crate::caller::Admin;
use crate::failure::{ErrorBody, Failure};
use crate::params::{InPath, plugin_id};

/// Lets a plugin run.
#[utoipa::path(
    post, path = "/api/plugins/{plugin}/enable", tag = "plugins",
    params(("plugin" = String, Path, description = "Id of a plugin")),
    responses((status = OK, body = PluginBody), (status = NOT_FOUND, body = ErrorBody), (status = FORBIDDEN, body = ErrorBody))
)]
pub(crate) async fn enable(
    State(app): State<App>,
    _admin: Admin,
    InPath(plugin): InPath<String>,
) -> Result<Json<PluginBody>, Failure> {
    let id = plugin_id(&plugin)?;
    Ok(Json(app.registry().enable(&id).await?.into()))
}

/// Stops a plugin; calls that run end within two seconds.
#[utoipa::path(
    post, path = "/api/plugins/{plugin}/disable", tag = "plugins",
    params(("plugin" = String, Path, description = "Id of a plugin")),
    responses((status = OK, body = PluginBody), (status = NOT_FOUND, body = ErrorBody), (status = FORBIDDEN, body = ErrorBody))
)]
pub(crate) async fn disable(
    State(app): State<App>,
    _admin: Admin,
    InPath(plugin): InPath<String>,
) -> Result<Json<PluginBody>, Failure> {
    let id = plugin_id(&plugin)?;
    Ok(Json(app.registry().disable(&id).await?.into()))
}
