//! Messages of chats, as they are stored. Permissions `chat-messages.read` and `chat-messages.write`.

use crate::bindings::innkeeper::plugin::chat_messages as imported;
pub use crate::bindings::innkeeper::types::chat_messages::{
    MessagePage, MessageUpdate, NewMessage, StoredMessage,
};
use crate::{Error, Page};

/// One message; `None` where there is none that the plugin may see.
///
/// # Errors
/// [`Error::Denied`].
pub async fn get(chat: impl Into<String>, id: impl Into<String>) -> Result<Option<StoredMessage>, Error> {
    Ok(imported::get(chat.into(), id.into()).await?)
}

/// All messages of a chat, oldest first.
///
/// # Errors
/// [`Error::Denied`], [`Error::Invalid`].
pub async fn list(chat: impl Into<String>, page: Page) -> Result<MessagePage, Error> {
    Ok(imported::list(chat.into(), page).await?)
}

/// The branch that ends with `leaf`, or with the chat's current message, oldest first.
///
/// # Errors
/// [`Error::Denied`], [`Error::QuotaExceeded`].
pub async fn branch(chat: impl Into<String>, leaf: Option<&str>) -> Result<Vec<StoredMessage>, Error> {
    Ok(imported::branch(chat.into(), leaf.map(str::to_owned)).await?)
}

/// Appends a message and makes it current.
///
/// # Errors
/// [`Error::Denied`], [`Error::Invalid`], [`Error::Unavailable`].
pub async fn append(chat: impl Into<String>, message: NewMessage) -> Result<StoredMessage, Error> {
    Ok(imported::append(chat.into(), message).await?)
}

/// Changes a message if it still is as it was read.
///
/// # Errors
/// [`Error::Denied`], [`Error::Invalid`], [`Error::Conflict`], [`Error::Unavailable`].
pub async fn update(message: &StoredMessage, change: MessageUpdate) -> Result<StoredMessage, Error> {
    Ok(imported::update(message.chat.clone(), message.id.clone(), change, message.version.clone()).await?)
}

impl NewMessage {
    /// A message at the end of the chat.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self { role: role.into(), content: content.into(), parent: None, model: None }
    }
}

#[expect(clippy::derivable_impls, reason = "the type is generated")]
impl Default for MessageUpdate {
    fn default() -> Self {
        Self { content: None, done: None, files: None, sources: None, embeds: None }
    }
}
