//! The store: one database and one place for files, and the repositories over them.
//! What SQL each of them sends is in the file of its entity.

use std::fmt;
use std::sync::Arc;

use innkeeper_model::PluginId;
use innkeeper_model::time::Clock;
use tokio::time::Instant;

use crate::api_keys::ApiKeys;
use crate::chat_messages::ChatMessages;
use crate::chats::Chats;
use crate::config::Config;
use crate::error::StoreError;
use crate::files::Files;
use crate::invocations::{Invocations, Numbers};
use crate::kv::Kv;
use crate::memories::Memories;
use crate::plugins::Plugins;
use crate::pool::{Backend, Db, Pool, RowBudget};
use crate::shape::{self, Shape};
use crate::share::Shares;
use crate::storage::FileStorage;
use crate::users::Users;
use crate::valves::Valves;

/// Bytes that one statement gives to a caller who has no budget, as clients of the server have none.
const READ_MAX: u64 = 32 << 20;

/// A database with its repositories. Cheap to clone; clones count statements together.
#[derive(Clone)]
pub struct Store {
    /// Without a budget: for what the store reads for its own purposes inside of writes.
    db: Db,
    /// Bounded by the budget, or each statement by `READ_MAX`: for what a caller is given.
    reads: Db,
    parts: Arc<Parts>,
}

struct Parts {
    clock: Clock,
    files: Arc<dyn FileStorage>,
    shares: Shares,
    numbers: Numbers,
}

impl Store {
    /// A store over a pool whose schema is there.
    pub fn new(pool: Pool, clock: Clock, files: Arc<dyn FileStorage>) -> Self {
        let shares = Shares::of(pool.max_connections());
        let db = Db::new(pool);
        let parts = Parts { clock, files, shares, numbers: Numbers::default() };
        Self { reads: db.with_read_max(READ_MAX), db, parts: Arc::new(parts) }
    }

    /// The same store, which takes its connections from a plugin's share and waits in that plugin's queue.
    pub fn for_plugin(&self, plugin: &PluginId) -> Self {
        let share = self.parts.shares.get(plugin);
        Self {
            db: self.db.with_share(Arc::clone(&share)),
            reads: self.reads.with_share(share),
            parts: Arc::clone(&self.parts),
        }
    }

    /// The same store, where everything that is read counts against a budget.
    pub fn with_row_budget(&self, budget: Arc<RowBudget>) -> Self {
        Self { reads: self.reads.with_budget(budget), ..self.clone() }
    }

    /// Statements sent so far by this store and its clones; BEGIN, COMMIT and ROLLBACK are not counted.
    pub fn statements(&self) -> u64 {
        self.db.statements()
    }

    /// When a write last failed because there was no space left.
    pub fn last_full(&self) -> Option<Instant> {
        self.db.last_full()
    }

    /// Looks whether shared tables are as this program knows them; where they are not, they are only read from now on.
    ///
    /// # Errors
    /// What a statement can meet.
    pub async fn refresh_shape(&self) -> Result<Shape, StoreError> {
        shape::refresh(&self.db).await
    }

    /// Does so every minute, and soon after a statement met a table or column that is not there. Never ends.
    pub async fn watch_shape(&self) {
        shape::watch(&self.db).await;
    }

    /// The pool.
    pub fn pool(&self) -> &Pool {
        self.db.pool()
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.parts.clock
    }

    /// People.
    pub fn users(&self) -> Users {
        Users { store: self.clone() }
    }

    /// Keys for HTTP clients.
    pub fn api_keys(&self) -> ApiKeys {
        ApiKeys { store: self.clone() }
    }

    /// Chats without their messages.
    pub fn chats(&self) -> Chats {
        Chats { store: self.clone() }
    }

    /// Messages of chats.
    pub fn chat_messages(&self) -> ChatMessages {
        ChatMessages { store: self.clone() }
    }

    /// Stored files.
    pub fn files(&self) -> Files {
        Files { store: self.clone() }
    }

    /// What is remembered about people.
    pub fn memories(&self) -> Memories {
        Memories { store: self.clone() }
    }

    /// Installed plugins.
    pub fn plugins(&self) -> Plugins {
        Plugins { store: self.clone() }
    }

    /// Plugins' settings.
    pub fn valves(&self) -> Valves {
        Valves { store: self.clone() }
    }

    /// Plugins' own storage.
    pub fn kv(&self) -> Kv {
        Kv { store: self.clone() }
    }

    /// Receipts.
    pub fn invocations(&self) -> Invocations {
        Invocations { store: self.clone() }
    }

    /// Settings of the server.
    pub fn config(&self) -> Config {
        Config { store: self.clone() }
    }

    pub(crate) fn db(&self) -> &Db {
        &self.db
    }

    pub(crate) fn reads(&self) -> &Db {
        &self.reads
    }

    pub(crate) fn backend(&self) -> Backend {
        self.db.backend()
    }

    pub(crate) fn storage(&self) -> &Arc<dyn FileStorage> {
        &self.parts.files
    }

    pub(crate) fn numbers(&self) -> &Numbers {
        &self.parts.numbers
    }

    pub(crate) fn now(&self) -> i64 {
        self.parts.clock.seconds()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("backend", &self.backend()).finish_non_exhaustive()
    }
}
