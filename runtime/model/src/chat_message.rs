//! Messages as they are stored.

use crate::chat_request::Usage;
use crate::id::{ChatId, MessageId, ModelId, UserId};
use crate::time::UnixSeconds;

/// A stored message. Fields that end in `json` are JSON text.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredMessage {
    /// Within its chat.
    pub id: MessageId,
    /// Which chat.
    pub chat: ChatId,
    /// Whose.
    pub user: Option<UserId>,
    /// `user`, `assistant`, …
    pub role: String,
    /// The message before.
    pub parent: Option<MessageId>,
    /// Text.
    pub content: String,
    /// Which model answered.
    pub model: Option<ModelId>,
    /// Whether the answer is complete.
    pub done: bool,
    /// Tokens.
    pub usage: Option<Usage>,
    /// Array.
    pub files: Option<String>,
    /// Array.
    pub sources: Option<String>,
    /// Array.
    pub embeds: Option<String>,
    /// Array.
    pub status_history: Option<String>,
    /// Why the answer failed.
    pub error: Option<String>,
    /// Made.
    pub created_at: UnixSeconds,
    /// Changed.
    pub updated_at: UnixSeconds,
    /// Changes with each write.
    pub version: String,
    /// Other fields, a JSON object.
    pub extra: Option<String>,
}

impl StoredMessage {
    /// A complete message of nothing but text, in nobody's name, at time 0.
    pub fn new(id: MessageId, chat: ChatId, role: impl Into<String>, content: impl Into<String>) -> Self {
        Self {
            id,
            chat,
            user: None,
            role: role.into(),
            parent: None,
            content: content.into(),
            model: None,
            done: true,
            usage: None,
            files: None,
            sources: None,
            embeds: None,
            status_history: None,
            error: None,
            created_at: 0,
            updated_at: 0,
            version: String::new(),
            extra: None,
        }
    }
}

/// A message to append.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewMessage {
    /// Id to give it; a new UUID where `None`.
    pub id: Option<MessageId>,
    /// `user`, `assistant`, …
    pub role: String,
    /// Text.
    pub content: String,
    /// The message before; the chat's current message where `None`.
    pub parent: Option<MessageId>,
    /// Which model answers.
    pub model: Option<ModelId>,
    /// Whether it is complete.
    pub done: bool,
}

/// What to change. Fields that hold arrays are JSON text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MessageUpdate {
    /// Text.
    pub content: Option<String>,
    /// Whether the answer is complete.
    pub done: Option<bool>,
    /// Array.
    pub files: Option<String>,
    /// Array.
    pub sources: Option<String>,
    /// Array.
    pub embeds: Option<String>,
    /// Array.
    pub status_history: Option<String>,
    /// Tokens.
    pub usage: Option<Usage>,
    /// JSON.
    pub error: Option<String>,
    /// Text before an outlet filter changed it; kept beside the text as upstream does.
    pub original_content: Option<String>,
}
