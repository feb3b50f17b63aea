//! `GET` and `PUT /api/plugins/{plugin}/valves/user`: the caller's own settings of a plugin.

use axum::Json;
use axum::extract::State;
use serde_json::Value;

use super::found;
use super::valves::Valves;
use crate::app::App;
use crate::body::JsonBody;
use crate::caller::Caller;
use crate::failure::{ErrorBody, Failure};
use crate::params::{InPath, plugin_id};

/// The caller's own valves.
#[utoipa::path(
    get, path = "/api/plugins/{plugin}/valves/user", tag = "plugins",
    params(("plugin" = String, Path, description = "Id of a plugin")),
    responses((status = OK, body = Valves), (status = NOT_FOUND, body = ErrorBody))
)]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    InPath(plugin): InPath<String>,
) -> Result<Json<Valves>, Failure> {
    let id = plugin_id(&plugin)?;
    let values = app.registry().user_valves(&id, &caller.user.id).await?;
    Ok(Json(Valves { schema: found(&app, &id)?.manifest.user_valves.clone(), values }))
}

/// Sets the caller's own valves.
#[utoipa::path(
    put, path = "/api/plugins/{plugin}/valves/user", tag = "plugins",
    params(("plugin" = String, Path, description = "Id of a plugin")),
    request_body(content = Object, description = "All values", content_type = "application/json"),
    responses(
        (status = OK, body = Valves), (status = NOT_FOUND, body = ErrorBody),
        (status = UNPROCESSABLE_ENTITY, description = "Values that do not fit the schema", body = ErrorBody)
    )
)]
pub(crate) async fn set(
    State(app): State<App>,
    caller: Caller,
    InPath(plugin): InPath<String>,
    JsonBody(values): JsonBody<Value>,
) -> Result<Json<Valves>, Failure> {
    let id = plugin_id(&plugin)?;
    let values = app.registry().set_user_valves(&id, &caller.user.id, values).await?;
    Ok(Json(Valves { schema: found(&app, &id)?.manifest.user_valves.clone(), values }))
}
