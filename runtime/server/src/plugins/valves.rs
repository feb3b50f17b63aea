//! `GET` and `PUT /api/plugins/{plugin}/valves`: the operator's settings of a plugin, by its own JSON Schema.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::found;
use crate::app::App;
use crate::body::JsonBody;
use crate::caller::Admin;
use crate::failure::{ErrorBody, Failure};
use crate::params::{InPath, plugin_id};

/// Settings with what they have to look like.
#[derive(Serialize, ToSchema)]
pub(crate) struct Valves {
    /// JSON Schema; null for a plugin that has no such settings.
    #[schema(value_type = Option<Object>)]
    pub(super) schema: Option<Value>,
    /// The values, defaults filled in.
    #[schema(value_type = Object)]
    pub(super) values: Value,
}

/// The plugin's valves.
#[utoipa::path(
    get, path = "/api/plugins/{plugin}/valves", tag = "plugins",
    params(("plugin" = String, Path, description = "Id of a plugin")),
    responses((status = OK, body = Valves), (status = NOT_FOUND, body = ErrorBody), (status = FORBIDDEN, body = ErrorBody))
)]
pub(crate) async fn show(
    State(app): State<App>,
    _admin: Admin,
    InPath(plugin): InPath<String>,
) -> Result<Json<Valves>, Failure> {
    let id = plugin_id(&plugin)?;
    let values = app.registry().valves(&id)?;
    Ok(Json(Valves { schema: found(&app, &id)?.manifest.valves.clone(), values }))
}

/// Sets the plugin's valves.
#[utoipa::path(
    put, path = "/api/plugins/{plugin}/valves", tag = "plugins",
    params(("plugin" = String, Path, description = "Id of a plugin")),
    request_body(content = Object, description = "All values", content_type = "application/json"),
    responses(
        (status = OK, body = Valves), (status = NOT_FOUND, body = ErrorBody),
        (status = UNPROCESSABLE_ENTITY, description = "Values that do not fit the schema", body = ErrorBody)
    )
)]
pub(crate) async fn set(
    State(app): State<App>,
    _admin: Admin,
    InPath(plugin): InPath<String>,
    JsonBody(values): JsonBody<Value>,
) -> Result<Json<Valves>, Failure> {
    let id = plugin_id(&plugin)?;
    let values = app.registry().set_valves(&id, values).await?;
    Ok(Json(Valves { schema: found(&app, &id)?.manifest.valves.clone(), values }))
}
