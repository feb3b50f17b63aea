//! What is remembered about people.

use crate::id::{MemoryId, UserId};
use crate::time::UnixSeconds;

/// A memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Which.
    pub id: MemoryId,
    /// About whom.
    pub user: UserId,
    /// Text.
    pub content: String,
    /// `user`, `context` or another.
    pub kind: String,
    /// Made.
    pub created_at: UnixSeconds,
    /// Changed.
    pub updated_at: UnixSeconds,
    /// Changes with each write.
    pub version: String,
}
