//! A plugin as operators see it.

use std::sync::Arc;

use innkeeper_model::PluginId;
use innkeeper_model::limits::Limits;
use innkeeper_model::manifest::Manifest;
use innkeeper_model::permission::{Grants, Permission};
use innkeeper_model::plugin::PluginSettings;
use innkeeper_model::time::UnixSeconds;
use serde::Serialize;

use crate::limits::CutLimit;
use crate::snapshot::{Entry, State};

/// Whether a plugin can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PluginState {
    /// It can.
    Ready,
    /// The operator has turned it off.
    Disabled,
    /// It is being compiled or loaded.
    Loading,
    /// It cannot; `error` says why.
    Failed,
}

/// A plugin as operators see it. Texts of the manifest are a stranger's.
#[derive(Clone, Debug, Serialize)]
pub struct PluginView {
    /// Its id.
    pub id: PluginId,
    /// What to call it.
    pub name: String,
    /// Its author's version.
    pub version: String,
    /// What it is for.
    pub description: String,
    /// Number of its revision.
    pub revision: i64,
    /// BLAKE3 of the component, 64 hexadecimal digits.
    pub digest: String,
    /// Bytes of the component.
    pub size: u64,
    /// Whether it can run.
    pub state: PluginState,
    /// What is in the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What it exports: `tool`, `pipe`, `filter`, `action`, `job`.
    pub kinds: Vec<&'static str>,
    /// All that it says of itself.
    pub manifest: Arc<Manifest>,
    /// What the operator decided.
    pub settings: PluginSettings,
    /// What the operator granted.
    pub grants: Grants,
    /// What holds for a call.
    pub limits: Arc<Limits>,
    /// Limits that were asked for and cut to the server's ceilings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cut_limits: Vec<CutLimit>,
    /// Permissions that it needs and does not have.
    pub missing_permissions: Vec<Permission>,
    /// Until when its filter rests on this server after failures, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantined_until: Option<UnixSeconds>,
    /// When it was first installed.
    pub installed_at: UnixSeconds,
    /// When it was last changed.
    pub updated_at: UnixSeconds,
}

impl PluginView {
    pub(crate) fn of(entry: &Entry) -> Self {
        let (installed, manifest) = (&entry.installed, &entry.manifest);
        let (state, error) = match &entry.state {
            State::Ready(_) => (PluginState::Ready, None),
            State::Disabled(problem) => (PluginState::Disabled, problem.clone()),
            State::Loading => (PluginState::Loading, None),
            State::Failed(problem) => (PluginState::Failed, Some(problem.clone())),
        };
        let requested =
            manifest.permissions.iter().filter(|request| !request.optional).map(|request| request.name);
        let kinds = &manifest.kinds;
        let kinds = [
            ("tool", kinds.tool),
            ("pipe", kinds.pipe),
            ("filter", kinds.filter),
            ("action", kinds.action),
            ("job", kinds.job),
        ];
        let rests = entry.ready().and_then(|plugin| plugin.quarantined_until());
        Self {
            id: installed.id.clone(),
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            description: manifest.description.clone(),
            revision: installed.revision,
            digest: installed.digest.clone(),
            size: installed.size,
            state,
            error,
            kinds: kinds.into_iter().filter(|(_, has)| *has).map(|(kind, _)| kind).collect(),
            manifest: Arc::clone(manifest),
            settings: installed.settings.clone(),
            missing_permissions: requested.filter(|&name| installed.grants.get(name).is_none()).collect(),
            grants: installed.grants.clone(),
            limits: Arc::clone(&entry.limits),
            cut_limits: entry.cut.clone(),
            quarantined_until: rests.map(|nanos| nanos / 1_000_000_000),
            installed_at: installed.installed_at,
            updated_at: installed.updated_at,
        }
    }
}
