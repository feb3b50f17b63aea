//! `kv`: storage that belongs to the plugin, apart for each person and each turn, or shared by a permission of its own.

use innkeeper_model::kv::{KEY_MAX, KvEntry, KvQuota, KvScope, VALUE_MAX};
use innkeeper_model::page::{Page, PageRequest};
use innkeeper_model::{Error, Permission};
use wasmtime::component::Accessor;

use crate::bindings::innkeeper::plugin::kv::{self as wit, HostWithStore, Scope};
use crate::bindings::innkeeper::types::common;
use crate::call::{CallHandle, HostCall, Interface};
use crate::fault::{Fault, Settled, settle};
use crate::state::{Host, State, handle};
use crate::task;

/// Seconds for which entries of a turn outlive its last write.
const TURN_TTL: u64 = 3_600;

/// Begins a host call, with the storage that a scope means for this call.
fn begin(call: &CallHandle, scope: Scope, key: &str, bytes: usize) -> Result<(HostCall, KvScope), Fault> {
    let permission = if matches!(scope, Scope::Shared) { Permission::KvShared } else { Permission::Kv };
    let call = call.begin(Interface::Kv, permission, (key.len() + bytes) as u64)?;
    if key.len() > KEY_MAX || key.contains('\0') {
        return Err(Error::invalid("key", format!("a key has 1 to {KEY_MAX} bytes and no NUL")).into());
    }
    let plugin = call.plugin().clone();
    let scope = match scope {
        Scope::User => KvScope::User(plugin, call.user()?.clone()),
        Scope::Turn => KvScope::Turn(plugin, turn_of(&call)),
        Scope::Shared => KvScope::Shared(plugin),
    };
    Ok((call, scope))
}

/// The turn, as storage knows it. Clients may choose a turn's id, so that inlet and outlet can come as two requests;
/// the person is part of it, so that naming another person's turn leads nowhere.
fn turn_of(call: &HostCall) -> String {
    let mut hasher = blake3::Hasher::new();
    if let Some(user) = call.principal().user() {
        hasher.update(user.as_str().as_bytes());
    }
    hasher.update(&[0]).update(call.turn().id.as_bytes());
    hasher.finalize().to_hex().to_string()
}

fn begin_with_key(
    call: &CallHandle,
    scope: Scope,
    key: &str,
    value: &[u8],
) -> Result<(HostCall, KvScope), Fault> {
    let begun = begin(call, scope, key, value.len())?;
    if key.is_empty() {
        return Err(Error::invalid("key", "a key has at least 1 byte").into());
    }
    Ok(begun)
}

fn check_value(value: &[u8]) -> Result<(), Error> {
    if value.len() > VALUE_MAX {
        let message = format!("the value has {} bytes; at most {VALUE_MAX} are allowed", value.len());
        return Err(Error::invalid("value", message));
    }
    Ok(())
}

fn quota(call: &HostCall) -> KvQuota {
    KvQuota { entries: call.limits().kv_entries, bytes: call.limits().kv_bytes }
}

/// How long an entry lives: what is left for a turn goes with it.
fn ttl(scope: &KvScope, asked: Option<u64>) -> Option<u64> {
    match scope {
        KvScope::Turn(..) => Some(asked.unwrap_or(TURN_TTL).min(TURN_TTL)),
        KvScope::User(..) | KvScope::Shared(_) => asked,
    }
}

async fn get(call: CallHandle, scope: Scope, key: String) -> Result<Option<KvEntry>, Fault> {
    let (call, scope) = begin_with_key(&call, scope, &key, &[])?;
    let kv = call.store().kv();
    let found = task::run(async move { kv.get(&scope, &key).await }).await?;
    call.finish(found)
}

async fn set(
    call: CallHandle,
    scope: Scope,
    key: String,
    value: Vec<u8>,
    asked: Option<u64>,
) -> Result<u64, Fault> {
    let (call, scope) = begin_with_key(&call, scope, &key, &value)?;
    check_value(&value)?;
    let (kv, ttl, quota) = (call.store().kv(), ttl(&scope, asked), quota(&call));
    let version = task::write(async move { kv.set(&scope, &key, &value, ttl, &quota).await }).await?;
    call.finish_write(version)
}

async fn put_if(
    call: CallHandle,
    scope: Scope,
    key: String,
    value: Vec<u8>,
    expected: Option<u64>,
    asked: Option<u64>,
) -> Result<u64, Fault> {
    let (call, scope) = begin_with_key(&call, scope, &key, &value)?;
    check_value(&value)?;
    let (kv, ttl, quota) = (call.store().kv(), ttl(&scope, asked), quota(&call));
    let version =
        task::write(async move { kv.put_if(&scope, &key, &value, expected, ttl, &quota).await }).await?;
    call.finish_write(version)
}

async fn increment(
    call: CallHandle,
    scope: Scope,
    key: String,
    by: i64,
    asked: Option<u64>,
) -> Result<i64, Fault> {
    let (call, scope) = begin_with_key(&call, scope, &key, &[])?;
    let (kv, ttl, quota) = (call.store().kv(), ttl(&scope, asked), quota(&call));
    let value = task::write(async move { kv.increment(&scope, &key, by, ttl, &quota).await }).await?;
    call.finish_write(value)
}

async fn delete(call: CallHandle, scope: Scope, key: String) -> Result<bool, Fault> {
    let (call, scope) = begin_with_key(&call, scope, &key, &[])?;
    let kv = call.store().kv();
    let deleted = task::write(async move { kv.delete(&scope, &key).await }).await?;
    call.finish_write(deleted)
}

async fn keys(
    call: CallHandle,
    scope: Scope,
    prefix: String,
    page: PageRequest,
) -> Result<Page<String>, Fault> {
    let (call, scope) = begin(&call, scope, &prefix, page.cursor.as_ref().map_or(0, String::len))?;
    let kv = call.store().kv();
    let found = task::run(async move { kv.keys(&scope, &prefix, &page).await }).await?;
    call.finish(found)
}

impl HostWithStore<State> for Host {
    async fn get(accessor: &Accessor<State, Self>, scope: Scope, key: String) -> Settled<Option<wit::Entry>> {
        settle(get(handle(accessor), scope, key).await.map(|found| found.map(Into::into)))
    }

    async fn set(
        accessor: &Accessor<State, Self>,
        scope: Scope,
        key: String,
        value: Vec<u8>,
        ttl: Option<u64>,
    ) -> Settled<u64> {
        settle(set(handle(accessor), scope, key, value, ttl).await)
    }

    async fn put_if(
        accessor: &Accessor<State, Self>,
        scope: Scope,
        key: String,
        value: Vec<u8>,
        expected: Option<u64>,
        ttl: Option<u64>,
    ) -> Settled<u64> {
        settle(put_if(handle(accessor), scope, key, value, expected, ttl).await)
    }

    async fn increment(
        accessor: &Accessor<State, Self>,
        scope: Scope,
        key: String,
        by: i64,
        ttl: Option<u64>,
    ) -> Settled<i64> {
        settle(increment(handle(accessor), scope, key, by, ttl).await)
    }

    async fn delete(accessor: &Accessor<State, Self>, scope: Scope, key: String) -> Settled<bool> {
        settle(delete(handle(accessor), scope, key).await)
    }

    async fn keys(
        accessor: &Accessor<State, Self>,
        scope: Scope,
        prefix: String,
        page: common::Page,
    ) -> Settled<wit::KeyPage> {
        let found = keys(handle(accessor), scope, prefix, page.into()).await;
        settle(found.map(|page| wit::KeyPage { keys: page.items, next: page.next }))
    }
}

impl wit::Host for State {}
