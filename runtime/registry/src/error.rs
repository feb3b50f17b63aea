//! What can go wrong with an installed plugin, or with one that is being installed.

use innkeeper_model::PluginId;
use innkeeper_model::limits::LimitError;
use innkeeper_model::permission::Permission;
use innkeeper_sandbox::LoadError;
use innkeeper_store::StoreError;
use serde::Serialize;

/// Why the registry could not do something.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// More bytes than may be installed.
    #[error("component has {size} bytes; at most {max} are allowed")]
    TooLarge {
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        max: u64,
    },
    /// The bytes are not a plugin that this server can run.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A JSON Schema of the manifest cannot be used.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// A plugin has the id already.
    #[error(
        "plugin `{plugin}` is installed already, as revision {revision}; to make this component its next revision, install it with \
         `--replace` (`?replace=true` over HTTP): settings, values and the grants that it still asks for are kept where this program \
         can read them"
    )]
    Duplicate {
        /// Which plugin.
        plugin: PluginId,
        /// Its revision.
        revision: i64,
    },
    /// There is no such plugin.
    #[error("plugin `{0}` is not installed; `innkeeper plugin list` shows what is")]
    NotFound(PluginId),
    /// The operator has turned it off.
    #[error("plugin `{0}` is disabled; `innkeeper plugin enable {0}` turns it on")]
    Disabled(PluginId),
    /// It is enabled, but cannot run at present.
    #[error("plugin `{plugin}` cannot run: {problem}")]
    NotReady {
        /// Which plugin.
        plugin: PluginId,
        /// Why, for an operator.
        problem: String,
    },
    /// A permission that the manifest does not ask for.
    #[error(
        "plugin `{plugin}` does not ask for `{permission}`; only what a manifest asks for can be granted"
    )]
    NotRequested {
        /// Which plugin.
        plugin: PluginId,
        /// Which permission.
        permission: Permission,
    },
    /// A grant that makes no sense.
    #[error("grant of `{permission}`: {problem}")]
    Grant {
        /// Which permission.
        permission: Permission,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// Settings of the plugin that make no sense.
    #[error("settings: {0}")]
    Settings(String),
    /// A limit in the settings.
    #[error("settings: {0}")]
    Limit(#[from] LimitError),
    /// Values that do not fit the plugin's schema.
    #[error("values for plugin `{plugin}` do not fit: {}", first(.problems))]
    Valves {
        /// Which plugin.
        plugin: PluginId,
        /// What is wrong, and where; at least one.
        problems: Vec<ValueProblem>,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A task of the registry ended without an answer; the log says why.
    #[error("internal error")]
    Internal,
}

/// What is wrong with a JSON Schema of a manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("manifest: `{field}` is not a JSON Schema that can be used: at `{at}`: {problem}")]
pub struct SchemaError {
    /// Which schema, as in `tools.search.parameters`.
    pub field: String,
    /// JSON pointer into the schema; empty for the whole.
    pub at: String,
    /// What is wrong, and what to do.
    pub problem: String,
}

/// What is wrong with a value that a person gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ValueProblem {
    /// JSON pointer into the values; empty for the whole.
    pub path: String,
    /// What is wrong. It does not repeat the value, which may be a secret.
    pub message: String,
}

impl ValueProblem {
    pub(crate) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

/// The first of the problems and how many there are, for one line.
pub(crate) fn first(problems: &[ValueProblem]) -> String {
    let Some(problem) = problems.first() else { return "nothing is known of why".to_owned() };
    let place = if problem.path.is_empty() { String::new() } else { format!("`{}`: ", problem.path) };
    match problems.len() {
        1 => format!("{place}{}", problem.message),
        more => format!("{place}{} (and {} more)", problem.message, more.saturating_sub(1)),
    }
}

/// A stranger's text made short and fit for a message.
pub(crate) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(200).flat_map(escaped).collect();
    if text.chars().nth(200).is_some() {
        shown.push('…');
    }
    shown
}

/// Letters of any script stay; what could move a terminal's cursor or turn its text around does not.
fn escaped(c: char) -> Vec<char> {
    let turns =
        matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    if c.is_control() || turns { c.escape_default().collect() } else { vec![c] }
}
