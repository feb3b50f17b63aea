//! Stored files without their bytes.

use crate::id::{FileId, UserId};
use crate::time::UnixSeconds;

/// A stored file. Where its bytes are is not part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Which.
    pub id: FileId,
    /// Whose.
    pub user: UserId,
    /// A name to show.
    pub name: String,
    /// Media type.
    pub content_type: Option<String>,
    /// Bytes.
    pub size: Option<u64>,
    /// Hash of the content as whoever stored it recorded it.
    pub hash: Option<String>,
    /// Made.
    pub created_at: UnixSeconds,
    /// Changed.
    pub updated_at: UnixSeconds,
}

/// A file to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFile {
    /// A name to show; never a path.
    pub name: String,
    /// Media type.
    pub content_type: String,
}
