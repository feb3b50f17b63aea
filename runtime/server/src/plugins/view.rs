//! An installed plugin as JSON, over HTTP and on the command line.

use std::collections::BTreeMap;

use innkeeper_registry::PluginView;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

/// An installed plugin. What it says of itself is a stranger's text.
#[derive(Serialize, ToSchema)]
#[schema(as = Plugin)]
pub struct PluginBody {
    /// Its id.
    id: String,
    /// What to call it.
    name: String,
    /// Its author's version.
    version: String,
    /// What it is for.
    description: String,
    /// Number of its revision, from 1.
    revision: i64,
    /// BLAKE3 of the component.
    digest: String,
    /// Bytes of the component.
    size: u64,
    /// `ready`, `disabled`, `loading` or `failed`.
    #[schema(value_type = String)]
    state: Value,
    /// What is in the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// What it exports: `tool`, `pipe`, `filter`, `action`, `job`.
    kinds: Vec<&'static str>,
    /// All that it says of itself.
    #[schema(value_type = Object)]
    manifest: Value,
    /// What the operator decided.
    #[schema(value_type = Object)]
    settings: Value,
    /// What the operator granted, by permission.
    #[schema(value_type = Object)]
    grants: Value,
    /// The limits of a call, by name.
    limits: BTreeMap<String, u64>,
    /// Limits that were asked for and cut to the server's ceilings.
    #[schema(value_type = Vec<Object>)]
    cut_limits: Value,
    /// Permissions that it needs and does not have.
    missing_permissions: Vec<String>,
    /// Seconds since 1970 until which its filter rests after failures.
    #[serde(skip_serializing_if = "Option::is_none")]
    quarantined_until: Option<i64>,
    /// Seconds since 1970.
    installed_at: i64,
    /// Seconds since 1970.
    updated_at: i64,
}

impl From<PluginView> for PluginBody {
    fn from(view: PluginView) -> Self {
        Self {
            id: view.id.to_string(),
            name: view.name,
            version: view.version,
            description: view.description,
            revision: view.revision,
            digest: view.digest,
            size: view.size,
            state: json!(view.state),
            error: view.error,
            kinds: view.kinds,
            manifest: json!(view.manifest),
            settings: json!(view.settings),
            grants: json!(view.grants),
            limits: view.limits.to_map(),
            cut_limits: json!(view.cut_limits),
            missing_permissions: view.missing_permissions.iter().map(ToString::to_string).collect(),
            quarantined_until: view.quarantined_until,
            installed_at: view.installed_at,
            updated_at: view.updated_at,
        }
    }
}
