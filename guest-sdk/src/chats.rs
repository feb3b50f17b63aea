//! Chats. Permissions `chats.read` and `chats.write`.

use crate::bindings::innkeeper::plugin::chats as imported;
pub use crate::bindings::innkeeper::types::chats::{Chat, ChatFilter, ChatPage, ChatUpdate, NewChat};
use crate::{Error, Page};

/// One chat; `None` where there is none that the plugin may see.
///
/// # Errors
/// [`Error::Denied`].
pub async fn get(id: impl Into<String>) -> Result<Option<Chat>, Error> {
    Ok(imported::get(id.into()).await?)
}

/// Chats, latest change first. `ChatFilter::default()` lets all pass.
///
/// # Errors
/// [`Error::Denied`], [`Error::Invalid`].
pub async fn list(filter: ChatFilter, page: Page) -> Result<ChatPage, Error> {
    Ok(imported::list(filter, page).await?)
}

/// Makes an empty chat of the person for whom the plugin acts.
///
/// # Errors
/// [`Error::Denied`], [`Error::Invalid`], [`Error::Unavailable`].
pub async fn create(title: impl Into<String>) -> Result<Chat, Error> {
    Ok(imported::create(NewChat { title: title.into(), folder: None }).await?)
}

/// Makes an empty chat, in a folder if one is named.
///
/// # Errors
/// As [`create`].
pub async fn create_in(chat: NewChat) -> Result<Chat, Error> {
    Ok(imported::create(chat).await?)
}

/// Changes a chat if it still is as it was read.
///
/// # Errors
/// [`Error::Denied`], [`Error::Invalid`], [`Error::Conflict`], [`Error::Unavailable`].
pub async fn update(chat: &Chat, change: ChatUpdate) -> Result<Chat, Error> {
    Ok(imported::update(chat.id.clone(), change, chat.version.clone()).await?)
}

/// Deletes a chat with its messages; false where there is none that the plugin may delete.
///
/// # Errors
/// [`Error::Denied`], [`Error::Unavailable`].
pub async fn delete(id: impl Into<String>) -> Result<bool, Error> {
    Ok(imported::delete(id.into()).await?)
}

#[expect(clippy::derivable_impls, reason = "the type is generated")]
impl Default for ChatFilter {
    fn default() -> Self {
        Self { archived: None, pinned: None, folder: None, title_contains: None }
    }
}

#[expect(clippy::derivable_impls, reason = "the type is generated")]
impl Default for ChatUpdate {
    fn default() -> Self {
        Self { title: None, archived: None, pinned: None, tags: None }
    }
}
