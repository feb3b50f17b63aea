//! `PUT /api/plugins/{plugin}/settings`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use innkeeper_model::plugin::{OnFailure, PluginSettings};
use serde::Deserialize;
use utoipa::ToSchema;

use super::view::PluginBody;
use crate::app::App;
use crate::body::JsonBody;
use crate::caller::Admin;
use crate::failure::{ErrorBody, Failure};
use crate::params::{InPath, plugin_id};

/// What an operator decides about a plugin. Fields that are left out get their defaults.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GivenSettings {
    /// Whether it runs at all.
    enabled: bool,
    /// For filters and actions: whether it applies to every model.
    #[serde(default)]
    global: bool,
    /// For filters and actions that are not global: the models that they apply to.
    #[serde(default)]
    models: Vec<String>,
    /// `closed`, `skip` or `quarantine`: what a turn does when its filter breaks.
    #[serde(default)]
    #[schema(value_type = String)]
    on_failure: OnFailure,
    /// Overrides the manifest's priority.
    #[serde(default)]
    priority: Option<i32>,
    /// Limits for this plugin, by name.
    #[serde(default)]
    limits: BTreeMap<String, u64>,
}

impl From<GivenSettings> for PluginSettings {
    fn from(given: GivenSettings) -> Self {
        let GivenSettings { enabled, global, models, on_failure, priority, limits } = given;
        Self { enabled, global, models, on_failure, priority, limits }
    }
}

/// Keeps what an operator decided.
#[utoipa::path(
    put, path = "/api/plugins/{plugin}/settings", tag = "plugins", request_body = GivenSettings,
    params(("plugin" = String, Path, description = "Id of a plugin")),
    responses((status = OK, body = PluginBody), (status = BAD_REQUEST, body = ErrorBody), (status = NOT_FOUND, body = ErrorBody))
)]
pub(crate) async fn set(
    State(app): State<App>,
    _admin: Admin,
    InPath(plugin): InPath<String>,
    JsonBody(body): JsonBody<GivenSettings>,
) -> Result<Json<PluginBody>, Failure> {
    let id = plugin_id(&plugin)?;
    Ok(Json(app.registry().set_settings(&id, body.into()).await?.into()))
}
