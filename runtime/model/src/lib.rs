//! Plain types and ids that every level shares: no I/O, no clock, no randomness.

pub mod authority;
pub mod chat;
pub mod chat_message;
pub mod chat_request;
pub mod chunk;
pub mod config;
pub mod error;
pub mod event;
pub mod file;
pub mod id;
pub mod json;
pub mod kv;
pub mod limits;
pub mod manifest;
pub mod memory;
pub mod page;
pub mod permission;
pub mod plugin;
pub mod principal;
pub mod receipt;
pub mod sse;
pub mod time;
pub mod tool;
pub mod user;

pub use error::{Error, ErrorCode, PluginError};
pub use id::{ChatId, FileId, MemoryId, MessageId, ModelId, PluginId, UserId};
pub use permission::Permission;
pub use principal::Principal;
