//! `users`: people, without their addresses unless the plugin may see those.

use innkeeper_model::page::{Page, PageRequest};
use innkeeper_model::user::User;
use innkeeper_model::{Error, Permission, UserId};
use wasmtime::component::Accessor;

use crate::bindings::innkeeper::plugin::users::{self as wit, HostWithStore};
use crate::bindings::innkeeper::types::common;
use crate::call::{CallHandle, Interface};
use crate::convert::data::user;
use crate::fault::{Fault, Settled, settle};
use crate::state::{Host, State, handle};
use crate::task;
use crate::weigh::Weigh;

const READ: Permission = Permission::UsersRead;

/// Most ids that one call may name.
const IDS_MAX: usize = 200;

async fn me(call: CallHandle) -> Result<Option<User>, Fault> {
    let call = call.begin(Interface::Users, READ, 0)?;
    let Some(id) = call.principal().user().cloned() else { return Ok(None) };
    let (users, authority) = (call.store().users(), call.authority(READ));
    let found = task::run(async move { users.get(&authority, &id).await }).await?;
    call.finish(found)
}

async fn get(call: CallHandle, id: UserId) -> Result<Option<User>, Fault> {
    let call = call.begin(Interface::Users, READ, id.weigh())?;
    let (users, authority) = (call.store().users(), call.authority(READ));
    let found = task::run(async move { users.get(&authority, &id).await }).await?;
    call.finish(found)
}

async fn get_many(call: CallHandle, ids: Vec<UserId>) -> Result<Vec<User>, Fault> {
    let call = call.begin(Interface::Users, READ, ids.weigh())?;
    if ids.len() > IDS_MAX {
        return Err(Error::invalid("ids", format!("{} ids; at most {IDS_MAX} are allowed", ids.len())).into());
    }
    let (users, authority) = (call.store().users(), call.authority(READ));
    let found = task::run(async move { users.get_many(&authority, &ids).await }).await?;
    call.finish(found)
}

async fn list(call: CallHandle, name: Option<String>, page: PageRequest) -> Result<Page<User>, Fault> {
    let call = call.begin(Interface::Users, READ, (&name, &page).weigh())?;
    let (users, authority) = (call.store().users(), call.authority(READ));
    let found = task::run(async move { users.list(&authority, name.as_deref(), &page).await }).await?;
    call.finish(found)
}

/// Whether the plugin may see addresses.
fn with_email(call: &CallHandle) -> bool {
    call.require(Permission::EmailRead).is_ok()
}

impl HostWithStore<State> for Host {
    async fn me(accessor: &Accessor<State, Self>) -> Settled<Option<wit::User>> {
        let call = handle(accessor);
        let email = with_email(&call);
        settle(me(call).await.map(|found| found.map(|found| user(found, email))))
    }

    async fn get(accessor: &Accessor<State, Self>, id: String) -> Settled<Option<wit::User>> {
        let call = handle(accessor);
        let email = with_email(&call);
        settle(get(call, id.into()).await.map(|found| found.map(|found| user(found, email))))
    }

    async fn get_many(accessor: &Accessor<State, Self>, ids: Vec<String>) -> Settled<Vec<wit::User>> {
        let call = handle(accessor);
        let email = with_email(&call);
        let found = get_many(call, ids.into_iter().map(UserId::from).collect()).await;
        settle(found.map(|found| found.into_iter().map(|found| user(found, email)).collect()))
    }

    async fn list(
        accessor: &Accessor<State, Self>,
        name: Option<String>,
        page: common::Page,
    ) -> Settled<wit::UserPage> {
        let call = handle(accessor);
        let email = with_email(&call);
        let found = list(call, name, page.into()).await;
        settle(found.map(|page| wit::UserPage {
            items: page.items.into_iter().map(|found| user(found, email)).collect(),
            next: page.next,
        }))
    }
}

impl wit::Host for State {}
