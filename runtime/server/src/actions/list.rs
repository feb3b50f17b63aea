//! `GET /api/actions`.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::caller::Caller;
use crate::failure::ErrorBody;
use crate::params::{InQuery, List};

/// Which actions.
#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// Those that are offered on messages of this model; all where it is left out.
    model: Option<String>,
}

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

/// Lists the actions that can be run: all, or those that the operator offers on messages of a model.
#[utoipa::path(
    get, path = "/api/actions", tag = "actions", params(Which),
    responses((status = OK, body = List<Action>), (status = BAD_REQUEST, body = ErrorBody))
)]
pub(crate) async fn list(
    State(app): State<App>,
    _caller: Caller,
    InQuery(which): InQuery<Which>,
) -> Json<List<Action>> {
    let snapshot = app.registry().snapshot();
    let plugins = match &which.model {
        Some(model) => snapshot.actions_for(model),
        None => snapshot.actions().to_vec(),
    };
    let mut actions = Vec::new();
    for plugin in plugins {
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
