//! What a plugin says of itself, after it was checked. Everything here was written by a stranger.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{PluginId, PluginIdError};
use crate::json;
use crate::limits::{LimitError, LimitMap, Limits};
use crate::permission::Permission;

/// Most values of a JSON Schema. Schemas are kept taken apart for as long as the plugin is installed.
const SCHEMA_VALUES: usize = 5_000;

/// A permission that the plugin asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermissionRequest {
    /// Which.
    pub name: Permission,
    /// Why, in the plugin's words.
    pub reason: String,
    /// Whether the plugin can do without.
    pub optional: bool,
}

/// A tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolDescription {
    /// Unique in the plugin.
    pub name: String,
    /// For the model.
    pub description: String,
    /// JSON Schema of the arguments: an object schema.
    pub parameters: Value,
    /// Whether it only reads.
    pub read_only: bool,
}

/// An action on a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionDescription {
    /// Unique in the plugin.
    pub id: String,
    /// What the button says.
    pub name: String,
    /// Picture of the button.
    pub icon_url: Option<String>,
}

/// Scheduled work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobDescription {
    /// Unique in the plugin.
    pub id: String,
    /// What to call it.
    pub name: String,
    /// Five fields of cron, in UTC.
    pub schedule: String,
}

/// Hooks of a filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilterHooks {
    /// Before the turn.
    pub inlet: bool,
    /// Before each call of a model.
    pub request: bool,
    /// On each piece of the answer.
    pub stream: bool,
    /// After the turn.
    pub outlet: bool,
}

/// How a plugin filters turns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilterDescription {
    /// Which hooks to call.
    pub hooks: FilterHooks,
    /// Ascending.
    pub priority: i32,
    /// Whether a request turns it on by name.
    pub toggle: bool,
    /// Whether completions that plugins make pass it too; a guard fails closed.
    pub guard: bool,
    /// Whether it wants one instance from inlet to outlet.
    pub keep_instance: bool,
}

/// What a component exports besides `plugin`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kinds {
    /// Tools.
    pub tool: bool,
    /// Models.
    pub pipe: bool,
    /// Filters.
    pub filter: bool,
    /// Actions.
    pub action: bool,
    /// Jobs.
    pub job: bool,
}

/// What a plugin says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Its id.
    pub id: PluginId,
    /// What to call it.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// What it is for.
    pub description: String,
    /// Who wrote it.
    pub authors: Vec<String>,
    /// SPDX expression.
    pub license: Option<String>,
    /// Address.
    pub homepage: Option<String>,
    /// What it asks for.
    pub permissions: Vec<PermissionRequest>,
    /// Limits that it wants.
    pub limits: LimitMap,
    /// JSON Schema of the operator's settings.
    pub valves: Option<Value>,
    /// JSON Schema of each person's settings.
    pub user_valves: Option<Value>,
    /// Tools.
    pub tools: Vec<ToolDescription>,
    /// Actions.
    pub actions: Vec<ActionDescription>,
    /// Jobs.
    pub jobs: Vec<JobDescription>,
    /// How it filters.
    pub filter: Option<FilterDescription>,
    /// What it exports.
    pub kinds: Kinds,
}

/// The manifest as the guest gave it, before anything was checked.
#[derive(Clone, Debug, Default)]
pub struct RawManifest {
    /// Its id.
    pub id: String,
    /// What to call it.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// What it is for.
    pub description: String,
    /// Who wrote it.
    pub authors: Vec<String>,
    /// SPDX expression.
    pub license: Option<String>,
    /// Address.
    pub homepage: Option<String>,
    /// Name, reason, optional.
    pub permissions: Vec<(String, String, bool)>,
    /// Name, value.
    pub limits: Vec<(String, u64)>,
    /// JSON text.
    pub valves: Option<String>,
    /// JSON text.
    pub user_valves: Option<String>,
    /// Name, description, JSON text of the parameters, read-only.
    pub tools: Vec<(String, String, String, bool)>,
    /// Actions.
    pub actions: Vec<ActionDescription>,
    /// Jobs.
    pub jobs: Vec<JobDescription>,
    /// How it filters.
    pub filter: Option<FilterDescription>,
}

/// What is wrong with a manifest, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The id.
    #[error("manifest: {0}")]
    Id(#[from] PluginIdError),
    /// A text that is empty, too long or has control characters.
    #[error("manifest: `{field}` {problem}")]
    Text {
        /// Which field.
        field: String,
        /// What is wrong.
        problem: String,
    },
    /// A permission that does not exist.
    #[error("manifest: unknown permission `{0}`; this server knows {known}", known = known_permissions())]
    Permission(String),
    /// A limit.
    #[error("manifest: {0}")]
    Limit(#[from] LimitError),
    /// A schema that is not a JSON Schema for objects.
    #[error("manifest: `{field}` is not a JSON Schema for an object: {problem}")]
    Schema {
        /// Which field.
        field: String,
        /// What is wrong.
        problem: String,
    },
    /// Two of the same name.
    #[error("manifest: `{field}` has `{name}` twice")]
    Duplicate {
        /// Which list.
        field: &'static str,
        /// Which name.
        name: String,
    },
    /// A list that does not fit the exports.
    #[error("manifest: {0}")]
    Exports(String),
}

fn known_permissions() -> String {
    Permission::ALL.iter().map(|permission| format!("`{permission}`")).collect::<Vec<_>>().join(", ")
}

impl RawManifest {
    /// Checks everything that can be checked without a JSON Schema library; `kinds` is what the component exports.
    pub fn check(self, kinds: Kinds) -> Result<Manifest, ManifestError> {
        let id = PluginId::parse(&self.id)?;
        text("name", &self.name, 1, 128)?;
        text("version", &self.version, 1, 64)?;
        text("description", &self.description, 0, 4096)?;
        count("authors", self.authors.len(), 32)?;
        for author in &self.authors {
            text("authors", author, 1, 256)?;
        }
        for (field, value) in [("license", &self.license), ("homepage", &self.homepage)] {
            value.as_ref().map_or(Ok(()), |value| text(field, value, 1, 512))?;
        }
        Ok(Manifest {
            id,
            permissions: permissions(self.permissions)?,
            limits: limits(self.limits)?,
            valves: self.valves.map(|schema| object_schema("valves", &schema)).transpose()?,
            user_valves: self.user_valves.map(|schema| object_schema("user-valves", &schema)).transpose()?,
            tools: tools(self.tools, kinds.tool)?,
            actions: actions(self.actions, kinds.action)?,
            jobs: jobs(self.jobs, kinds.job)?,
            filter: filter(self.filter, kinds.filter)?,
            name: self.name,
            version: self.version,
            description: self.description,
            authors: self.authors,
            license: self.license,
            homepage: self.homepage,
            kinds,
        })
    }
}

fn permissions(raw: Vec<(String, String, bool)>) -> Result<Vec<PermissionRequest>, ManifestError> {
    unique("permissions", raw.iter().map(|(name, ..)| name.as_str()))?;
    raw.into_iter()
        .map(|(name, reason, optional)| {
            text(&format!("permissions.{}.reason", shown(&name)), &reason, 1, 512)?;
            let name = Permission::parse(&name).ok_or_else(|| ManifestError::Permission(shown(&name)))?;
            Ok(PermissionRequest { name, reason, optional })
        })
        .collect()
}

fn limits(raw: Vec<(String, u64)>) -> Result<LimitMap, ManifestError> {
    unique("limits", raw.iter().map(|(name, _)| name.as_str()))?;
    let limits: LimitMap = raw.into_iter().collect();
    Limits::default().with(&limits, &Limits::ceilings())?;
    Ok(limits)
}

fn tools(
    raw: Vec<(String, String, String, bool)>,
    exported: bool,
) -> Result<Vec<ToolDescription>, ManifestError> {
    count("tools", raw.len(), 128)?;
    fits_exports("tools", "tool", raw.len(), exported)?;
    unique("tools", raw.iter().map(|(name, ..)| name.as_str()))?;
    raw.into_iter()
        .map(|(name, description, parameters, read_only)| {
            item_name("tools", &name)?;
            text(&format!("tools.{name}.description"), &description, 0, 8192)?;
            let parameters = object_schema(&format!("tools.{name}.parameters"), &parameters)?;
            Ok(ToolDescription { name, description, parameters, read_only })
        })
        .collect()
}

fn actions(raw: Vec<ActionDescription>, exported: bool) -> Result<Vec<ActionDescription>, ManifestError> {
    count("actions", raw.len(), 64)?;
    fits_exports("actions", "action", raw.len(), exported)?;
    unique("actions", raw.iter().map(|action| action.id.as_str()))?;
    for action in &raw {
        item_name("actions", &action.id)?;
        text(&format!("actions.{}.name", action.id), &action.name, 1, 128)?;
    }
    Ok(raw)
}

fn jobs(raw: Vec<JobDescription>, exported: bool) -> Result<Vec<JobDescription>, ManifestError> {
    count("jobs", raw.len(), 64)?;
    fits_exports("jobs", "job", raw.len(), exported)?;
    unique("jobs", raw.iter().map(|job| job.id.as_str()))?;
    for job in &raw {
        item_name("jobs", &job.id)?;
        text(&format!("jobs.{}.schedule", job.id), &job.schedule, 9, 128)?;
        if job.schedule.split_whitespace().count() != 5 {
            return Err(ManifestError::Text {
                field: format!("jobs.{}.schedule", job.id),
                problem: format!("is `{}`; it needs five fields of cron", shown(&job.schedule)),
            });
        }
    }
    Ok(raw)
}

fn filter(
    raw: Option<FilterDescription>,
    exported: bool,
) -> Result<Option<FilterDescription>, ManifestError> {
    fits_exports("filter", "filter", usize::from(raw.is_some()), exported)?;
    Ok(raw)
}

fn fits_exports(field: &str, interface: &str, length: usize, exported: bool) -> Result<(), ManifestError> {
    match (length, exported) {
        (0, true) => {
            Err(ManifestError::Exports(format!("the component exports `{interface}` but `{field}` is empty")))
        }
        (1.., false) => Err(ManifestError::Exports(format!(
            "`{field}` is given but the component does not export `{interface}`"
        ))),
        _ => Ok(()),
    }
}

fn count(field: &str, length: usize, max: usize) -> Result<(), ManifestError> {
    if length <= max {
        return Ok(());
    }
    Err(ManifestError::Text {
        field: field.to_owned(),
        problem: format!("has {length} items; at most {max} are allowed"),
    })
}

fn unique<'a>(field: &'static str, names: impl Iterator<Item = &'a str>) -> Result<(), ManifestError> {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(ManifestError::Duplicate { field, name: shown(name) });
        }
    }
    Ok(())
}

fn item_name(field: &str, name: &str) -> Result<(), ManifestError> {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    let rest = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if first && rest && name.len() <= 64 {
        return Ok(());
    }
    Err(ManifestError::Text {
        field: field.to_owned(),
        problem: format!(
            "has the name `{}`; names are letters, digits, `_` and `-`, 1 to 64 bytes",
            shown(name)
        ),
    })
}

fn text(field: &str, value: &str, min: usize, max: usize) -> Result<(), ManifestError> {
    let problem = if value.len() < min {
        "is missing".to_owned()
    } else if value.len() > max {
        format!("has {} bytes; at most {max} are allowed", value.len())
    } else if value.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        "has control characters".to_owned()
    } else {
        return Ok(());
    };
    Err(ManifestError::Text { field: field.to_owned(), problem })
}

fn object_schema(field: &str, schema: &str) -> Result<Value, ManifestError> {
    let wrong = |problem: String| ManifestError::Schema { field: field.to_owned(), problem };
    if schema.len() > 256 * 1024 {
        return Err(wrong(format!("it has {} bytes; at most 262144 are allowed", schema.len())));
    }
    let (value, _) = json::parse(schema, SCHEMA_VALUES).map_err(|error| wrong(error.to_string()))?;
    match value.get("type").and_then(Value::as_str) {
        Some("object") => Ok(value),
        _ => Err(wrong("its `type` is not `object`".to_owned())),
    }
}

/// Hostile text made fit for a message.
fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_default).collect()
}
