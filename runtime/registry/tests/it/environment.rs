//! A database, a sandbox that keeps machine code from run to run, and plugins whose manifests a test chooses.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use innkeeper_model::limits::LimitMap;
use innkeeper_model::manifest::{FilterDescription, FilterHooks, Kinds, Manifest, PermissionRequest};
use innkeeper_model::permission::Permission;
use innkeeper_model::plugin::PluginSettings;
use innkeeper_model::principal::Role;
use innkeeper_model::time::Clock;
use innkeeper_model::{PluginId, UserId};
use innkeeper_registry::{InstallOptions, LimitsConfig, Plugin, Registry};
use innkeeper_sandbox::{EngineOptions, Sandbox, SandboxOptions};
use innkeeper_store::migrate::{self, Target};
use innkeeper_store::{LocalFiles, NewRevision, NewUser, Options, Store, connect};
use innkeeper_testing::databases::{Backend, TestDatabase, database};
pub(crate) use innkeeper_testing::guests::{changed, with_note};
use serde_json::Value;

/// A new plugin without grants.
pub(crate) const NEW: InstallOptions = InstallOptions { grant_requested: false, replace: false };
/// A new plugin with what it asks for.
pub(crate) const GRANTED: InstallOptions = InstallOptions { grant_requested: true, replace: false };
/// A further revision.
pub(crate) const REPLACE: InstallOptions = InstallOptions { grant_requested: false, replace: true };

/// Largest component in these tests, in bytes.
pub(crate) const COMPONENT_MAX: u64 = 8 << 20;

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) user: UserId,
    database: TestDatabase,
    files: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::on(Backend::Sqlite).await.unwrap()
    }

    /// On another kind of database; none where there is no server for it here.
    pub(crate) async fn on(backend: Backend) -> Option<Self> {
        let database = database(backend).await?;
        let files = tempfile::tempdir().unwrap();
        let clock = Clock::manual(1_750_000_000);
        let pool = connect(&Options::new(&database.url)).await.unwrap();
        migrate::upgrade(&pool, &clock, Target::Latest).await.unwrap();
        let storage = Arc::new(LocalFiles::new(files.path().join("files")).unwrap());
        let store = Store::new(pool, clock.clone(), storage);
        let new =
            NewUser { name: "Alice".to_owned(), email: "alice@example.com".to_owned(), role: Role::User };
        let user = store.users().insert(new).await.unwrap().id;
        Some(Self { store, clock, user, database, files })
    }

    /// Another server's connections to the same database.
    pub(crate) async fn other_store(&self) -> Store {
        self.store_of(|_| {}).await
    }

    /// Connections of their own to the same database.
    pub(crate) async fn store_of(&self, change: impl FnOnce(&mut Options)) -> Store {
        let mut options = Options::new(&self.database.url);
        change(&mut options);
        let pool = connect(&options).await.unwrap();
        let storage = Arc::new(LocalFiles::new(self.files.path().join("files")).unwrap());
        Store::new(pool, self.clock.clone(), storage)
    }

    pub(crate) async fn registry(&self) -> Registry {
        open(self.store.clone(), sandbox(kept_cache())).await
    }

    /// Puts a plugin into the database as another server would, enabled.
    pub(crate) async fn put(&self, manifest: &Manifest, component: Vec<u8>) -> PluginId {
        let new = NewRevision {
            manifest: manifest.clone(),
            digest: blake3::hash(&component).to_hex().to_string(),
            size: component.len() as u64,
            component,
        };
        let id = self.store.plugins().install(new).await.unwrap().id;
        let settings = PluginSettings { enabled: true, global: true, ..PluginSettings::default() };
        self.store.plugins().set_settings(&id, &settings).await.unwrap();
        id
    }
}

pub(crate) async fn open(store: Store, sandbox: Sandbox) -> Registry {
    Registry::open(store, sandbox, LimitsConfig::default(), COMPONENT_MAX).await.unwrap()
}

pub(crate) fn sandbox(cache: PathBuf) -> Sandbox {
    let engine = EngineOptions { instances: 8, ..EngineOptions::default() };
    Sandbox::new(SandboxOptions { engine, cache: Some(cache), ..SandboxOptions::default() }).unwrap()
}

/// Compiling takes seconds in a debug build, and each test is a process of its own.
pub(crate) fn kept_cache() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("registry-machine-code")
}

pub(crate) fn id(text: &str) -> PluginId {
    PluginId::parse(text).unwrap()
}

/// The manifest of a tool or a filter without anything.
pub(crate) fn manifest(name: &str, kinds: Kinds) -> Manifest {
    Manifest {
        id: id(name),
        name: name.to_owned(),
        version: "1.0.0".to_owned(),
        description: String::new(),
        authors: Vec::new(),
        license: None,
        homepage: None,
        permissions: Vec::new(),
        limits: LimitMap::new(),
        valves: None,
        user_valves: None,
        tools: Vec::new(),
        actions: Vec::new(),
        jobs: Vec::new(),
        filter: None,
        kinds,
    }
}

pub(crate) fn tool(name: &str) -> Manifest {
    manifest(name, Kinds { tool: true, ..Kinds::default() })
}

pub(crate) fn filter(name: &str, priority: i32) -> Manifest {
    let hooks = FilterHooks { inlet: true, ..FilterHooks::default() };
    let filter = FilterDescription { hooks, priority, ..FilterDescription::default() };
    Manifest { filter: Some(filter), ..manifest(name, Kinds { filter: true, ..Kinds::default() }) }
}

pub(crate) fn with_valves(manifest: Manifest, schema: Value) -> Manifest {
    Manifest { valves: Some(schema), ..manifest }
}

pub(crate) fn asking(manifest: Manifest, permissions: &[Permission]) -> Manifest {
    let request =
        |&name: &Permission| PermissionRequest { name, reason: "is tested".to_owned(), optional: false };
    Manifest { permissions: permissions.iter().map(request).collect(), ..manifest }
}

/// Waits until a claim holds; fails after `within`.
pub(crate) async fn soon(within: Duration, what: &str, mut claim: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(within, async {
        while !claim() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "not within {within:?}: {what}");
}

pub(crate) fn ids(plugins: &[Arc<Plugin>]) -> Vec<&str> {
    plugins.iter().map(|plugin| plugin.id.as_str()).collect()
}
