//! A dispatch over a throw-away SQLite database, with the plugins that a test names and two people: Ada and Bob.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use innkeeper_dispatch::{
    ActionTurn, ChatTurn, Dispatch, DispatchError, DispatchOptions, Frame, ProviderConfig, ToolTurn, TurnEnd,
    TurnHandle,
};
use innkeeper_model::authority::Authority;
use innkeeper_model::chat::NewChat;
use innkeeper_model::chat_request::ChatRequest;
use innkeeper_model::chunk::{Chunk, Collector};
use innkeeper_model::event::WireEvent;
use innkeeper_model::limits::Limits;
use innkeeper_model::manifest::FilterDescription;
use innkeeper_model::page::PageRequest;
use innkeeper_model::permission::{Grant, Permission};
use innkeeper_model::plugin::PluginSettings;
use innkeeper_model::principal::Role;
use innkeeper_model::receipt::Receipt;
use innkeeper_model::time::Clock;
use innkeeper_model::tool::ToolContent;
use innkeeper_model::{ChatId, PluginId, Principal, UserId};
use innkeeper_registry::{LimitsConfig, Registry};
use innkeeper_sandbox::{EngineOptions, Sandbox, SandboxOptions};
use innkeeper_store::{
    LocalFiles, NewRevision, NewUser, Options, Pool, ReceiptFilter, Store, connect, migrate,
};
use innkeeper_testing::guests::guest;
use serde_json::{Value, json};
use tokio::runtime::Handle;

/// What a world is made of.
pub(crate) struct Builder {
    plugins: Vec<Installed>,
    providers: Vec<ProviderConfig>,
    instances: u32,
    connections: u32,
    keep_instances: bool,
    ask_timeout: Duration,
    reconnect_grace: Duration,
    stall_timeout: Duration,
    clock: Clock,
    guests: Option<Handle>,
}

/// A guest as it is to be installed.
pub(crate) struct Installed {
    guest: &'static str,
    id: Option<&'static str>,
    settings: PluginSettings,
    grants: Vec<(Permission, Grant)>,
    valves: Option<Value>,
    filter: Option<fn(&mut FilterDescription)>,
}

/// A guest that is enabled and has no grants; its filter, if it has one, is in no turn.
pub(crate) fn plugin(guest: &'static str) -> Installed {
    let settings = PluginSettings { enabled: true, ..PluginSettings::default() };
    Installed { guest, id: None, settings, grants: Vec::new(), valves: None, filter: None }
}

impl Installed {
    pub(crate) fn named(mut self, id: &'static str) -> Self {
        self.id = Some(id);
        self
    }

    pub(crate) fn global(mut self) -> Self {
        self.settings.global = true;
        self
    }

    pub(crate) fn settings(mut self, change: impl FnOnce(&mut PluginSettings)) -> Self {
        change(&mut self.settings);
        self
    }

    pub(crate) fn limit(mut self, name: &str, value: u64) -> Self {
        self.settings.limits.insert(name.to_owned(), value);
        self
    }

    pub(crate) fn grant(mut self, permissions: &[Permission]) -> Self {
        self.grants.extend(permissions.iter().map(|&permission| (permission, Grant::default())));
        self
    }

    pub(crate) fn valves(mut self, valves: Value) -> Self {
        self.valves = Some(valves);
        self
    }

    /// Has its manifest describe another filter.
    pub(crate) fn filter(mut self, change: fn(&mut FilterDescription)) -> Self {
        self.filter = Some(change);
        self
    }
}

impl Builder {
    pub(crate) fn plugin(mut self, plugin: Installed) -> Self {
        self.plugins.push(plugin);
        self
    }

    pub(crate) fn provider(mut self, config: ProviderConfig) -> Self {
        self.providers.push(config);
        self
    }

    pub(crate) fn instances(mut self, instances: u32) -> Self {
        self.instances = instances;
        self
    }

    pub(crate) fn connections(mut self, connections: u32) -> Self {
        self.connections = connections;
        self
    }

    pub(crate) fn keep_instances(mut self, keep: bool) -> Self {
        self.keep_instances = keep;
        self
    }

    pub(crate) fn patience(mut self, answer: Duration, reconnect: Duration) -> Self {
        (self.ask_timeout, self.reconnect_grace) = (answer, reconnect);
        self
    }

    pub(crate) fn stall_timeout(mut self, stall_timeout: Duration) -> Self {
        self.stall_timeout = stall_timeout;
        self
    }

    /// Where guests run; else on the test's own runtime.
    pub(crate) fn guests(mut self, guests: &Handle) -> Self {
        self.guests = Some(guests.clone());
        self
    }

    /// What the server takes for the time.
    pub(crate) fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    pub(crate) async fn build(self) -> World {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:///{}", directory.path().join("data.db").display());
        let pool =
            connect(&Options { max_connections: self.connections, ..Options::new(&url) }).await.unwrap();
        migrate::upgrade(&pool, &Clock::System, migrate::Target::Latest).await.unwrap();
        let files = Arc::new(LocalFiles::new(directory.path().join("files")).unwrap());
        let store = Store::new(pool, self.clock, files);
        let ada = person(&store, "Ada").await;
        let bob = person(&store, "Bob").await;
        let sandbox = Sandbox::new(SandboxOptions {
            engine: EngineOptions { instances: self.instances, ..EngineOptions::default() },
            // Compiling takes seconds in a debug build, and each test is a process of its own.
            cache: Some(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("dispatch-machine-code")),
            ..SandboxOptions::default()
        });
        let sandbox = sandbox.unwrap();
        for plugin in self.plugins {
            install(&store, &sandbox, plugin).await;
        }
        let limits = LimitsConfig { defaults: Limits::default(), ceilings: Limits::ceilings() };
        let registry = Registry::open(store.clone(), sandbox.clone(), limits, 64 << 20).await.unwrap();
        for view in registry.list() {
            assert_eq!(view.error, None, "{}", view.id);
        }
        let dispatch = Dispatch::new(DispatchOptions {
            registry: registry.clone(),
            store: store.clone(),
            sandbox: sandbox.clone(),
            providers: self.providers,
            guests: self.guests.unwrap_or_else(Handle::current),
            keep_instances: self.keep_instances,
            ask_timeout: self.ask_timeout,
            reconnect_grace: self.reconnect_grace,
            stall_timeout: self.stall_timeout,
        });
        let slots = sandbox.free_instances();
        World {
            dispatch: dispatch.unwrap(),
            registry,
            store,
            sandbox,
            ada,
            bob,
            slots,
            _directory: directory,
        }
    }
}

async fn install(store: &Store, sandbox: &Sandbox, plugin: Installed) {
    let component = guest(plugin.guest);
    let loaded = sandbox.load(&component).await.unwrap();
    let mut manifest = sandbox.describe(&loaded).await.unwrap();
    if let Some(name) = plugin.id {
        manifest.id = id(name);
    }
    if let (Some(change), Some(filter)) = (plugin.filter, &mut manifest.filter) {
        change(filter);
    }
    let digest = loaded.digest.clone();
    let new = NewRevision { manifest, digest, size: component.len() as u64, component };
    let installed = store.plugins().install(new).await.unwrap().id;
    store.plugins().set_settings(&installed, &plugin.settings).await.unwrap();
    for (permission, grant) in plugin.grants {
        store.plugins().set_grant(&installed, permission, &grant).await.unwrap();
    }
    if let Some(valves) = plugin.valves {
        store.valves().set(&installed, &valves).await.unwrap();
    }
}

async fn person(store: &Store, name: &str) -> UserId {
    let email = format!("{}@example.org", name.to_lowercase());
    store.users().insert(NewUser { name: name.into(), email, role: Role::User }).await.unwrap().id
}

pub(crate) fn id(text: &str) -> PluginId {
    PluginId::parse(text).unwrap()
}

/// Everything of a server but HTTP.
pub(crate) struct World {
    pub(crate) dispatch: Dispatch,
    pub(crate) registry: Registry,
    pub(crate) store: Store,
    pub(crate) sandbox: Sandbox,
    pub(crate) ada: UserId,
    pub(crate) bob: UserId,
    slots: usize,
    _directory: tempfile::TempDir,
}

/// A world that is small.
pub(crate) fn world() -> Builder {
    Builder {
        plugins: Vec::new(),
        providers: Vec::new(),
        instances: 32,
        connections: 4,
        keep_instances: true,
        ask_timeout: Duration::from_secs(20),
        reconnect_grace: Duration::from_secs(5),
        stall_timeout: Duration::from_secs(60),
        clock: Clock::System,
        guests: None,
    }
}

impl World {
    /// Ada.
    pub(crate) fn principal(&self) -> Principal {
        Principal::person(self.ada.clone(), Role::User)
    }

    /// A turn of Ada's with one message, streamed.
    pub(crate) fn turn(&self, model: &str, text: &str) -> ChatTurn {
        self.turn_of(
            json!({ "model": model, "stream": true, "messages": [{"role": "user", "content": text}] }),
        )
    }

    /// The same, not streamed.
    pub(crate) fn whole_turn(&self, model: &str, text: &str) -> ChatTurn {
        self.turn_of(json!({ "model": model, "messages": [{"role": "user", "content": text}] }))
    }

    pub(crate) fn turn_of(&self, body: Value) -> ChatTurn {
        let body = body.to_string();
        ChatTurn {
            principal: self.principal(),
            request: ChatRequest::from_json(&body).unwrap(),
            chat: None,
            message: None,
            turn_id: None,
            locale: None,
            filter_ids: Vec::new(),
            store_turn: false,
            metadata: None,
            files: None,
            features: None,
            variables: None,
            body_bytes: body.len() as u64,
        }
    }

    /// Runs a turn to its end.
    pub(crate) async fn chat(&self, turn: ChatTurn) -> Said {
        match self.dispatch.chat(turn).await {
            Ok(handle) => read(handle).await,
            Err(error) => {
                Said { chunks: Vec::new(), end: TurnEnd { error: Some(error), receipts: Vec::new() } }
            }
        }
    }

    /// Asks for an action on the messages of a chat.
    pub(crate) fn action_turn(&self, plugin: &str, action: &str, chat: Option<ChatId>) -> ActionTurn {
        ActionTurn {
            principal: self.principal(),
            plugin: id(plugin),
            action: action.to_owned(),
            chat,
            messages: None,
            message: None,
            locale: None,
            body_bytes: 0,
        }
    }

    /// Asks for a tool call.
    pub(crate) fn tool_turn(&self, plugin: &str, tool: &str, arguments: Value) -> ToolTurn {
        ToolTurn {
            principal: self.principal(),
            plugin: id(plugin),
            tool: tool.to_owned(),
            arguments,
            turn_id: None,
            chat: None,
            message: None,
            locale: None,
            body_bytes: 0,
        }
    }

    /// Calls a tool, and takes what it gave back first.
    pub(crate) async fn tool(
        &self,
        plugin: &str,
        tool: &str,
        arguments: Value,
    ) -> Result<Value, DispatchError> {
        let outcome = self.dispatch.call_tool(self.tool_turn(plugin, tool, arguments)).await?;
        Ok(match outcome.result.content.into_iter().next() {
            Some(ToolContent::Json { value }) => value,
            Some(ToolContent::Text { text }) => Value::String(text),
            other => panic!("{other:?}"),
        })
    }

    /// Has `probe` do an import.
    pub(crate) async fn probe(&self, import: &str, args: Value) -> Value {
        self.tool("probe", "call", json!({ "import": import, "args": args })).await.unwrap()
    }

    /// Receipts of the turn of these calls, in the order in which the calls were made.
    pub(crate) async fn receipts(&self, ids: &[String]) -> Vec<Receipt> {
        let mut receipts = Vec::new();
        for id in ids {
            receipts.push(self.receipt(id).await);
        }
        receipts
    }

    /// A receipt, once it is there.
    pub(crate) async fn receipt(&self, id: &str) -> Receipt {
        for _ in 0..1_000 {
            self.dispatch.receipts().flush().await;
            if let Some(stored) = self.store.invocations().get(id).await.unwrap() {
                return stored.receipt;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("there is no receipt of call `{id}`");
    }

    /// Plugin and export of each call of a turn, in order.
    pub(crate) async fn trail(&self, said: &Said) -> Vec<String> {
        let receipts = self.receipts(&said.end.receipts).await;
        receipts.iter().map(|receipt| format!("{} {}", receipt.plugin, receipt.export)).collect()
    }

    /// Receipts of a plugin that are there, the latest call first.
    pub(crate) async fn receipts_of(&self, plugin: &str) -> Vec<Receipt> {
        self.dispatch.receipts().flush().await;
        let filter = ReceiptFilter { plugin: Some(id(plugin)), ..ReceiptFilter::default() };
        let page = PageRequest { cursor: None, limit: 100 };
        let stored = self.store.invocations().list(&filter, &page).await.unwrap().items;
        stored.into_iter().map(|stored| stored.receipt).collect()
    }

    /// Makes an empty chat of a person's.
    pub(crate) async fn new_chat(&self, user: &UserId, title: &str) -> ChatId {
        let new = NewChat { title: title.to_owned(), folder: None };
        self.store.chats().create(user, &Authority::Own(user.clone()), new).await.unwrap().id
    }

    /// The database itself, where a test has to look at it, or to change what others may not.
    pub(crate) fn sqlite(&self) -> &sqlx::SqlitePool {
        let Pool::Sqlite(pool) = self.store.pool() else { panic!("these tests run on SQLite") };
        pool
    }

    /// Instances that there may be at once.
    pub(crate) fn slots(&self) -> usize {
        self.slots
    }

    /// Fails where something was left behind: a slot, a connection, a question, a turn.
    pub(crate) async fn assert_idle(&self) {
        let now = || {
            (
                self.dispatch.running(),
                self.sandbox.free_instances(),
                self.store.pool().in_use(),
                self.dispatch.hub().open_questions(),
            )
        };
        let idle = (0, self.slots, 0, 0);
        for _ in 0..500 {
            if now() == idle {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(now(), idle, "running, free instances, connections in use, open questions");
    }
}

/// Reads a turn to its end.
pub(crate) async fn read(mut handle: TurnHandle) -> Said {
    let mut chunks = Vec::new();
    loop {
        let frame = tokio::time::timeout(Duration::from_secs(30), handle.frames.recv()).await;
        match frame.expect("a frame within 30 seconds") {
            Some(Frame::Chunk(chunk)) => chunks.push(chunk),
            Some(Frame::End(end)) => return Said { chunks, end },
            None => panic!("the frames ended without `End`"),
        }
    }
}

/// What came of a turn.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) end: TurnEnd,
}

impl Said {
    /// The answer's text; fails where the turn did.
    pub(crate) fn text(&self) -> String {
        assert_eq!(self.end.error, None, "{:?}", self.chunks);
        self.partial()
    }

    /// The text as far as it came.
    pub(crate) fn partial(&self) -> String {
        let mut collected = Collector::default();
        self.chunks.iter().for_each(|chunk| collected.add(chunk).unwrap());
        collected.text(0).to_owned()
    }

    pub(crate) fn error(self) -> DispatchError {
        self.end.error.expect("the turn fails")
    }

    pub(crate) fn events(&self) -> Vec<&WireEvent> {
        self.chunks
            .iter()
            .filter_map(|chunk| if let Chunk::Event(event) = chunk { Some(event) } else { None })
            .collect()
    }

    pub(crate) fn texts(&self) -> Vec<&str> {
        self.chunks
            .iter()
            .filter_map(|chunk| if let Chunk::Text(text) = chunk { Some(text.as_str()) } else { None })
            .collect()
    }
}

/// An order for `probe`, as a message.
pub(crate) fn order(place: &str, import: &str, args: Value) -> String {
    json!({ "import": import, "args": args, "place": place }).to_string()
}

/// Arguments of `probe` for a completion.
pub(crate) fn completion(model: &str, text: &str) -> Value {
    json!({ "request": {
        "model": model,
        "messages": [{"role": "user", "content": {"Text": text}, "tool_calls": []}],
        "tools": [],
        "params": "{}",
    }})
}

/// The same turn, stored in a chat.
pub(crate) fn stored(turn: ChatTurn, chat: &ChatId) -> ChatTurn {
    ChatTurn { chat: Some(chat.clone()), store_turn: true, ..turn }
}

/// Waits until a claim holds.
pub(crate) async fn soon(what: &str, mut claim: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(10), async {
        while !claim() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "not within 10 seconds: {what}");
}
