//! `GET /api/tools`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::App;
use crate::caller::Caller;
use crate::params::List;

/// A tool.
#[derive(Serialize, ToSchema)]
pub(crate) struct Tool {
    /// Id of its plugin.
    plugin: String,
    /// Name of its plugin.
    plugin_name: String,
    /// Its name.
    name: String,
    /// What it does, for a model.
    description: String,
    /// JSON Schema of its arguments.
    #[schema(value_type = Object)]
    parameters: Value,
    /// Whether it only reads.
    read_only: bool,
}

/// Lists the tools that can be called.
#[utoipa::path(get, path = "/api/tools", tag = "tools", responses((status = OK, body = List<Tool>)))]
pub(crate) async fn list(State(app): State<App>, _caller: Caller) -> Json<List<Tool>> {
    let snapshot = app.registry().snapshot();
    let mut tools = Vec::new();
    for plugin in snapshot.tools() {
        tools.extend(plugin.manifest.tools.iter().map(|tool| Tool {
            plugin: plugin.id.to_string(),
            plugin_name: plugin.manifest.name.clone(),
            name: tool.name.clone(),
            description: tool.description.clone(),
            parameters: tool.parameters.clone(),
            read_only: tool.read_only,
        }));
    }
    Json(List::whole(tools))
}
