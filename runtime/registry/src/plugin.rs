//! A plugin that is ready to run: its code, what it may do now, its limits and its settings.

use std::sync::Arc;

use innkeeper_host::LiveGrants;
use innkeeper_model::limits::Limits;
use innkeeper_model::manifest::Manifest;
use innkeeper_model::plugin::{OnFailure, PluginSettings};
use innkeeper_model::time::UnixNanos;
use innkeeper_model::{PluginId, UserId};
use innkeeper_sandbox::LoadedPlugin;
use serde_json::Value;

use crate::error::{RegistryError, ValueProblem, first};
use crate::quarantine::Quarantine;
use crate::schema::Schemas;
use crate::user_valves::UserValves;

/// A plugin that is ready to run, as it was when the snapshot was made; only `grants` is always as of now.
#[derive(Clone)]
pub struct Plugin {
    /// Its id.
    pub id: PluginId,
    /// Number of its revision.
    pub revision: i64,
    /// What it says of itself.
    pub manifest: Arc<Manifest>,
    /// What the operator decided.
    pub settings: PluginSettings,
    /// Its code.
    pub loaded: Arc<LoadedPlugin>,
    /// What it may do; one object for all snapshots in which this revision stays enabled, so that running calls see changes.
    pub grants: Arc<LiveGrants>,
    /// What holds for a call: settings over wishes over defaults, within the ceilings.
    pub limits: Arc<Limits>,
    /// The operator's values as a JSON object, defaults filled in.
    pub valves: Arc<str>,
    pub(crate) schemas: Arc<Schemas>,
    pub(crate) quarantine: Arc<Quarantine>,
    pub(crate) people: Arc<UserValves>,
}

/// Why a tool cannot be called with these arguments.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentError {
    /// The plugin has no such tool.
    #[error("plugin `{plugin}` has no tool of that name; it has {known}")]
    UnknownTool {
        /// Which plugin.
        plugin: PluginId,
        /// The tools that it has.
        known: String,
    },
    /// The arguments do not fit the tool's schema.
    #[error("arguments do not fit: {}", first(.0))]
    Invalid(Vec<ValueProblem>),
    /// The schema itself is of no use; it was, when the plugin was installed.
    #[error("{0}")]
    Schema(String),
}

impl Plugin {
    /// Checks the arguments of a call against the tool's schema. Takes some tens of milliseconds at most, for hostile ones.
    pub fn check_arguments(&self, tool: &str, arguments: &Value) -> Result<(), ArgumentError> {
        let schema = self.schemas.tool(tool).map_err(|error| ArgumentError::Schema(error.to_string()))?;
        let Some(schema) = schema else {
            let known = self.manifest.tools.iter().map(|tool| format!("`{}`", tool.name)).collect::<Vec<_>>();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(ArgumentError::UnknownTool { plugin: self.id.clone(), known });
        };
        let problems = schema.problems(arguments);
        if problems.is_empty() { Ok(()) } else { Err(ArgumentError::Invalid(problems)) }
    }

    /// A person's values as a JSON object, defaults filled in. Kept until something changes that all servers are told of.
    ///
    /// # Errors
    /// `Valves` where what the person set does not fit this revision's schema; `Store`.
    pub async fn user_valves(&self, user: &UserId) -> Result<Arc<str>, RegistryError> {
        self.people.get(self, user).await
    }

    /// Where it stands among filters: the operator's priority, else the manifest's.
    pub fn priority(&self) -> i32 {
        let own = self.manifest.filter.as_ref().map_or(0, |filter| filter.priority);
        self.settings.priority.unwrap_or(own)
    }

    /// What a turn does when its filter breaks; a guard always fails closed.
    pub fn on_failure(&self) -> OnFailure {
        on_failure(&self.manifest, &self.settings)
    }

    /// Whether its filter rests after failures, and until when.
    pub fn quarantined_until(&self) -> Option<UnixNanos> {
        self.quarantine.until(self.people.clock())
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin")
            .field("id", &self.id)
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}

pub(crate) fn on_failure(manifest: &Manifest, settings: &PluginSettings) -> OnFailure {
    let guard = manifest.filter.as_ref().is_some_and(|filter| filter.guard);
    if guard { OnFailure::Closed } else { settings.on_failure }
}
