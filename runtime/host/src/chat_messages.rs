//! `chat-messages`: messages as they are stored.

use innkeeper_model::chat_message::{MessageUpdate, NewMessage, StoredMessage};
use innkeeper_model::event::source_shows_html;
use innkeeper_model::page::{Page, PageRequest};
use innkeeper_model::{ChatId, Error, MessageId, Permission, json};
use wasmtime::component::Accessor;

use crate::bindings::innkeeper::plugin::chat_messages::{self as wit, HostWithStore};
use crate::bindings::innkeeper::types::common;
use crate::call::{CallHandle, Interface};
use crate::convert::all;
use crate::convert::json::check_array;
use crate::fault::{Fault, Settled, settle};
use crate::state::{Host, State, handle};
use crate::task;
use crate::weigh::Weigh;

const READ: Permission = Permission::ChatMessagesRead;
const WRITE: Permission = Permission::ChatMessagesWrite;

async fn get(call: CallHandle, chat: ChatId, id: MessageId) -> Result<Option<StoredMessage>, Fault> {
    let call = call.begin(Interface::ChatMessages, READ, (&chat, &id).weigh())?;
    let (messages, authority) = (call.store().chat_messages(), call.authority(READ));
    let found = task::run(async move { messages.get(&authority, &chat, &id).await }).await?;
    call.finish(found)
}

async fn list(call: CallHandle, chat: ChatId, page: PageRequest) -> Result<Page<StoredMessage>, Fault> {
    let call = call.begin(Interface::ChatMessages, READ, (&chat, &page).weigh())?;
    let (messages, authority) = (call.store().chat_messages(), call.authority(READ));
    let found = task::run(async move { messages.list(&authority, &chat, &page).await }).await?;
    call.finish(found)
}

async fn branch(
    call: CallHandle,
    chat: ChatId,
    leaf: Option<MessageId>,
) -> Result<Vec<StoredMessage>, Fault> {
    let call = call.begin(Interface::ChatMessages, READ, (&chat, &leaf).weigh())?;
    let (messages, authority) = (call.store().chat_messages(), call.authority(READ));
    let found = task::run(async move { messages.branch(&authority, &chat, leaf.as_ref()).await }).await?;
    call.finish(found)
}

async fn append(call: CallHandle, chat: ChatId, message: NewMessage) -> Result<StoredMessage, Fault> {
    let call = call.begin(Interface::ChatMessages, WRITE, (&chat, &message).weigh())?;
    if !matches!(message.role.as_str(), "user" | "assistant" | "system") {
        return Err(Error::invalid(
            "role",
            "the role of a stored message is `user`, `assistant` or `system`",
        )
        .into());
    }
    let (messages, authority) = (call.store().chat_messages(), call.authority(WRITE));
    let stored = task::write(async move { messages.append(&authority, &chat, message).await }).await?;
    call.finish_write(stored)
}

async fn update(
    call: CallHandle,
    chat: ChatId,
    id: MessageId,
    change: MessageUpdate,
    version: String,
) -> Result<StoredMessage, Fault> {
    let call = call.begin(Interface::ChatMessages, WRITE, (&(&chat, &id), &(&change, &version)).weigh())?;
    for (field, array) in [("files", &change.files), ("sources", &change.sources), ("embeds", &change.embeds)]
    {
        check_array(field, array.as_ref())?;
    }
    if change.embeds.is_some() || change.sources.as_deref().map_or(Ok(false), show_html)? {
        call.require(Permission::EventsHtml)?;
    }
    let (messages, authority) = (call.store().chat_messages(), call.authority(WRITE));
    let changed =
        task::write(async move { messages.update(&authority, &chat, &id, &change, &version).await }).await?;
    call.finish_write(changed)
}

/// Whether one of these sources shows a document.
fn show_html(sources: &str) -> Result<bool, Error> {
    let unreadable =
        |error: json::ParseError| Error::invalid("sources", format!("`sources` cannot be kept: {error}"));
    let (sources, _) = json::parse(sources, json::MAX_VALUES).map_err(unreadable)?;
    Ok(sources.as_array().is_some_and(|sources| sources.iter().any(source_shows_html)))
}

impl HostWithStore<State> for Host {
    async fn get(
        accessor: &Accessor<State, Self>,
        chat: String,
        id: String,
    ) -> Settled<Option<wit::StoredMessage>> {
        settle(get(handle(accessor), chat.into(), id.into()).await.map(|found| found.map(Into::into)))
    }

    async fn list(
        accessor: &Accessor<State, Self>,
        chat: String,
        page: common::Page,
    ) -> Settled<wit::MessagePage> {
        settle(list(handle(accessor), chat.into(), page.into()).await.map(Into::into))
    }

    async fn branch(
        accessor: &Accessor<State, Self>,
        chat: String,
        leaf: Option<String>,
    ) -> Settled<Vec<wit::StoredMessage>> {
        settle(branch(handle(accessor), chat.into(), leaf.map(Into::into)).await.map(all))
    }

    async fn append(
        accessor: &Accessor<State, Self>,
        chat: String,
        message: wit::NewMessage,
    ) -> Settled<wit::StoredMessage> {
        settle(append(handle(accessor), chat.into(), message.into()).await.map(Into::into))
    }

    async fn update(
        accessor: &Accessor<State, Self>,
        chat: String,
        id: String,
        change: wit::MessageUpdate,
        version: String,
    ) -> Settled<wit::StoredMessage> {
        settle(update(handle(accessor), chat.into(), id.into(), change.into(), version).await.map(Into::into))
    }
}

impl wit::Host for State {}
