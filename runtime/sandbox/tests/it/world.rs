//! A sandbox over a throw-away SQLite database, with one person in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::BoxFuture;
use innkeeper_host::turn::{Blobs, ChildRequest, Children, Events, TurnContext};
use innkeeper_host::{CallSetup, LiveGrants, Phase, Turn};
use innkeeper_model::event::WireEvent;
use innkeeper_model::limits::Limits;
use innkeeper_model::permission::Grants;
use innkeeper_model::principal::Role;
use innkeeper_model::receipt::Receipt;
use innkeeper_model::time::Clock;
use innkeeper_model::tool::{ToolContent, ToolResult};
use innkeeper_model::{Error, Permission, Principal};
use innkeeper_sandbox::{Answer, Ask, Budget, CallError, Invocation, LoadedPlugin, Sandbox, SandboxOptions};
use innkeeper_store::{LocalFiles, NewUser, Options, Store, connect, migrate};
use innkeeper_testing::guests::guest;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// Everything that a call needs.
pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) store: Store,
    pub(crate) principal: Principal,
    pub(crate) cancel: CancellationToken,
    _directory: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(SandboxOptions::default()).await
    }

    pub(crate) async fn with(options: SandboxOptions) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:///{}", directory.path().join("data.db").display());
        let pool = connect(&Options::new(&url)).await.unwrap();
        migrate::upgrade(&pool, &Clock::System, migrate::Target::Latest).await.unwrap();
        let files = Arc::new(LocalFiles::new(directory.path().join("files")).unwrap());
        let store = Store::new(pool, Clock::System, files);
        let person = NewUser { name: "Ada".into(), email: "ada@example.org".into(), role: Role::User };
        let user = store.users().insert(person).await.unwrap();
        let principal = Principal::person(user.id, Role::User);
        Self { sandbox: Sandbox::new(options).unwrap(), store, principal, cancel: CancellationToken::new(), _directory: directory }
    }

    pub(crate) async fn load(&self, name: &str) -> Arc<LoadedPlugin> {
        self.sandbox.load(&guest(name)).await.unwrap()
    }

    pub(crate) fn call<'a>(&'a self, plugin: &'a Arc<LoadedPlugin>) -> Call<'a> {
        Call { world: self, plugin, limits: Limits::default(), grants: Arc::new(LiveGrants::new(Grants::default())) }
    }
}

/// A call that is being set up.
pub(crate) struct Call<'a> {
    world: &'a World,
    plugin: &'a Arc<LoadedPlugin>,
    limits: Limits,
    grants: Arc<LiveGrants>,
}

impl Call<'_> {
    pub(crate) fn limit(mut self, name: &str, value: u64) -> Self {
        assert!(self.limits.set(name, value), "{name}");
        self
    }

    pub(crate) fn grant(self, permissions: &[Permission]) -> Self {
        let grants = permissions.iter().fold((*self.grants.get()).clone(), |grants, &permission| grants.with(permission));
        self.grants.set(grants);
        self
    }

    pub(crate) fn grants(&self) -> Arc<LiveGrants> {
        Arc::clone(&self.grants)
    }

    pub(crate) async fn instantiate(self) -> Result<Invocation, (CallError, Receipt)> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let limits = Arc::new(self.limits);
        let plugin = innkeeper_model::PluginId::parse("guest").unwrap();
        let turn = Turn {
            id: "turn".into(),
            principal: self.world.principal.clone(),
            chat: None,
            message: None,
            locale: Some("en".into()),
            context: TurnContext::default(),
            blobs: Blobs::default(),
            events: Arc::new(Nobody),
            children: Arc::new(Nobody),
            cancel: self.world.cancel.child_token(),
        };
        let setup = CallSetup {
            id: format!("call-{}", NEXT.fetch_add(1, Ordering::Relaxed)),
            parent: None,
            plugin: plugin.clone(),
            revision: 1,
            phase: Phase::Run(self.world.store.clone()),
            turn: Arc::new(turn),
            grants: self.grants,
            limits: Arc::clone(&limits),
            depth: 0,
            valves: "{}".into(),
            user_valves: "{}".into(),
        };
        let permit = self.world.sandbox.admit(&[(plugin, Arc::clone(&limits))], self.world.principal.user()).await;
        let permit = permit.unwrap().remove(0);
        self.world.sandbox.instantiate(self.plugin, setup, Budget::new(&limits, 0), permit).await
    }

    /// Asks, and waits for answer and receipt.
    pub(crate) async fn ask(self, ask: Ask) -> (Result<Answer, CallError>, Receipt) {
        let invocation = match self.instantiate().await {
            Ok(invocation) => invocation,
            Err((error, receipt)) => return (Err(error), receipt),
        };
        let (delivery, running) = invocation.start(ask);
        let receipt = running.await;
        let (answer, _fuel) = delivery.await.unwrap();
        (answer, receipt)
    }

    pub(crate) async fn tool(self, name: &str, arguments: Value) -> (Result<ToolResult, CallError>, Receipt) {
        let (answer, receipt) = self.ask(Ask::Tool { name: name.into(), arguments: arguments.to_string() }).await;
        let result = answer.map(|answer| match answer {
            Answer::Tool(result) => result,
            other => panic!("{other:?}"),
        });
        (result, receipt)
    }

    /// Has the guest `probe` do an import, and returns what it saw.
    pub(crate) async fn probe(self, import: &str, args: Value) -> Value {
        let (result, _) = self.tool("call", json!({ "import": import, "args": args, "place": "call" })).await;
        match result.unwrap().content.remove(0) {
            ToolContent::Json { value } => value,
            other => panic!("{other:?}"),
        }
    }
}

/// Nobody to show anything to, and nobody to call.
pub(crate) struct Nobody;

impl Events for Nobody {
    fn emit(&self, _: WireEvent) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn call(&self, _: WireEvent) -> BoxFuture<'_, Result<Value, Error>> {
        Box::pin(std::future::pending())
    }
}

impl Children for Nobody {
    fn submit(&self, _: ChildRequest) -> Result<(), Error> {
        Err(Error::unavailable("there is nobody to call", None))
    }
}
