//! Chats that this server stores.

pub(crate) mod append;
pub(crate) mod create;
pub(crate) mod list;
pub(crate) mod messages;
pub(crate) mod remove;
pub(crate) mod show;

use innkeeper_model::chat::Chat;
use innkeeper_model::chat_message::StoredMessage;
use innkeeper_model::{ChatId, MessageId, ModelId};
use innkeeper_store::StoreError;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::failure::{Failure, answers};

/// A chat without its messages.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChatView {
    /// Which.
    id: String,
    /// Title.
    title: String,
    /// Put away.
    archived: bool,
    /// Kept on top.
    pinned: bool,
    /// Folder.
    folder: Option<String>,
    /// Tags.
    tags: Vec<String>,
    /// End of the branch that is shown.
    current_message: Option<String>,
    /// Seconds since 1970.
    created_at: i64,
    /// Seconds since 1970.
    updated_at: i64,
    /// Changes with each write.
    version: String,
}

impl From<Chat> for ChatView {
    fn from(chat: Chat) -> Self {
        Self {
            id: chat.id.into_string(),
            title: chat.title,
            archived: chat.archived,
            pinned: chat.pinned,
            folder: chat.folder,
            tags: chat.tags,
            current_message: chat.current_message.map(MessageId::into_string),
            created_at: chat.created_at,
            updated_at: chat.updated_at,
            version: chat.version,
        }
    }
}

/// A stored message.
#[derive(Serialize, ToSchema)]
pub(crate) struct MessageView {
    /// Within its chat.
    id: String,
    /// Which chat.
    chat: String,
    /// `user`, `assistant`, …
    role: String,
    /// The message before.
    parent_id: Option<String>,
    /// Text.
    content: String,
    /// Which model answered.
    model: Option<String>,
    /// Whether the answer is complete.
    done: bool,
    /// Tokens.
    #[schema(value_type = Option<Object>)]
    usage: Option<Box<RawValue>>,
    /// What plugins attached.
    #[schema(value_type = Option<Object>)]
    files: Option<Box<RawValue>>,
    /// What the answer rests on.
    #[schema(value_type = Option<Object>)]
    sources: Option<Box<RawValue>>,
    /// What plugins show beside it.
    #[schema(value_type = Option<Object>)]
    embeds: Option<Box<RawValue>>,
    /// What plugins said while they worked.
    #[schema(value_type = Option<Object>)]
    status_history: Option<Box<RawValue>>,
    /// Why the answer failed.
    error: Option<String>,
    /// Seconds since 1970.
    created_at: i64,
    /// Seconds since 1970.
    updated_at: i64,
    /// Changes with each write.
    version: String,
}

impl From<StoredMessage> for MessageView {
    fn from(message: StoredMessage) -> Self {
        // As text: taken apart, what a page of messages holds would need many times its memory.
        let parsed = |text: Option<String>| text.and_then(|text| RawValue::from_string(text).ok());
        Self {
            id: message.id.into_string(),
            chat: message.chat.into_string(),
            role: message.role,
            parent_id: message.parent.map(MessageId::into_string),
            content: message.content,
            model: message.model.map(ModelId::into_string),
            done: message.done,
            usage: parsed(message.usage.and_then(|usage| usage.to_json().ok())),
            files: parsed(message.files),
            sources: parsed(message.sources),
            embeds: parsed(message.embeds),
            status_history: parsed(message.status_history),
            error: message.error,
            created_at: message.created_at,
            updated_at: message.updated_at,
            version: message.version,
        }
    }
}

/// Why there is nothing to do in a chat.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// None of that id, or another person's.
    #[error("there is no chat `{0}` among yours; `GET /api/chats` lists them")]
    Unknown(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Error {
    fn unknown(chat: &ChatId) -> Self {
        Self::Unknown(innkeeper_host::log::escape(chat.as_str()))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Unknown(_) => Self::not_found("unknown-chat", error.to_string()),
            Error::Store(error) => error.into(),
        }
    }
}

answers!(Error);
