//! Chats without their messages.

use crate::id::{ChatId, MessageId, UserId};
use crate::time::UnixSeconds;

/// A chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chat {
    /// Which.
    pub id: ChatId,
    /// Whose.
    pub user: UserId,
    /// Title.
    pub title: String,
    /// Put away.
    pub archived: bool,
    /// Kept on top.
    pub pinned: bool,
    /// Folder.
    pub folder: Option<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// End of the branch that is shown.
    pub current_message: Option<MessageId>,
    /// Made.
    pub created_at: UnixSeconds,
    /// Changed.
    pub updated_at: UnixSeconds,
    /// Changes with each write.
    pub version: String,
}

/// Which chats to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChatFilter {
    /// `None`: both.
    pub archived: Option<bool>,
    /// `None`: both.
    pub pinned: Option<bool>,
    /// Only of this folder.
    pub folder: Option<String>,
    /// Part of the title, without regard to ASCII case.
    pub title_contains: Option<String>,
}

/// What a new chat starts with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewChat {
    /// Title.
    pub title: String,
    /// Folder.
    pub folder: Option<String>,
}

/// What to change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChatUpdate {
    /// Title.
    pub title: Option<String>,
    /// Put away.
    pub archived: Option<bool>,
    /// Kept on top.
    pub pinned: Option<bool>,
    /// All tags.
    pub tags: Option<Vec<String>>,
}
