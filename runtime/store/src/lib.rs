//! SQL pools, repositories and migrations.
//! `pool` opens a database and runs statements, `migrate` makes and changes its schema, `shape` looks at a schema that
//! is not ours; above them one file per entity.

pub mod error;
mod lock;
pub mod migrate;
pub mod pool;
pub mod shape;
mod url;

pub use error::StoreError;
pub use pool::{Backend, Db, Options, Pool, RowBudget, connect};
pub use url::redact;

mod api_keys;
mod authority;
mod chat_messages;
mod chats;
mod columns;
mod config;
mod counter;
mod cursor;
mod document;
mod files;
mod invocations;
mod kv;
mod memories;
mod names;
mod plugins;
mod search;
mod share;
mod storage;
mod store;
mod transaction;
mod users;
mod valves;

pub use api_keys::{ApiKey, ApiKeyId, ApiKeys, KEYS_MAX};
pub use chat_messages::{BRANCH_MAX, ChatMessages};
pub use chats::{Chats, TITLE_MAX};
pub use columns::{SHARED_TABLES, SharedTable, WITHHELD_TABLES};
pub use config::Config;
pub use document::{CHAT_BYTES, CHAT_BYTES_MAX};
pub use files::Files;
pub use invocations::{Invocations, ReceiptFilter, StoredReceipt};
pub use kv::Kv;
pub use memories::{CONTENT_MAX, Memories};
pub use plugins::{Before, Decision, NewRevision, Plugins};
pub use storage::{ByteStream, FileStorage, LocalFiles, StoredBytes};
pub use store::Store;
pub use users::{MANY_MAX, NewUser, Users};
pub use valves::Valves;
