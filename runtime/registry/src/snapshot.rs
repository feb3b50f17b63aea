//! All installed plugins at one moment: what a turn needs, without SQL.

use std::collections::BTreeMap;
use std::sync::Arc;

use innkeeper_model::PluginId;
use innkeeper_model::limits::Limits;
use innkeeper_model::manifest::{FilterDescription, Manifest};
use innkeeper_model::plugin::{InstalledPlugin, OnFailure, PluginSettings};
use serde_json::Value;

use crate::error::RegistryError;
use crate::limits::CutLimit;
use crate::plugin::{Plugin, on_failure};
use crate::schema::Schemas;

/// All installed plugins at one moment.
#[derive(Default)]
pub struct Snapshot {
    pub(crate) generation: i64,
    entries: BTreeMap<PluginId, Arc<Entry>>,
    ready: Vec<Arc<Plugin>>,
    pipes: Vec<Arc<Plugin>>,
    tools: Vec<Arc<Plugin>>,
    actions: Vec<Arc<Plugin>>,
    jobs: Vec<Arc<Plugin>>,
    /// Enabled plugins with a filter, in the order in which they run.
    filters: Vec<Arc<Entry>>,
}

/// An installed plugin.
pub(crate) struct Entry {
    pub(crate) installed: Arc<InstalledPlugin>,
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) schemas: Arc<Schemas>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) cut: Vec<CutLimit>,
    /// As the operator set them.
    pub(crate) values: Option<Arc<Value>>,
    pub(crate) state: State,
}

/// Whether it can run.
pub(crate) enum State {
    Ready(Arc<Plugin>),
    /// With what will be in the way when it is enabled.
    Disabled(Option<String>),
    Loading,
    Failed(String),
}

impl Snapshot {
    pub(crate) fn of(generation: i64, entries: Vec<Arc<Entry>>) -> Self {
        let ready: Vec<Arc<Plugin>> = entries.iter().filter_map(|entry| entry.ready().cloned()).collect();
        let with = |has: fn(&Manifest) -> bool| {
            ready.iter().filter(|plugin| has(&plugin.manifest)).cloned().collect()
        };
        let mut filters: Vec<Arc<Entry>> =
            entries.iter().filter(|entry| entry.filter().is_some()).cloned().collect();
        filters.sort_by_key(|entry| (entry.priority(), entry.installed.id.clone()));
        Self {
            generation,
            pipes: with(|manifest| manifest.kinds.pipe),
            tools: with(|manifest| manifest.kinds.tool),
            actions: with(|manifest| manifest.kinds.action),
            jobs: with(|manifest| manifest.kinds.job),
            ready,
            filters,
            entries: entries.into_iter().map(|entry| (entry.installed.id.clone(), entry)).collect(),
        }
    }

    /// A plugin that is ready to run.
    ///
    /// # Errors
    /// `NotFound`, `Disabled`, `NotReady`.
    pub fn resolve(&self, id: &PluginId) -> Result<Arc<Plugin>, RegistryError> {
        self.entry(id)?.resolve()
    }

    /// Plugins that are ready to run, by id.
    pub fn plugins(&self) -> &[Arc<Plugin>] {
        &self.ready
    }

    /// Those with models.
    pub fn pipes(&self) -> &[Arc<Plugin>] {
        &self.pipes
    }

    /// Those with tools.
    pub fn tools(&self) -> &[Arc<Plugin>] {
        &self.tools
    }

    /// Those with actions.
    pub fn actions(&self) -> &[Arc<Plugin>] {
        &self.actions
    }

    /// Those with actions that the operator offers on this model's messages.
    pub fn actions_for(&self, model: &str) -> Vec<Arc<Plugin>> {
        self.actions.iter().filter(|plugin| self.applies(&plugin.settings, model)).cloned().collect()
    }

    /// Those with scheduled work.
    pub fn jobs(&self) -> &[Arc<Plugin>] {
        &self.jobs
    }

    /// Filters of a turn with this model, in the order in which they run: ascending by priority and id.
    /// Global ones and those of the model; toggle filters only if `toggles` names them; none that rests after failures.
    ///
    /// # Errors
    /// `NotReady` where one that must not be passed over cannot run: a guard, or one that fails closed.
    pub fn filters_for(&self, model: &str, toggles: &[String]) -> Result<Vec<Arc<Plugin>>, RegistryError> {
        self.filters_where(model, toggles, |_| true)
    }

    /// Guards among them: those that completions made by plugins pass too.
    ///
    /// # Errors
    /// `NotReady` where one cannot run.
    pub fn guards_for(&self, model: &str, toggles: &[String]) -> Result<Vec<Arc<Plugin>>, RegistryError> {
        self.filters_where(model, toggles, |filter| filter.guard)
    }

    fn filters_where(
        &self,
        model: &str,
        toggles: &[String],
        wanted: impl Fn(&FilterDescription) -> bool,
    ) -> Result<Vec<Arc<Plugin>>, RegistryError> {
        let mut filters = Vec::new();
        for entry in &self.filters {
            let Some(filter) = entry.filter().filter(|filter| wanted(filter)) else { continue };
            let named = || toggles.iter().any(|id| id == entry.installed.id.as_str());
            if !self.applies(&entry.installed.settings, model) || (filter.toggle && !named()) {
                continue;
            }
            let on_failure = on_failure(&entry.manifest, &entry.installed.settings);
            match entry.resolve() {
                Ok(plugin) if on_failure == OnFailure::Quarantine && plugin.quarantined_until().is_some() => {
                }
                Ok(plugin) => filters.push(plugin),
                Err(error) if on_failure == OnFailure::Closed => return Err(error),
                Err(error) => {
                    tracing::debug!(plugin = %entry.installed.id, %error, "a turn goes on without a filter")
                }
            }
        }
        Ok(filters)
    }

    /// Whether the operator put a plugin to work for a model. The name of a pipe stands for all its models: what follows the name
    /// in a request is up to the client.
    fn applies(&self, settings: &PluginSettings, model: &str) -> bool {
        let pipe = model.split_once('.').map(|(pipe, _)| pipe).filter(|pipe| self.is_pipe(pipe));
        settings.global || settings.models.iter().any(|of| of == model || Some(of.as_str()) == pipe)
    }

    fn is_pipe(&self, id: &str) -> bool {
        let entry = PluginId::parse(id).ok().and_then(|id| self.entries.get(&id));
        entry.is_some_and(|entry| entry.manifest.kinds.pipe)
    }

    pub(crate) fn entry(&self, id: &PluginId) -> Result<&Arc<Entry>, RegistryError> {
        self.entries.get(id).ok_or_else(|| RegistryError::NotFound(id.clone()))
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries.values()
    }
}

impl Entry {
    pub(crate) fn ready(&self) -> Option<&Arc<Plugin>> {
        if let State::Ready(plugin) = &self.state { Some(plugin) } else { None }
    }

    pub(crate) fn resolve(&self) -> Result<Arc<Plugin>, RegistryError> {
        let id = || self.installed.id.clone();
        match &self.state {
            State::Ready(plugin) => Ok(Arc::clone(plugin)),
            State::Disabled(_) => Err(RegistryError::Disabled(id())),
            State::Loading => Err(RegistryError::NotReady {
                plugin: id(),
                problem: "it is being loaded; try again in a moment".to_owned(),
            }),
            State::Failed(problem) => Err(RegistryError::NotReady { plugin: id(), problem: problem.clone() }),
        }
    }

    /// How it filters, if it does and is enabled.
    fn filter(&self) -> Option<&FilterDescription> {
        self.manifest.filter.as_ref().filter(|_| self.installed.settings.enabled)
    }

    fn priority(&self) -> i32 {
        let own = self.manifest.filter.as_ref().map_or(0, |filter| filter.priority);
        self.installed.settings.priority.unwrap_or(own)
    }
}
