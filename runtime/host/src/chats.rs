//! `chats`: chats without their messages.

use innkeeper_model::chat::{Chat, ChatFilter, ChatUpdate, NewChat};
use innkeeper_model::page::{Page, PageRequest};
use innkeeper_model::{ChatId, Error, Permission};
use wasmtime::component::Accessor;

use crate::bindings::innkeeper::plugin::chats::{self as wit, HostWithStore};
use crate::bindings::innkeeper::types::common;
use crate::call::{CallHandle, Interface};
use crate::fault::{Fault, Settled, settle};
use crate::state::{Host, State, handle};
use crate::weigh::Weigh;

const READ: Permission = Permission::ChatsRead;
const WRITE: Permission = Permission::ChatsWrite;

/// Longest title, in bytes.
const TITLE_MAX: usize = 1024;
/// Most tags of a chat, and longest tag in bytes.
const TAGS_MAX: (usize, usize) = (64, 128);

async fn get(call: CallHandle, id: ChatId) -> Result<Option<Chat>, Fault> {
    let call = call.begin(Interface::Chats, READ, id.weigh())?;
    let found = call.store().chats().get(&call.authority(READ), &id).await?;
    call.finish(found)
}

async fn list(call: CallHandle, filter: ChatFilter, page: PageRequest) -> Result<Page<Chat>, Fault> {
    let call = call.begin(Interface::Chats, READ, (&filter, &page).weigh())?;
    let found = call.store().chats().list(&call.authority(READ), &filter, &page).await?;
    call.finish(found)
}

async fn create(call: CallHandle, chat: NewChat) -> Result<Chat, Fault> {
    let call = call.begin(Interface::Chats, WRITE, chat.weigh())?;
    check_title(&chat.title)?;
    let made = call.store().chats().create(call.user()?, &call.authority(WRITE), chat).await?;
    call.finish(made)
}

async fn update(call: CallHandle, id: ChatId, change: ChatUpdate, version: String) -> Result<Chat, Fault> {
    let call = call.begin(Interface::Chats, WRITE, (&(&id, &change), &version).weigh())?;
    change.title.as_deref().map_or(Ok(()), check_title)?;
    let (count, length) = TAGS_MAX;
    if change
        .tags
        .as_ref()
        .is_some_and(|tags| tags.len() > count || tags.iter().any(|tag| tag.len() > length))
    {
        return Err(Error::invalid(
            "tags",
            format!("a chat has at most {count} tags of at most {length} bytes"),
        )
        .into());
    }
    let changed = call.store().chats().update(&call.authority(WRITE), &id, &change, &version).await?;
    call.finish(changed)
}

async fn delete(call: CallHandle, id: ChatId) -> Result<bool, Fault> {
    let call = call.begin(Interface::Chats, WRITE, id.weigh())?;
    let deleted = call.store().chats().delete(&call.authority(WRITE), &id).await?;
    call.finish(deleted)
}

fn check_title(title: &str) -> Result<(), Error> {
    if title.len() <= TITLE_MAX {
        return Ok(());
    }
    Err(Error::invalid(
        "title",
        format!("the title has {} bytes; at most {TITLE_MAX} are allowed", title.len()),
    ))
}

impl HostWithStore<State> for Host {
    async fn get(accessor: &Accessor<State, Self>, id: String) -> Settled<Option<wit::Chat>> {
        settle(get(handle(accessor), id.into()).await.map(|found| found.map(Into::into)))
    }

    async fn list(
        accessor: &Accessor<State, Self>,
        filter: wit::ChatFilter,
        page: common::Page,
    ) -> Settled<wit::ChatPage> {
        settle(list(handle(accessor), filter.into(), page.into()).await.map(Into::into))
    }

    async fn create(accessor: &Accessor<State, Self>, chat: wit::NewChat) -> Settled<wit::Chat> {
        settle(create(handle(accessor), chat.into()).await.map(Into::into))
    }

    async fn update(
        accessor: &Accessor<State, Self>,
        id: String,
        change: wit::ChatUpdate,
        version: String,
    ) -> Settled<wit::Chat> {
        settle(update(handle(accessor), id.into(), change.into(), version).await.map(Into::into))
    }

    async fn delete(accessor: &Accessor<State, Self>, id: String) -> Settled<bool> {
        settle(delete(handle(accessor), id.into()).await)
    }
}

impl wit::Host for State {}
