//! Users, chats, messages, files, memories and stored values.

use innkeeper_model::page::Page;
use innkeeper_model::{chat, chat_message, file, kv, memory, user};

use super::{all, record};
use crate::bindings::innkeeper::types::{
    chat_messages as wit_messages, chats as wit_chats, files as wit_files, kv as wit_kv,
    memories as wit_memories, users as wit_users,
};

/// A person, without their address unless the plugin may see it.
pub fn user(user: user::User, with_email: bool) -> wit_users::User {
    wit_users::User {
        id: user.id.into_string(),
        name: user.name,
        username: user.username,
        email: with_email.then_some(user.email),
        role: user.role,
        profile_image_url: user.profile_image_url,
        bio: user.bio,
        timezone: user.timezone,
        status_emoji: user.status_emoji,
        status_message: user.status_message,
        last_active_at: user.last_active_at,
        created_at: user.created_at,
        updated_at: user.updated_at,
        extra: None,
    }
}

impl From<chat::Chat> for wit_chats::Chat {
    fn from(chat: chat::Chat) -> Self {
        Self {
            id: chat.id.into_string(),
            user: chat.user.into_string(),
            title: chat.title,
            archived: chat.archived,
            pinned: chat.pinned,
            folder: chat.folder,
            tags: chat.tags,
            current_message: chat.current_message.map(|id| id.into_string()),
            created_at: chat.created_at,
            updated_at: chat.updated_at,
            version: chat.version,
            extra: None,
        }
    }
}

record!(wit_chats::ChatFilter => chat::ChatFilter { archived, pinned, folder, title_contains });
record!(wit_chats::NewChat => chat::NewChat { title, folder });
record!(wit_chats::ChatUpdate => chat::ChatUpdate { title, archived, pinned, tags });

impl From<Page<chat::Chat>> for wit_chats::ChatPage {
    fn from(page: Page<chat::Chat>) -> Self {
        Self { items: all(page.items), next: page.next }
    }
}

impl From<chat_message::StoredMessage> for wit_messages::StoredMessage {
    fn from(message: chat_message::StoredMessage) -> Self {
        Self {
            id: message.id.into_string(),
            chat: message.chat.into_string(),
            user: message.user.map(|id| id.into_string()),
            role: message.role,
            parent: message.parent.map(|id| id.into_string()),
            content: message.content,
            model: message.model.map(|id| id.into_string()),
            done: message.done,
            usage: message.usage.map(Into::into),
            files: message.files,
            sources: message.sources,
            embeds: message.embeds,
            status_history: message.status_history,
            error: message.error,
            created_at: message.created_at,
            updated_at: message.updated_at,
            version: message.version,
            extra: message.extra,
        }
    }
}

impl From<wit_messages::StoredMessage> for chat_message::StoredMessage {
    fn from(message: wit_messages::StoredMessage) -> Self {
        Self {
            id: message.id.into(),
            chat: message.chat.into(),
            user: message.user.map(Into::into),
            role: message.role,
            parent: message.parent.map(Into::into),
            content: message.content,
            model: message.model.map(Into::into),
            done: message.done,
            usage: message.usage.map(Into::into),
            files: message.files,
            sources: message.sources,
            embeds: message.embeds,
            status_history: message.status_history,
            error: message.error,
            created_at: message.created_at,
            updated_at: message.updated_at,
            version: message.version,
            extra: message.extra,
        }
    }
}

impl From<Page<chat_message::StoredMessage>> for wit_messages::MessagePage {
    fn from(page: Page<chat_message::StoredMessage>) -> Self {
        Self { items: all(page.items), next: page.next }
    }
}

impl From<wit_messages::NewMessage> for chat_message::NewMessage {
    fn from(message: wit_messages::NewMessage) -> Self {
        Self {
            id: None,
            role: message.role,
            content: message.content,
            parent: message.parent.map(Into::into),
            model: message.model.map(Into::into),
            done: true,
        }
    }
}

impl From<wit_messages::MessageUpdate> for chat_message::MessageUpdate {
    fn from(change: wit_messages::MessageUpdate) -> Self {
        let wit_messages::MessageUpdate { content, done, files, sources, embeds } = change;
        Self { content, done, files, sources, embeds, ..Self::default() }
    }
}

impl From<file::File> for wit_files::File {
    fn from(file: file::File) -> Self {
        Self {
            id: file.id.into_string(),
            user: file.user.into_string(),
            name: file.name,
            content_type: file.content_type,
            size: file.size,
            hash: file.hash,
            created_at: file.created_at,
            updated_at: file.updated_at,
            extra: None,
        }
    }
}

impl From<Page<file::File>> for wit_files::FilePage {
    fn from(page: Page<file::File>) -> Self {
        Self { items: all(page.items), next: page.next }
    }
}

record!(wit_files::NewFile => file::NewFile { name, content_type });

impl From<memory::Memory> for wit_memories::Memory {
    fn from(memory: memory::Memory) -> Self {
        Self {
            id: memory.id.into_string(),
            user: memory.user.into_string(),
            content: memory.content,
            kind: memory.kind,
            created_at: memory.created_at,
            updated_at: memory.updated_at,
            version: memory.version,
            extra: None,
        }
    }
}

impl From<Page<memory::Memory>> for wit_memories::MemoryPage {
    fn from(page: Page<memory::Memory>) -> Self {
        Self { items: all(page.items), next: page.next }
    }
}

record!(kv::KvEntry => wit_kv::Entry { key, value, version, expires_at } + { extra: None });
