//! Installed plugins, as the registry keeps them.

use serde::{Deserialize, Serialize};

use crate::id::PluginId;
use crate::limits::LimitMap;
use crate::manifest::Manifest;
use crate::permission::Grants;
use crate::time::UnixSeconds;

/// What a turn does when a filter of this plugin breaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// The turn ends. Always so for guards.
    #[default]
    Closed,
    /// The turn goes on without the filter.
    Skip,
    /// The turn goes on, and the filter rests for a while that grows with each failure.
    Quarantine,
}

/// What an operator has decided about a plugin.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PluginSettings {
    /// Whether it runs at all.
    pub enabled: bool,
    /// For filters and actions: whether it applies to every model.
    #[serde(default)]
    pub global: bool,
    /// For filters and actions that are not global: the models that they apply to.
    #[serde(default)]
    pub models: Vec<String>,
    /// What a turn does when its filter breaks.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// Overrides the manifest's priority.
    #[serde(default)]
    pub priority: Option<i32>,
    /// Limits that the operator set for this plugin.
    #[serde(default)]
    pub limits: LimitMap,
}

/// An installed plugin with its current revision.
#[derive(Clone, Debug, PartialEq)]
pub struct InstalledPlugin {
    /// Its id.
    pub id: PluginId,
    /// Number of the current revision, from 1, never used twice for one id.
    pub revision: i64,
    /// BLAKE3 of the component, 64 hexadecimal digits.
    pub digest: String,
    /// Size of the component in bytes.
    pub size: u64,
    /// What it says of itself.
    pub manifest: Manifest,
    /// What the operator decided.
    pub settings: PluginSettings,
    /// What the operator granted.
    pub grants: Grants,
    /// When it was first installed.
    pub installed_at: UnixSeconds,
    /// When it was last changed.
    pub updated_at: UnixSeconds,
}
