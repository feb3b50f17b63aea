//! `memories`: what is remembered about the person.

use innkeeper_model::memory::Memory;
use innkeeper_model::page::{Page, PageRequest};
use innkeeper_model::{Error, MemoryId, Permission};
use wasmtime::component::Accessor;

use crate::bindings::innkeeper::plugin::memories::{self as wit, HostWithStore};
use crate::bindings::innkeeper::types::common;
use crate::call::{CallHandle, Interface};
use crate::fault::{Fault, Settled, settle};
use crate::state::{Host, State, handle};
use crate::task;
use crate::weigh::Weigh;

const READ: Permission = Permission::MemoriesRead;
const WRITE: Permission = Permission::MemoriesWrite;

/// Longest memory, in bytes.
const CONTENT_MAX: usize = 64 * 1024;

async fn get(call: CallHandle, id: MemoryId) -> Result<Option<Memory>, Fault> {
    let call = call.begin(Interface::Memories, READ, id.weigh())?;
    let (memories, authority) = (call.store().memories(), call.authority(READ));
    let found = task::run(async move { memories.get(&authority, &id).await }).await?;
    call.finish(found)
}

async fn list(call: CallHandle, page: PageRequest) -> Result<Page<Memory>, Fault> {
    let call = call.begin(Interface::Memories, READ, page.weigh())?;
    let (memories, authority) = (call.store().memories(), call.authority(READ));
    let found = task::run(async move { memories.list(&authority, &page).await }).await?;
    call.finish(found)
}

async fn add(call: CallHandle, content: String) -> Result<Memory, Fault> {
    let call = call.begin(Interface::Memories, WRITE, content.weigh())?;
    check(&content)?;
    let (memories, authority) = (call.store().memories(), call.authority(WRITE));
    let user = call.user()?.clone();
    let added = task::write(async move { memories.add(&user, &authority, &content).await }).await?;
    call.finish_write(added)
}

async fn update(call: CallHandle, id: MemoryId, content: String, version: String) -> Result<Memory, Fault> {
    let call = call.begin(Interface::Memories, WRITE, (&(&id, &content), &version).weigh())?;
    check(&content)?;
    let (memories, authority) = (call.store().memories(), call.authority(WRITE));
    let changed =
        task::write(async move { memories.update(&authority, &id, &content, &version).await }).await?;
    call.finish_write(changed)
}

async fn delete(call: CallHandle, id: MemoryId) -> Result<bool, Fault> {
    let call = call.begin(Interface::Memories, WRITE, id.weigh())?;
    let (memories, authority) = (call.store().memories(), call.authority(WRITE));
    let deleted = task::write(async move { memories.delete(&authority, &id).await }).await?;
    call.finish_write(deleted)
}

fn check(content: &str) -> Result<(), Error> {
    if (1..=CONTENT_MAX).contains(&content.len()) {
        return Ok(());
    }
    let message = format!("a memory has 1 to {CONTENT_MAX} bytes; this one has {}", content.len());
    Err(Error::invalid("content", message))
}

impl HostWithStore<State> for Host {
    async fn get(accessor: &Accessor<State, Self>, id: String) -> Settled<Option<wit::Memory>> {
        settle(get(handle(accessor), id.into()).await.map(|found| found.map(Into::into)))
    }

    async fn list(accessor: &Accessor<State, Self>, page: common::Page) -> Settled<wit::MemoryPage> {
        settle(list(handle(accessor), page.into()).await.map(Into::into))
    }

    async fn add(accessor: &Accessor<State, Self>, content: String) -> Settled<wit::Memory> {
        settle(add(handle(accessor), content).await.map(Into::into))
    }

    async fn update(
        accessor: &Accessor<State, Self>,
        id: String,
        content: String,
        version: String,
    ) -> Settled<wit::Memory> {
        settle(update(handle(accessor), id.into(), content, version).await.map(Into::into))
    }

    async fn delete(accessor: &Accessor<State, Self>, id: String) -> Settled<bool> {
        settle(delete(handle(accessor), id.into()).await)
    }
}

impl wit::Host for State {}
