//! `config`: the plugin's own settings, and those of the server that are on the list of readable ones.

use innkeeper_model::{Permission, config};
use wasmtime::component::Accessor;

use crate::bindings::innkeeper::plugin::config::{self as wit, HostWithStore};
use crate::call::{CallHandle, Interface};
use crate::fault::{Fault, Settled, denied, settle};
use crate::state::{Host, State, handle};
use crate::task;
use crate::weigh::Weigh;

const READ: Permission = Permission::ConfigRead;

async fn get(call: CallHandle, key: String) -> Result<Option<String>, Fault> {
    let call = call.begin(Interface::Config, READ, key.weigh())?;
    if !config::is_readable(&key) {
        let mut error = denied(call.plugin(), READ);
        error.message = "this setting is withheld from plugins; no grant changes that".to_owned();
        return Err(error.into());
    }
    let settings = call.store().config();
    let found = task::run(async move { settings.get(&key).await }).await?;
    call.finish(found.map(|value| value.to_string()))
}

impl wit::Host for State {
    fn valves(&mut self) -> wasmtime::Result<String> {
        self.read(Interface::Config, |call| call.setup().valves.to_string())
    }

    fn user_valves(&mut self) -> wasmtime::Result<String> {
        self.read(Interface::Config, |call| call.setup().user_valves.to_string())
    }
}

impl HostWithStore<State> for Host {
    async fn get(accessor: &Accessor<State, Self>, key: String) -> Settled<Option<String>> {
        settle(get(handle(accessor), key).await)
    }
}
