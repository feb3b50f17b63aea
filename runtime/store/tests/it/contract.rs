//! The contract of the repositories: each claim is tested on each backend.

mod api_keys;
mod authority;
mod budget;
mod cancellation;
mod chat_messages;
mod chats;
mod columns;
mod config;
mod files;
mod full;
mod hostile;
mod invocations;
mod kv;
mod memories;
mod plugins;
mod shape;
mod statements;
mod users;
mod valves;

use std::sync::Arc;

use futures::stream;
use innkeeper_model::authority::Authority;
use innkeeper_model::chat::NewChat;
use innkeeper_model::chat_message::NewMessage;
use innkeeper_model::file::NewFile;
use innkeeper_model::kv::KvQuota;
use innkeeper_model::page::PageRequest;
use innkeeper_model::principal::Role;
use innkeeper_model::time::Clock;
use innkeeper_model::{ChatId, MessageId, PluginId, UserId};
use innkeeper_store::migrate::{self, Target};
use innkeeper_store::pool::{Statement, Tx};
use innkeeper_store::{Db, LocalFiles, NewUser, Options, Store, StoreError};
use innkeeper_testing::databases::{Backend, TestDatabase, database};

/// Makes one test for each backend of functions that take `&World`.
macro_rules! claims {
    ($($name:ident),* $(,)?) => {
        claims!(@backend sqlite, Sqlite, $($name),*);
        claims!(@backend postgres, Postgres, $($name),*);
        claims!(@backend mysql, MySql, $($name),*);
    };
    (@backend $module:ident, $backend:ident, $($name:ident),*) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    use innkeeper_testing::databases::Backend;
                    if let Some(world) = crate::contract::World::new(Backend::$backend).await {
                        super::$name(&world).await;
                        world.end().await;
                    }
                }
            )*
        }
    };
}
pub(crate) use claims;

/// When the manual clock begins.
const START: i64 = 1_750_000_000;
/// A quota that no test meets by accident.
const QUOTA: KvQuota = KvQuota { entries: 1000, bytes: 1 << 20 };

/// A database with the schema and four people.
struct World {
    store: Store,
    clock: Clock,
    backend: Backend,
    alice: UserId,
    bob: UserId,
    admin: UserId,
    pending: UserId,
    files: tempfile::TempDir,
    database: TestDatabase,
}

impl World {
    async fn new(backend: Backend) -> Option<Self> {
        let database = database(backend).await?;
        let pool = innkeeper_store::connect(&Options::new(&database.url)).await.unwrap();
        let clock = Clock::manual(START);
        migrate::upgrade(&pool, &clock, Target::Latest).await.unwrap();
        let files = tempfile::tempdir().unwrap();
        let storage = Arc::new(LocalFiles::new(files.path().join("uploads")).unwrap());
        let store = Store::new(pool, clock.clone(), storage);
        let person = async |name: &str, role| {
            let email = format!("{}@example.com", name.to_lowercase());
            store.users().insert(NewUser { name: name.to_owned(), email, role }).await.unwrap().id
        };
        let alice = person("Alice", Role::User).await;
        let bob = person("Bob", Role::User).await;
        let admin = person("Ada", Role::Admin).await;
        let pending = person("Pia", Role::Pending).await;
        Some(Self { store, clock, backend, alice, bob, admin, pending, files, database })
    }

    /// Nothing is left out of the pool when a test is over.
    async fn end(self) {
        settle(&self.store).await;
        self.store.pool().close().await;
        self.database.close().await.unwrap();
    }

    /// Statements that `work` sends.
    async fn count<T>(&self, work: impl Future<Output = T>) -> (u64, T) {
        let before = self.store.statements();
        let done = work.await;
        (self.store.statements() - before, done)
    }

    /// Runs a statement of the test's own.
    async fn run(&self, statement: &impl Statement) {
        Db::new(self.store.pool().clone()).execute(statement).await.unwrap();
    }

    /// A transaction of the test's own.
    async fn begin(&self) -> Tx {
        Db::new(self.store.pool().clone()).begin().await.unwrap()
    }

    async fn chat(&self, owner: &UserId, title: &str) -> ChatId {
        let new = NewChat { title: title.to_owned(), folder: None };
        self.store.chats().create(owner, &own(owner), new).await.unwrap().id
    }

    async fn say(&self, owner: &UserId, chat: &ChatId, content: &str) -> MessageId {
        self.store.chat_messages().append(&own(owner), chat, message("user", content)).await.unwrap().id
    }

    async fn file(&self, owner: &UserId, name: &str, bytes: &[u8]) -> innkeeper_model::FileId {
        let data = stream::iter([Ok(bytes::Bytes::copy_from_slice(bytes))]);
        self.store.files().create(owner, &own(owner), new_file(name), data, 1 << 20).await.unwrap().id
    }

    /// Names of all files in the storage.
    fn stored_files(&self) -> Vec<String> {
        let directory = std::fs::read_dir(self.files.path().join("uploads")).unwrap();
        directory.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

fn own(user: &UserId) -> Authority {
    Authority::Own(user.clone())
}

fn all(user: &UserId) -> Authority {
    Authority::All(user.clone())
}

fn message(role: &str, content: &str) -> NewMessage {
    NewMessage { role: role.to_owned(), content: content.to_owned(), done: true, ..NewMessage::default() }
}

fn new_file(name: &str) -> NewFile {
    NewFile { name: name.to_owned(), content_type: "text/plain".to_owned() }
}

fn plugin(id: &str) -> PluginId {
    PluginId::parse(id).unwrap()
}

fn first(limit: u32) -> PageRequest {
    PageRequest { cursor: None, limit }
}

fn after(cursor: Option<String>, limit: u32) -> PageRequest {
    PageRequest { cursor: Some(cursor.expect("there is a next page")), limit }
}

fn forged() -> PageRequest {
    PageRequest { cursor: Some("Zm9yZ2Vk".to_owned()), limit: 10 }
}

fn is_conflict<T: std::fmt::Debug>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Conflict(_)))
}

fn is_not_found<T: std::fmt::Debug>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::NotFound(_)))
}

fn is_invalid<T: std::fmt::Debug>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Invalid(_)))
}

/// Waits until all connections are back.
async fn settle(store: &Store) {
    for _ in 0..500 {
        if store.pool().in_use() == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{} connections were not given back", store.pool().in_use());
}
