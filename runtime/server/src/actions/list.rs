//! `GET /api/actions`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::caller::Caller;
use crate::params::List;

/// An action.
#[derive(Serialize, ToSchema)]
pub(crate) struct Action {
    /// Id of its plugin.
    plugin: String,
    /// Name of its plugin.
    plugin_name: String,
    /// Its id.
    id: String,
    /// What its button says.
    name: String,
    /// Picture of its button.
    icon_url: Option<String>,
}

/// Lists the actions that can be run.
#[utoipa::path(get, path = "/api/actions", tag = "actions", responses((status = OK, body = List<Action>)))]
pub(crate) async fn list(State(app): State<App>, _caller: Caller) -> Json<List<Action>> {
    let snapshot = app.registry().snapshot();
    let mut actions = Vec::new();
    for plugin in snapshot.actions() {
        actions.extend(plugin.manifest.actions.iter().map(|action| Action {
            plugin: plugin.id.to_string(),
            plugin_name: plugin.manifest.name.clone(),
            id: action.id.clone(),
            name: action.name.clone(),
            icon_url: action.icon_url.clone(),
        }));
    }
    Json(List::whole(actions))
}
