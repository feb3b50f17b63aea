//! `chats`: chats without their messages.

use innkeeper_model::chat::{Chat, ChatFilter, ChatUpdate, NewChat};
use innkeeper_model::page::{Page, PageRequest};
use innkeeper_model::{ChatId, Error, Permission};
use innkeeper_store::TITLE_MAX;
use wasmtime::component::Accessor;

use crate::bindings::innkeeper::plugin::chats::{self as wit, HostWithStore};
use crate::bindings::innkeeper::types::common;
use crate::call::{CallHandle, Interface};
use crate::fault::{Fault, Settled, settle};
use crate::state::{Host, State, handle};
use crate::task;
use crate::weigh::Weigh;

const READ: Permission = Permission::ChatsRead;
const WRITE: Permission = Permission::ChatsWrite;

/// Most tags of a chat, and longest tag in bytes.
const TAGS_MAX: (usize, usize) = (64, 128);

async fn get(call: CallHandle, chat: ChatId) -> Result<Option<Chat>, Fault> {
    let call = call.begin(Interface::Chats, READ, chat.weigh())?;
    let (chats, authority) = (call.store().chats(), call.authority(READ));
    let found = task::run(async move { chats.get(&authority, &chat).await }).await?;
    call.finish(found)
}

async fn list(call: CallHandle, filter: ChatFilter, page: PageRequest) -> Result<Page<Chat>, Fault> {
    let call = call.begin(Interface::Chats, READ, (&filter, &page).weigh())?;
    let (chats, authority) = (call.store().chats(), call.authority(READ));
    let found = task::run(async move { chats.list(&authority, &filter, &page).await }).await?;
    call.finish(found)
}

async fn create(call: CallHandle, chat: NewChat) -> Result<Chat, Fault> {
    let call = call.begin(Interface::Chats, WRITE, chat.weigh())?;
    check_title(&chat.title)?;
    let (chats, authority) = (call.store().chats(), call.authority(WRITE));
    let user = call.user()?.clone();
    let made = task::write(async move { chats.create(&user, &authority, chat).await }).await?;
    call.finish_write(made)
}

async fn update(call: CallHandle, chat: ChatId, change: ChatUpdate, version: String) -> Result<Chat, Fault> {
    let call = call.begin(Interface::Chats, WRITE, (&(&chat, &change), &version).weigh())?;
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
    let (chats, authority) = (call.store().chats(), call.authority(WRITE));
    let changed =
        task::write(async move { chats.update(&authority, &chat, &change, &version).await }).await?;
    call.finish_write(changed)
}

async fn delete(call: CallHandle, chat: ChatId) -> Result<bool, Fault> {
    let call = call.begin(Interface::Chats, WRITE, chat.weigh())?;
    let (chats, authority) = (call.store().chats(), call.authority(WRITE));
    let deleted = task::write(async move { chats.delete(&authority, &chat).await }).await?;
    call.finish_write(deleted)
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
