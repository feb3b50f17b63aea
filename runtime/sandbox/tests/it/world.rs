//! A sandbox over a throw-away SQLite database, with two people in it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use innkeeper_host::turn::{Blobs, Lent, TurnContext};
use innkeeper_host::{CallSetup, LiveGrants, Phase, Turn};
use innkeeper_model::chunk::Chunk;
use innkeeper_model::limits::Limits;
use innkeeper_model::permission::{Grant, Grants};
use innkeeper_model::principal::Role;
use innkeeper_model::receipt::Receipt;
use innkeeper_model::time::Clock;
use innkeeper_model::tool::{ToolContent, ToolResult};
use innkeeper_model::{Permission, PluginId, Principal, UserId};
use innkeeper_sandbox::{
    Answer, Ask, Budget, CallError, Delivery, EngineOptions, Invocation, LoadedPlugin, Reply, Sandbox,
    SandboxOptions,
};
use innkeeper_store::{LocalFiles, NewUser, Options, Store, connect, migrate};
use innkeeper_testing::databases::{Backend, TestDatabase, database};
use innkeeper_testing::guests::guest;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::turn::{Audience, Script};

/// Everything that a call needs.
pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) store: Store,
    /// Ada.
    pub(crate) principal: Principal,
    pub(crate) cancel: CancellationToken,
    pub(crate) audience: Arc<Audience>,
    pub(crate) script: Arc<Script>,
    _directory: Arc<tempfile::TempDir>,
    _database: Arc<TestDatabase>,
}

/// Options of a sandbox that is small, and that compiles each guest once for all tests.
pub(crate) fn options() -> SandboxOptions {
    SandboxOptions {
        engine: EngineOptions { instances: 16, ..EngineOptions::default() },
        cache: Some(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("machine-code")),
        ..SandboxOptions::default()
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(options(), 4).await
    }

    pub(crate) async fn with(options: SandboxOptions, connections: u32) -> Self {
        Self::on(Backend::Sqlite, options, connections).await.unwrap()
    }

    /// A world on each kind of database that is there.
    pub(crate) async fn on_each_backend() -> Vec<Self> {
        let mut worlds = Vec::new();
        for backend in Backend::ALL {
            worlds.extend(Self::on(backend, options(), 4).await);
        }
        worlds
    }

    async fn on(backend: Backend, options: SandboxOptions, connections: u32) -> Option<Self> {
        let database = database(backend).await?;
        let directory = tempfile::tempdir().unwrap();
        let pool =
            connect(&Options { max_connections: connections, ..Options::new(&database.url) }).await.unwrap();
        migrate::upgrade(&pool, &Clock::System, migrate::Target::Latest).await.unwrap();
        let files = Arc::new(LocalFiles::new(directory.path().join("files")).unwrap());
        let store = Store::new(pool, Clock::System, files);
        let ada = person(&store, "Ada", Role::User).await;
        Some(Self {
            sandbox: Sandbox::new(options).unwrap(),
            store,
            principal: Principal::person(ada, Role::User),
            cancel: CancellationToken::new(),
            audience: Arc::default(),
            script: Arc::default(),
            _directory: Arc::new(directory),
            _database: Arc::new(database),
        })
    }

    /// The same world, with a turn that can be ended apart.
    pub(crate) fn another_turn(&self) -> Self {
        Self {
            sandbox: self.sandbox.clone(),
            store: self.store.clone(),
            principal: self.principal.clone(),
            cancel: CancellationToken::new(),
            audience: Arc::clone(&self.audience),
            script: Arc::clone(&self.script),
            _directory: Arc::clone(&self._directory),
            _database: Arc::clone(&self._database),
        }
    }

    pub(crate) async fn load(&self, name: &str) -> Arc<LoadedPlugin> {
        self.sandbox.load(&guest(name)).await.unwrap()
    }

    /// Another person.
    pub(crate) async fn person(&self, name: &str, role: Role) -> UserId {
        person(&self.store, name, role).await
    }

    pub(crate) fn ada(&self) -> &UserId {
        self.principal.user().unwrap()
    }

    pub(crate) fn call<'a>(&'a self, plugin: &'a Arc<LoadedPlugin>) -> Call<'a> {
        Call {
            world: self,
            plugin,
            limits: Limits::default(),
            grants: Arc::new(LiveGrants::new(Grants::default())),
            principal: self.principal.clone(),
            context: TurnContext::default(),
            blobs: Blobs::default(),
            valves: "{}".into(),
            body_bytes: 0,
            depth: 0,
            lent: None,
        }
    }

    /// Fails where something was left behind: a slot, or a connection.
    pub(crate) async fn assert_idle(&self, slots: usize) {
        for _ in 0..200 {
            if self.sandbox.free_instances() == slots && self.store.pool().in_use() == 0 {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert_eq!((self.sandbox.free_instances(), self.store.pool().in_use()), (slots, 0));
    }
}

async fn person(store: &Store, name: &str, role: Role) -> UserId {
    let email = format!("{}@example.org", name.to_lowercase());
    store.users().insert(NewUser { name: name.into(), email, role }).await.unwrap().id
}

/// A call that is being set up.
pub(crate) struct Call<'a> {
    world: &'a World,
    plugin: &'a Arc<LoadedPlugin>,
    limits: Limits,
    grants: Arc<LiveGrants>,
    principal: Principal,
    pub(crate) context: TurnContext,
    pub(crate) blobs: Blobs,
    valves: Arc<str>,
    body_bytes: u64,
    depth: u64,
    lent: Option<Lent>,
}

impl Call<'_> {
    pub(crate) fn limit(mut self, name: &str, value: u64) -> Self {
        assert!(self.limits.set(name, value), "{name}");
        self
    }

    pub(crate) fn depth(mut self, depth: u64) -> Self {
        self.depth = depth;
        self
    }

    /// A call by another plugin, which lends the fuel.
    pub(crate) fn lent(mut self, lent: &Lent) -> Self {
        (self.depth, self.lent) = (1, Some(lent.clone()));
        self
    }

    pub(crate) fn body_bytes(mut self, bytes: u64) -> Self {
        self.body_bytes = bytes;
        self
    }

    pub(crate) fn grant(self, permissions: &[Permission]) -> Self {
        permissions.iter().fold(self, |call, &permission| call.grant_as(permission, Grant::default()))
    }

    pub(crate) fn grant_as(self, permission: Permission, grant: Grant) -> Self {
        let mut grants = (*self.grants.get()).clone();
        grants.0.insert(permission, grant);
        self.grants.set(grants);
        self
    }

    pub(crate) fn principal(mut self, principal: Principal) -> Self {
        self.principal = principal;
        self
    }

    pub(crate) fn valves(mut self, valves: &str) -> Self {
        self.valves = valves.into();
        self
    }

    /// With the grants of another call, which change with that one's.
    pub(crate) fn granted(mut self, grants: &Arc<LiveGrants>) -> Self {
        self.grants = Arc::clone(grants);
        self
    }

    pub(crate) fn grants(&self) -> Arc<LiveGrants> {
        Arc::clone(&self.grants)
    }

    pub(crate) async fn instantiate(self) -> Result<Invocation, (CallError, Receipt)> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let limits = Arc::new(self.limits);
        let plugin = PluginId::parse("guest").unwrap();
        let turn = Turn {
            id: "turn".into(),
            principal: self.principal.clone(),
            chat: None,
            message: None,
            locale: Some("en".into()),
            context: self.context,
            blobs: self.blobs,
            events: Arc::clone(&self.world.audience) as Arc<_>,
            children: Arc::clone(&self.world.script) as Arc<_>,
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
            depth: self.depth,
            valves: self.valves,
            user_valves: "{}".into(),
        };
        let permit = self.world.sandbox.admit(&[(plugin, Arc::clone(&limits))], self.principal.user()).await;
        let permit = permit.unwrap().remove(0);
        let budget = Budget { lent: self.lent, ..Budget::new(&limits, self.body_bytes) };
        self.world.sandbox.instantiate(self.plugin, setup, budget, permit).await
    }

    /// Begins, and leaves the rest to the caller.
    pub(crate) async fn start(self, ask: Ask) -> (Delivery, impl Future<Output = Receipt> + Send + 'static) {
        self.instantiate().await.map_err(|(error, _)| error).unwrap().start(ask)
    }

    /// Asks, and waits for answer and receipt.
    pub(crate) async fn ask(self, ask: Ask) -> (Result<Answer, CallError>, Receipt) {
        let invocation = match self.instantiate().await {
            Ok(invocation) => invocation,
            Err((error, receipt)) => return (Err(error), receipt),
        };
        let (delivery, running) = invocation.start(ask);
        let receipt = running.await;
        (delivery.await.unwrap(), receipt)
    }

    pub(crate) async fn tool(self, name: &str, arguments: Value) -> (Result<ToolResult, CallError>, Receipt) {
        let (answer, receipt) = self.ask(tool(name, arguments)).await;
        let result = answer.map(|answer| match answer {
            Answer::Tool(result) => result,
            other => panic!("{other:?}"),
        });
        (result, receipt)
    }

    /// Has the guest `misbehave` do so, and returns its text.
    pub(crate) async fn misbehave(self, how: &str, amount: u64) -> (Result<String, CallError>, Receipt) {
        let (result, receipt) = self.tool("misbehave", json!({ "how": how, "amount": amount })).await;
        let text = result.map(|mut result| match result.content.remove(0) {
            ToolContent::Text { text } => text,
            other => panic!("{other:?}"),
        });
        (text, receipt)
    }

    /// Has the guest `probe` do an import, and returns what it saw.
    pub(crate) async fn probe(self, import: &str, args: Value) -> Value {
        self.probe_with_receipt(import, args).await.0.unwrap()
    }

    pub(crate) async fn probe_with_receipt(
        self,
        import: &str,
        args: Value,
    ) -> (Result<Value, CallError>, Receipt) {
        let (result, receipt) = self.tool("call", order(import, args)).await;
        (result.map(json_of), receipt)
    }
}

/// Arguments of the tool `call` of `probe`.
pub(crate) fn order(import: &str, args: Value) -> Value {
    json!({ "import": import, "args": args, "place": "call" })
}

pub(crate) fn tool(name: &str, arguments: Value) -> Ask {
    Ask::Tool { name: name.into(), arguments: arguments.to_string() }
}

/// The JSON that a tool gave back.
pub(crate) fn json_of(mut result: ToolResult) -> Value {
    match result.content.remove(0) {
        ToolContent::Json { value } => value,
        other => panic!("{other:?}"),
    }
}

/// A chat request with one message of the user's.
pub(crate) fn request(text: &str) -> innkeeper_model::chat_request::ChatRequest {
    let body = json!({
        "model": "guest",
        "stream": true,
        "messages": [{"role": "user", "content": text}],
    });
    innkeeper_model::chat_request::ChatRequest::from_json(&body.to_string()).unwrap()
}

/// Reads a pipe's answer to its end, as one list of chunks; `None` where there was no stream.
pub(crate) async fn read_chunks(answer: Answer) -> Option<Vec<Chunk>> {
    let Answer::Reply(Reply::Chunks(mut chunks)) = answer else { return None };
    let mut read = Vec::new();
    while let Some(chunk) = chunks.recv().await {
        read.push(chunk);
    }
    Some(read)
}
