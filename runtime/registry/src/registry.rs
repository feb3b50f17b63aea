//! The registry of a server: one book of what is installed, and the snapshot that is made from it.
//!
//! Whoever changes something holds the book's lock, writes to the store, reads everything again and publishes a snapshot; readers take no lock that is held for long.

mod book;
mod load;

use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};

use innkeeper_model::PluginId;
use innkeeper_model::plugin::InstalledPlugin;
use innkeeper_sandbox::Sandbox;
use innkeeper_store::{Store, StoreError};
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinHandle;

pub(crate) use self::book::Fresh;
use self::book::{Book, StoredValues};
use crate::error::RegistryError;
use crate::limits::LimitsConfig;
use crate::plugin::Plugin;
use crate::snapshot::Snapshot;
use crate::user_valves::UserValves;
use crate::view::PluginView;

/// How often a list is read again because something changed while it was read.
const READ_AGAIN: u32 = 4;

/// Installed plugins. Cheap to clone; clones are one registry.
#[derive(Clone)]
pub struct Registry(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) sandbox: Sandbox,
    pub(crate) limits: LimitsConfig,
    /// Largest component that may be installed, in bytes.
    pub(crate) component_max: u64,
    people: Arc<UserValves>,
    current: RwLock<Arc<Snapshot>>,
    pub(crate) book: Mutex<Book>,
    /// Bounds how many components are read and loaded at once.
    loading: Semaphore,
}

impl Registry {
    /// Reads what is installed and loads what is enabled, several at once. One that does not load is listed with its error.
    ///
    /// # Errors
    /// `Store` where the list cannot be read.
    pub async fn open(
        store: Store,
        sandbox: Sandbox,
        limits: LimitsConfig,
        component_max: u64,
    ) -> Result<Self, RegistryError> {
        let at_once = std::thread::available_parallelism().map_or(2, |cores| cores.get().saturating_mul(2));
        let registry = Self(Arc::new(Inner {
            people: Arc::new(UserValves::new(store.clone())),
            current: RwLock::default(),
            book: Mutex::default(),
            loading: Semaphore::new(at_once),
            store,
            sandbox,
            limits,
            component_max,
        }));
        let loads = registry.0.refresh(&mut *registry.0.book.lock().await, None).await?;
        finished(loads).await;
        Ok(registry)
    }

    /// Everything as of now. Costs one count.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.0.snapshot()
    }

    /// A plugin that is ready to run.
    ///
    /// # Errors
    /// `NotFound`, `Disabled`, `NotReady`.
    pub fn resolve(&self, id: &PluginId) -> Result<Arc<Plugin>, RegistryError> {
        self.snapshot().resolve(id)
    }

    /// All plugins, by id.
    pub fn list(&self) -> Vec<PluginView> {
        self.snapshot().entries().map(|entry| PluginView::of(entry)).collect()
    }

    /// One plugin.
    pub fn show(&self, id: &PluginId) -> Option<PluginView> {
        self.snapshot().entry(id).ok().map(|entry| PluginView::of(entry))
    }

    /// Notes that a plugin's filter broke. One that is to be quarantined rests then, for a time that grows with each failure in a row.
    pub fn report_failure(&self, id: &PluginId) {
        let Ok(plugin) = self.resolve(id) else { return };
        if plugin.on_failure() == innkeeper_model::plugin::OnFailure::Quarantine {
            let clock = self.0.store.clock();
            let until = plugin.quarantine.failed(clock);
            let seconds = until.saturating_sub(clock.nanos()) / 1_000_000_000;
            tracing::warn!(plugin = %id, seconds, "a filter broke and rests");
        }
    }

    /// Notes that a plugin's filter worked.
    pub fn report_success(&self, id: &PluginId) {
        if let Ok(plugin) = self.resolve(id) {
            plugin.quarantine.succeeded(self.0.store.clock());
        }
    }

    /// Runs a change to its end, also where whoever asked for it goes away in the middle.
    pub(crate) async fn run<T, F>(&self, change: F) -> Result<T, RegistryError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, RegistryError>> + Send + 'static,
    {
        match tokio::spawn(change).await {
            Ok(outcome) => outcome,
            Err(error) => {
                tracing::error!(%error, "a change of the plugins ended without an answer");
                Err(RegistryError::Internal)
            }
        }
    }
}

impl Inner {
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads everything again and publishes it. What is revoked holds at once, before anything that can fail or take long.
    /// Components that are not loaded yet are loaded by the tasks that this returns.
    pub(crate) async fn refresh(
        self: &Arc<Self>,
        book: &mut Book,
        fresh: Option<Fresh>,
    ) -> Result<Vec<JoinHandle<()>>, RegistryError> {
        let (generation, installed) = self.read().await?;
        book.tighten(&installed);
        let values = self.read_values(book, &installed).await?;
        let load = book.turn(generation, installed, values, fresh, &self.limits);
        self.publish(book);
        Ok(load.into_iter().map(|installed| tokio::spawn(load::run(Arc::clone(self), installed))).collect())
    }

    /// Makes a snapshot of the book. Calls of plugins that are not in it as they were end.
    pub(crate) fn publish(&self, book: &mut Book) {
        let next = Arc::new(Snapshot::of(book.generation, book.entries(&self.people)));
        let old = {
            let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *current, Arc::clone(&next))
        };
        self.people.set_generation(book.generation);
        for plugin in old.plugins() {
            let stays = next.resolve(&plugin.id).is_ok_and(|now| Arc::ptr_eq(&now.grants, &plugin.grants));
            if !stays {
                plugin.grants.end();
            }
        }
    }

    /// The plugins and the generation that they are of. A grant counts only where the manifest asks for it.
    async fn read(&self) -> Result<(i64, Vec<InstalledPlugin>), StoreError> {
        let plugins = self.store.plugins();
        let mut generation = plugins.generation().await?;
        let mut list = plugins.list().await?;
        for _ in 0..READ_AGAIN {
            let now = plugins.generation().await?;
            if now == generation {
                break;
            }
            generation = now;
            list = plugins.list().await?;
        }
        for plugin in &mut list {
            let requested = &plugin.manifest.permissions;
            plugin.grants.0.retain(|name, _| requested.iter().any(|request| request.name == *name));
        }
        Ok((generation, list))
    }

    /// The operator's values of plugins that may have changed.
    async fn read_values(
        &self,
        book: &Book,
        installed: &[InstalledPlugin],
    ) -> Result<Vec<StoredValues>, StoreError> {
        let mut values = Vec::new();
        for plugin in installed.iter().filter(|plugin| plugin.manifest.valves.is_some()) {
            let read_at = self.store.clock().seconds();
            if book.values_are_current(plugin) {
                continue;
            }
            let stored = self.store.valves().get(&plugin.id).await?;
            values.push(StoredValues {
                plugin: plugin.id.clone(),
                updated_at: plugin.updated_at,
                read_at,
                stored: stored.map(Arc::new),
            });
        }
        Ok(values)
    }
}

/// Waits until components are loaded.
pub(crate) async fn finished(loads: Vec<JoinHandle<()>>) {
    for load in loads {
        if let Err(error) = load.await {
            tracing::error!(%error, "loading a plugin ended without an answer");
        }
    }
}
