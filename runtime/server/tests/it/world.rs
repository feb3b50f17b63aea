//! A server on a database of its own, with an admin and a user who have keys.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use innkeeper_dispatch::{Dispatch, DispatchOptions};
use innkeeper_model::limits::Limits;
use innkeeper_model::permission::Grant;
use innkeeper_model::principal::Role;
use innkeeper_model::time::Clock;
use innkeeper_model::{Permission, PluginId, UserId};
use innkeeper_registry::{InstallOptions, LimitsConfig, Registry};
use innkeeper_sandbox::{EngineOptions, Sandbox, SandboxOptions};
use innkeeper_server::{Server, ServerOptions, ServerState, Stop};
use innkeeper_store::migrate::{self, Target};
use innkeeper_store::pool::Tx;
use innkeeper_store::{LocalFiles, NewUser, Options, Store, connect};
use innkeeper_testing::databases::{Backend, TestDatabase, database};
use innkeeper_testing::guests::guest;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tower::ServiceExt;

/// A person with a key.
pub(crate) struct Person {
    pub(crate) id: UserId,
    pub(crate) key: String,
}

/// A server with everything below it.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) router: Router,
    pub(crate) store: Store,
    pub(crate) registry: Registry,
    pub(crate) dispatch: Dispatch,
    pub(crate) admin: Person,
    pub(crate) user: Person,
    _dir: TempDir,
    _database: Option<TestDatabase>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The error's code, in either envelope.
    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The error's message.
    pub(crate) fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap_or_default().to_owned()
    }

    /// Fails unless the status is this one.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }
}

/// A server with default options.
pub(crate) async fn world() -> World {
    world_with(ServerOptions::default()).await
}

/// A server.
pub(crate) async fn world_with(options: ServerOptions) -> World {
    world_on(options, |_| {}).await
}

/// A server whose database has other settings.
pub(crate) async fn world_on(options: ServerOptions, change: impl FnOnce(&mut Options)) -> World {
    let dir = TempDir::new().unwrap();
    let mut database = Options::new(format!("sqlite:///{}", dir.path().join("innkeeper.db").display()));
    change(&mut database);
    world_over(&database, dir, options).await
}

/// A server on another kind of database; none where there is no server for it here.
pub(crate) async fn world_of(backend: Backend) -> Option<World> {
    let database = database(backend).await?;
    let world =
        world_over(&Options::new(&database.url), TempDir::new().unwrap(), ServerOptions::default()).await;
    Some(World { _database: Some(database), ..world })
}

async fn world_over(database: &Options, dir: TempDir, mut options: ServerOptions) -> World {
    let pool = connect(database).await.unwrap();
    migrate::upgrade(&pool, &Clock::System, Target::Latest).await.unwrap();
    let files = LocalFiles::new(dir.path().join("files")).unwrap();
    let store = Store::new(pool, Clock::System, Arc::new(files));
    let sandbox = Sandbox::new(SandboxOptions {
        engine: EngineOptions { instances: 64, ..EngineOptions::default() },
        // Machine code is kept from test to test, or each would compile the same guests.
        cache: Some(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("machine-code")),
        ..SandboxOptions::default()
    })
    .unwrap();
    let limits = LimitsConfig { defaults: Limits::default(), ceilings: Limits::ceilings() };
    let registry =
        Registry::open(store.clone(), sandbox.clone(), limits, options.component_max as u64).await.unwrap();
    let dispatch = Dispatch::new(DispatchOptions {
        registry: registry.clone(),
        store: store.clone(),
        sandbox,
        providers: Vec::new(),
        guests: tokio::runtime::Handle::current(),
        keep_instances: true,
        ask_timeout: Duration::from_secs(20),
        reconnect_grace: Duration::from_secs(2),
        stall_timeout: Duration::from_secs(60),
    })
    .unwrap();
    let admin = person(&store, "Ada", Role::Admin).await;
    let user = person(&store, "Ugo", Role::User).await;
    options.data_dir.get_or_insert(dir.path().to_owned());
    let state =
        ServerState { dispatch: dispatch.clone(), registry: registry.clone(), store: store.clone(), options };
    let server = Server::new(state);
    World {
        router: server.router(),
        server,
        store,
        registry,
        dispatch,
        admin,
        user,
        _dir: dir,
        _database: None,
    }
}

/// A person with a key.
pub(crate) async fn person(store: &Store, name: &str, role: Role) -> Person {
    let email = format!("{}@example.org", name.to_lowercase());
    let user = store.users().insert(NewUser { name: name.to_owned(), email, role }).await.unwrap();
    let (_, key) = store.api_keys().create(&user.id, "test").await.unwrap();
    Person { id: user.id, key }
}

impl World {
    /// Installs a guest and grants what it asks for, and these permissions besides.
    pub(crate) async fn install(&self, name: &str, more: &[Permission]) -> PluginId {
        let options = InstallOptions { grant_requested: true, replace: false };
        let view = self.registry.install(guest(name), options).await.unwrap();
        for permission in more {
            self.registry.grant(&view.id, *permission, Grant::default()).await.unwrap();
        }
        view.id
    }

    /// Sends a request.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Answer { status, headers, text: String::from_utf8_lossy(&body).into_owned() }
    }

    /// Sends a request without a body.
    pub(crate) async fn call(&self, method: Method, path: &str, who: &Person) -> Answer {
        self.send(request(method, path, &who.key).body(Body::empty()).unwrap()).await
    }

    /// `GET`.
    pub(crate) async fn get(&self, path: &str, who: &Person) -> Answer {
        self.call(Method::GET, path, who).await
    }

    /// Sends JSON.
    pub(crate) async fn json(&self, method: Method, path: &str, who: &Person, body: &Value) -> Answer {
        self.text(method, path, who, &body.to_string()).await
    }

    /// `POST` with JSON.
    pub(crate) async fn post(&self, path: &str, who: &Person, body: &Value) -> Answer {
        self.json(Method::POST, path, who, body).await
    }

    /// Sends a text as JSON.
    pub(crate) async fn text(&self, method: Method, path: &str, who: &Person, body: &str) -> Answer {
        let request = request(method, path, &who.key).header("content-type", "application/json");
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    /// Holds the database's lock until it is dropped; nobody else can write meanwhile. For SQLite.
    pub(crate) async fn lock(&self) -> Tx {
        innkeeper_store::Db::new(self.store.pool().clone()).begin().await.unwrap()
    }

    /// Revokes the user's key as another server would: in the database, behind this one's back.
    pub(crate) async fn revoke_elsewhere(&self) {
        let key = self.store.api_keys().list(Some(&self.user.id)).await.unwrap().remove(0);
        assert!(self.store.api_keys().revoke(&key.id).await.unwrap());
    }

    /// Listens on a free port of this machine.
    pub(crate) async fn listen(&self) -> Listening {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Stop::default();
        let task = tokio::spawn(self.server.clone().serve(listener, stop.clone()));
        Listening { address, stop, task }
    }
}

/// A request with a key.
pub(crate) fn request(method: Method, path: &str, key: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(path).header("authorization", format!("Bearer {key}"))
}

/// A client. Whoever makes one has to say who provides TLS, although nothing here uses it.
pub(crate) fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

/// A server that listens.
pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    pub(crate) stop: Stop,
    pub(crate) task: JoinHandle<()>,
}

impl Listening {
    /// An address of it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Sends the head of a request and waits until the server wants its body.
    pub(crate) async fn begin_body(&self, path: &str, key: &str, kind: &str, length: usize) -> TcpStream {
        let mut connection = TcpStream::connect(self.address).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\
             content-type: {kind}\r\ncontent-length: {length}\r\nexpect: 100-continue\r\n\r\n"
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        let wanted = b"HTTP/1.1 100 Continue\r\n\r\n";
        let mut said = vec![0; wanted.len()];
        connection.read_exact(&mut said).await.unwrap();
        assert_eq!(said, wanted, "{}", String::from_utf8_lossy(&said));
        connection
    }

    /// Waits until the server has ended.
    pub(crate) async fn ended(self, within: Duration) {
        tokio::time::timeout(within, self.task).await.unwrap().unwrap();
    }

    /// A request to send.
    pub(crate) fn post(&self, path: &str, who: &Person, body: &Value) -> reqwest::RequestBuilder {
        client().post(self.url(path)).bearer_auth(&who.key).json(body)
    }
}

/// Waits until something is so; panics after some seconds.
pub(crate) async fn until(what: &str, mut check: impl AsyncFnMut() -> bool) {
    for _ in 0..400 {
        if check().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it did not come about that {what}");
}

/// A value without what differs from run to run, by JSON pointers.
pub(crate) fn hide(mut value: Value, pointers: &[&str]) -> Value {
    for pointer in pointers {
        let hidden = value.pointer_mut(pointer).unwrap_or_else(|| panic!("nothing at {pointer}"));
        *hidden = Value::from("[…]");
    }
    value
}

/// The data of the frames of a finished stream.
pub(crate) fn frames(text: &str) -> Vec<String> {
    text.split("\n\n").filter_map(|frame| frame.strip_prefix("data: ")).map(str::to_owned).collect()
}
