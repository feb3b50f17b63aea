//! The guest in Innkeeper: a sandbox over a database, and calls as whoever drives turns makes them.

use std::sync::Arc;

use futures::future::BoxFuture;
use innkeeper_host::turn::{Blobs, ChildRequest, Children, Events, TurnContext};
use innkeeper_host::{CallSetup, LiveGrants, Phase, Turn};
use innkeeper_model::event::WireEvent;
use innkeeper_model::limits::Limits;
use innkeeper_model::permission::Grants;
use innkeeper_model::principal::Role;
use innkeeper_model::time::Clock;
use innkeeper_model::{Error, Permission, PluginId, Principal};
use innkeeper_sandbox::{Ask, Budget, EngineOptions, Invocation, LoadedPlugin, Sandbox, SandboxOptions};
use innkeeper_store::{LocalFiles, NewUser, Options, Store, connect, migrate};
use innkeeper_testing::databases::{Backend, TestDatabase, database};
use innkeeper_testing::guests::guest;
use tokio_util::sync::CancellationToken;

/// Everything that calls of one plugin need.
#[derive(Clone)]
pub(crate) struct Plugin {
    pub(crate) store: Store,
    pub(crate) principal: Principal,
    sandbox: Sandbox,
    loaded: Arc<LoadedPlugin>,
    id: PluginId,
    grants: Arc<LiveGrants>,
    limits: Arc<Limits>,
    _places: Arc<(tempfile::TempDir, TestDatabase)>,
}

impl Plugin {
    /// The guest `name`, over a database of its own where there is such a backend.
    pub(crate) async fn new(name: &str, engine: EngineOptions, backend: Backend) -> Option<Self> {
        let database = database(backend).await?;
        let directory = tempfile::tempdir().unwrap();
        let pool = connect(&Options::new(&database.url)).await.unwrap();
        migrate::upgrade(&pool, &Clock::System, migrate::Target::Latest).await.unwrap();
        let files = Arc::new(LocalFiles::new(directory.path().join("files")).unwrap());
        let store = Store::new(pool, Clock::System, files);
        let person = NewUser { name: "Ada".into(), email: "ada@example.org".into(), role: Role::User };
        let user = store.users().insert(person).await.unwrap();
        let sandbox = Sandbox::new(SandboxOptions { engine, ..SandboxOptions::default() }).unwrap();
        let loaded = sandbox.load(&guest(name)).await.unwrap();
        let permissions = [Permission::UsersRead, Permission::ChatsRead, Permission::EventsCall];
        let grants = permissions.into_iter().fold(Grants::default(), Grants::with);
        // Live instances serve many thousand calls here; what is measured is the counting, not the end of it.
        let mut limits = Limits::default();
        for limit in [
            "fuel",
            "memory",
            "answer-bytes",
            "host-calls",
            "host-bytes",
            "rows",
            "row-bytes",
            "active",
            "waiting",
            "chunks",
        ] {
            limits.set(limit, u64::MAX / 4);
        }
        limits.set("calls-per-plugin", 100_000);
        limits.set("calls-per-user", 100_000);
        Some(Self {
            store,
            principal: Principal::person(user.id, Role::User),
            sandbox,
            loaded,
            id: PluginId::parse(name).unwrap(),
            grants: Arc::new(LiveGrants::new(grants)),
            limits: Arc::new(limits),
            _places: Arc::new((directory, database)),
        })
    }

    /// An instance for many calls.
    pub(crate) async fn live(&self) -> Invocation {
        let turn = Turn {
            id: "turn".into(),
            principal: self.principal.clone(),
            chat: None,
            message: None,
            locale: Some("en".into()),
            context: TurnContext::default(),
            blobs: Blobs::default(),
            events: Arc::new(Silent),
            children: Arc::new(Silent),
            cancel: CancellationToken::new(),
        };
        let setup = CallSetup {
            id: "call".into(),
            parent: None,
            plugin: self.id.clone(),
            revision: 1,
            phase: Phase::Run(self.store.clone()),
            turn: Arc::new(turn),
            grants: Arc::clone(&self.grants),
            limits: Arc::clone(&self.limits),
            depth: 0,
            valves: "{}".into(),
            user_valves: "{}".into(),
        };
        let wanted = [(self.id.clone(), Arc::clone(&self.limits))];
        let permit = self.sandbox.admit(&wanted, self.principal.user()).await.unwrap().remove(0);
        let budget = Budget::new(&self.limits, 0);
        self.sandbox
            .instantiate(&self.loaded, setup, budget, permit)
            .await
            .map_err(|(error, _)| error)
            .unwrap()
    }

    /// A fresh instance, one call on it, its result and its receipt.
    pub(crate) async fn call(&self, name: &str) {
        let (delivery, running) = self.live().await.start(tool(name));
        let receipt = running.await;
        assert!(delivery.await.unwrap().is_ok() && receipt.delivered.fuel > 0);
    }
}

/// A call of a tool without arguments.
pub(crate) fn tool(name: &str) -> Ask {
    Ask::Tool { name: name.into(), arguments: "{}".into() }
}

struct Silent;

impl Events for Silent {
    fn emit(&self, _: WireEvent) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn call(&self, _: WireEvent) -> BoxFuture<'_, Result<serde_json::Value, Error>> {
        Box::pin(std::future::pending())
    }
}

impl Children for Silent {
    fn submit(&self, _: ChildRequest) -> Result<(), Error> {
        Err(Error::unavailable("nobody", None))
    }
}
