//! Storage that belongs to a plugin.

use crate::id::{PluginId, UserId};
use crate::time::UnixSeconds;

/// Whose storage. The plugin's id is the plugin that calls, unless an operator paired two plugins for `Turn`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KvScope {
    /// A plugin and a person.
    User(PluginId, UserId),
    /// A plugin and a turn.
    Turn(PluginId, String),
    /// A plugin, for everybody.
    Shared(PluginId),
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KvEntry {
    /// Its key.
    pub key: String,
    /// Its bytes.
    pub value: Vec<u8>,
    /// Changes with each write.
    pub version: u64,
    /// When it goes.
    pub expires_at: Option<UnixSeconds>,
}

/// Bounds of one scope's storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KvQuota {
    /// Entries at most.
    pub entries: u64,
    /// Bytes of keys and values at most.
    pub bytes: u64,
}

/// Longest key, in bytes.
pub const KEY_MAX: usize = 512;
/// Largest value, in bytes.
pub const VALUE_MAX: usize = 256 * 1024;
