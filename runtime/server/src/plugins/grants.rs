//! `PUT` and `DELETE /api/plugins/{plugin}/grants/{permission}`.

use axum::Json;
use axum::extract::State;
use innkeeper_model::permission::{Grant, Scope};
use serde::Deserialize;
use utoipa::ToSchema;

use super::view::PluginBody;
use crate::app::App;
use crate::body::JsonBody;
use crate::caller::Admin;
use crate::failure::{ErrorBody, Failure};
use crate::params::{InPath, permission, plugin_id};

/// How far a grant reaches.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GivenGrant {
    /// `own` (what the person owns or was given) or `all`.
    #[serde(default)]
    scope: GivenScope,
    /// Whether it holds for jobs, behind which there is no person.
    #[serde(default)]
    unattended: bool,
    /// For `events.other`: the types that it allows.
    #[serde(default)]
    event_types: Vec<String>,
}

/// Which rows.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum GivenScope {
    /// What the person owns or was given.
    #[default]
    Own,
    /// All, where an admin runs a plugin that may act as one.
    All,
}

impl From<GivenGrant> for Grant {
    fn from(given: GivenGrant) -> Self {
        let scope = match given.scope {
            GivenScope::Own => Scope::Own,
            GivenScope::All => Scope::All,
        };
        Self { scope, unattended: given.unattended, event_types: given.event_types }
    }
}

/// Grants a permission, or changes how far its grant reaches.
#[utoipa::path(
    put, path = "/api/plugins/{plugin}/grants/{permission}", tag = "plugins", request_body = GivenGrant,
    params(("plugin" = String, Path, description = "Id of a plugin"), ("permission" = String, Path, description = "Such as `kv`")),
    responses((status = OK, body = PluginBody), (status = BAD_REQUEST, body = ErrorBody), (status = NOT_FOUND, body = ErrorBody))
)]
pub(crate) async fn grant(
    State(app): State<App>,
    _admin: Admin,
    InPath((plugin, name)): InPath<(String, String)>,
    JsonBody(body): JsonBody<GivenGrant>,
) -> Result<Json<PluginBody>, Failure> {
    let id = plugin_id(&plugin)?;
    Ok(Json(app.registry().grant(&id, permission(&name)?, body.into()).await?.into()))
}

/// Takes a permission back; calls that run lose it within two seconds.
#[utoipa::path(
    delete, path = "/api/plugins/{plugin}/grants/{permission}", tag = "plugins",
    params(("plugin" = String, Path, description = "Id of a plugin"), ("permission" = String, Path, description = "Such as `kv`")),
    responses((status = OK, body = PluginBody), (status = BAD_REQUEST, body = ErrorBody), (status = NOT_FOUND, body = ErrorBody))
)]
pub(crate) async fn revoke(
    State(app): State<App>,
    _admin: Admin,
    InPath((plugin, name)): InPath<(String, String)>,
) -> Result<Json<PluginBody>, Failure> {
    let id = plugin_id(&plugin)?;
    Ok(Json(app.registry().revoke(&id, permission(&name)?).await?.into()))
}
