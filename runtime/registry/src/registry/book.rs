//! The book: what is known of each installed plugin between two readings of the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use innkeeper_host::LiveGrants;
use innkeeper_model::PluginId;
use innkeeper_model::limits::Limits;
use innkeeper_model::manifest::Manifest;
use innkeeper_model::plugin::InstalledPlugin;
use innkeeper_model::time::UnixSeconds;
use innkeeper_sandbox::LoadedPlugin;
use serde_json::{Map, Value};

use crate::error::first;
use crate::limits::{CutLimit, LimitsConfig};
use crate::plugin::Plugin;
use crate::quarantine::Quarantine;
use crate::schema::Schemas;
use crate::snapshot::{Entry, State};
use crate::user_valves::UserValves;

/// Times of change are whole seconds of several servers' clocks; values read this soon after a change are read again, in seconds.
const UNSETTLED: i64 = 60;

/// What is known of each installed plugin.
#[derive(Default)]
pub(crate) struct Book {
    pub(crate) generation: i64,
    pages: BTreeMap<PluginId, Page>,
}

struct Page {
    installed: Arc<InstalledPlugin>,
    manifest: Arc<Manifest>,
    schemas: Arc<Schemas>,
    limits: Arc<Limits>,
    cut: Vec<CutLimit>,
    values: Option<StoredValues>,
    /// The values with defaults filled in, or what is wrong with them.
    completed: Result<Arc<str>, String>,
    code: Code,
    /// Made from the rest; none after a change.
    entry: Option<Arc<Entry>>,
}

/// A plugin's code on this server.
enum Code {
    Absent,
    Loading,
    Ready { loaded: Arc<LoadedPlugin>, grants: Arc<LiveGrants>, quarantine: Arc<Quarantine> },
    Failed(Failure),
}

/// Why there is no code.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// For an operator.
    pub(crate) problem: String,
    /// Whether it may go away by itself.
    pub(crate) passing: bool,
}

/// The operator's values as the store has them.
pub(crate) struct StoredValues {
    pub(crate) plugin: PluginId,
    /// When the plugin was last changed.
    pub(crate) updated_at: UnixSeconds,
    pub(crate) read_at: UnixSeconds,
    pub(crate) stored: Option<Arc<Value>>,
}

/// A plugin that was just loaded in order to be installed.
pub(crate) struct Fresh {
    pub(crate) plugin: PluginId,
    pub(crate) loaded: Arc<LoadedPlugin>,
    pub(crate) schemas: Arc<Schemas>,
    pub(crate) manifest: Arc<Manifest>,
}

impl Book {
    /// Lets changed grants hold for running calls, and ends those of plugins that are gone, disabled or replaced.
    pub(crate) fn tighten(&mut self, installed: &[InstalledPlugin]) {
        for (id, page) in &self.pages {
            let Code::Ready { grants, .. } = &page.code else { continue };
            let now = installed.iter().find(|now| now.id == *id);
            match now.filter(|now| now.settings.enabled && page.is_of(now)) {
                None => grants.end(),
                Some(now) if *grants.get() != now.grants => grants.set(now.grants.clone()),
                Some(_) => {}
            }
        }
    }

    /// Whether the values that are known are those of this plugin now.
    pub(crate) fn values_are_current(&self, plugin: &InstalledPlugin) -> bool {
        let known = self
            .pages
            .get(&plugin.id)
            .filter(|page| page.is_of(plugin))
            .and_then(|page| page.values.as_ref());
        known.is_some_and(|known| {
            known.updated_at == plugin.updated_at
                && known.read_at > plugin.updated_at.saturating_add(UNSETTLED)
        })
    }

    /// Takes over what was read; the plugins whose code is to be loaded.
    pub(crate) fn turn(
        &mut self,
        generation: i64,
        installed: Vec<InstalledPlugin>,
        values: Vec<StoredValues>,
        fresh: Option<Fresh>,
        limits: &LimitsConfig,
    ) -> Vec<Arc<InstalledPlugin>> {
        let mut old = std::mem::take(&mut self.pages);
        self.generation = generation;
        for installed in installed {
            let known = old.remove(&installed.id).filter(|page| page.is_of(&installed));
            let fresh = fresh.as_ref().filter(|fresh| fresh.is_of(&installed));
            let page = match known {
                Some(page) => page.updated(installed, limits),
                None => Page::new(installed, fresh, limits),
            };
            self.pages.insert(page.installed.id.clone(), page);
        }
        for values in values {
            if let Some(page) = self.pages.get_mut(&values.plugin) {
                page.set_values(values);
            }
        }
        let fresh = fresh.as_ref();
        self.pages.values_mut().filter_map(|page| page.prepare(fresh)).collect()
    }

    /// Notes how loading ended, unless the plugin was changed meanwhile.
    pub(crate) fn loaded(&mut self, of: &InstalledPlugin, outcome: Result<Arc<LoadedPlugin>, Failure>) {
        let Some(page) = self.pages.get_mut(&of.id).filter(|page| page.is_of(of)) else { return };
        if matches!(page.code, Code::Loading) {
            page.code = match outcome {
                Ok(loaded) => page.ready(loaded),
                Err(failure) => {
                    tracing::warn!(plugin = %of.id, problem = failure.problem, "a plugin does not load");
                    Code::Failed(failure)
                }
            };
            page.entry = None;
        }
    }

    /// Forgets failures that may have passed, so that the next reading tries again; whether there are any.
    pub(crate) fn forget_passing(&mut self) -> bool {
        let mut any = false;
        for page in self.pages.values_mut() {
            if matches!(&page.code, Code::Failed(failure) if failure.passing) {
                page.code = Code::Absent;
                any = true;
            }
        }
        any
    }

    /// What the snapshot is made of.
    pub(crate) fn entries(&mut self, people: &Arc<UserValves>) -> Vec<Arc<Entry>> {
        self.pages.values_mut().map(|page| page.entry(people)).collect()
    }
}

impl Page {
    fn new(installed: InstalledPlugin, fresh: Option<&Fresh>, limits: &LimitsConfig) -> Self {
        let (manifest, schemas) = match fresh {
            Some(fresh) => (Arc::clone(&fresh.manifest), Arc::clone(&fresh.schemas)),
            None => {
                let manifest = Arc::new(installed.manifest.clone());
                (Arc::clone(&manifest), Arc::new(Schemas::of(manifest)))
            }
        };
        let (limits, cut) = limits.effective(&manifest.limits, &installed.settings.limits);
        let mut page = Self {
            installed: Arc::new(installed),
            manifest,
            schemas,
            limits: Arc::new(limits),
            cut,
            values: None,
            completed: Ok("{}".into()),
            code: Code::Absent,
            entry: None,
        };
        page.complete();
        page
    }

    /// The same revision as it is now.
    fn updated(mut self, installed: InstalledPlugin, limits: &LimitsConfig) -> Self {
        if *self.installed != installed {
            let (limits, cut) = limits.effective(&self.manifest.limits, &installed.settings.limits);
            (self.limits, self.cut) = (Arc::new(limits), cut);
            self.installed = Arc::new(installed);
            self.entry = None;
        }
        self
    }

    fn is_of(&self, installed: &InstalledPlugin) -> bool {
        self.installed.revision == installed.revision && self.installed.digest == installed.digest
    }

    fn set_values(&mut self, values: StoredValues) {
        let same = self.values.as_ref().is_some_and(|old| old.stored == values.stored);
        self.values = Some(values);
        if !same {
            self.complete();
        }
    }

    fn complete(&mut self) {
        let stored = self.values.as_ref().and_then(|values| values.stored.as_deref());
        let values = stored.cloned().unwrap_or_else(|| Value::Object(Map::new()));
        self.completed = match self.schemas.valves() {
            Ok(None) => Ok("{}".into()),
            Ok(Some(schema)) => match schema.complete(values) {
                Ok(values) => Ok(values.to_string().into()),
                Err(problems) => Err(format!(
                    "its valves do not fit: {}; set them with `innkeeper plugin valves {} --set`",
                    first(&problems),
                    self.installed.id
                )),
            },
            Err(error) => Err(error.to_string()),
        };
        self.entry = None;
    }

    /// Brings the code in line with whether the plugin is enabled; the plugin, if its code is to be loaded.
    fn prepare(&mut self, fresh: Option<&Fresh>) -> Option<Arc<InstalledPlugin>> {
        if !self.installed.settings.enabled {
            if !matches!(self.code, Code::Absent) {
                (self.code, self.entry) = (Code::Absent, None);
            }
            return None;
        }
        let fresh = fresh.filter(|fresh| fresh.is_of(&self.installed));
        match (&self.code, fresh) {
            (Code::Ready { grants, loaded, .. }, _) if grants.ended().is_cancelled() => {
                let loaded = Arc::clone(loaded);
                (self.code, self.entry) = (self.ready(loaded), None);
                None
            }
            (Code::Ready { .. }, _) => None,
            (_, Some(fresh)) => {
                (self.code, self.entry) = (self.ready(Arc::clone(&fresh.loaded)), None);
                None
            }
            (Code::Loading | Code::Failed(_), None) => None,
            (Code::Absent, None) => {
                (self.code, self.entry) = (Code::Loading, None);
                Some(Arc::clone(&self.installed))
            }
        }
    }

    fn ready(&self, loaded: Arc<LoadedPlugin>) -> Code {
        let grants = Arc::new(LiveGrants::new(self.installed.grants.clone()));
        Code::Ready { loaded, grants, quarantine: Arc::default() }
    }

    fn entry(&mut self, people: &Arc<UserValves>) -> Arc<Entry> {
        if let Some(entry) = &self.entry {
            return Arc::clone(entry);
        }
        let entry = Arc::new(Entry {
            installed: Arc::clone(&self.installed),
            manifest: Arc::clone(&self.manifest),
            schemas: Arc::clone(&self.schemas),
            limits: Arc::clone(&self.limits),
            cut: self.cut.clone(),
            values: self.values.as_ref().and_then(|values| values.stored.clone()),
            state: self.state(people),
        });
        self.entry = Some(Arc::clone(&entry));
        entry
    }

    fn state(&self, people: &Arc<UserValves>) -> State {
        if !self.installed.settings.enabled {
            return State::Disabled(self.completed.as_ref().err().cloned());
        }
        match (&self.code, &self.completed) {
            (Code::Absent | Code::Loading, _) => State::Loading,
            (Code::Failed(failure), _) => State::Failed(failure.problem.clone()),
            (Code::Ready { .. }, Err(problem)) => State::Failed(problem.clone()),
            (Code::Ready { loaded, grants, quarantine }, Ok(valves)) => State::Ready(Arc::new(Plugin {
                id: self.installed.id.clone(),
                revision: self.installed.revision,
                manifest: Arc::clone(&self.manifest),
                settings: self.installed.settings.clone(),
                loaded: Arc::clone(loaded),
                grants: Arc::clone(grants),
                limits: Arc::clone(&self.limits),
                valves: Arc::clone(valves),
                schemas: Arc::clone(&self.schemas),
                quarantine: Arc::clone(quarantine),
                people: Arc::clone(people),
            })),
        }
    }
}

impl Fresh {
    fn is_of(&self, installed: &InstalledPlugin) -> bool {
        self.plugin == installed.id && self.loaded.digest == installed.digest
    }
}
