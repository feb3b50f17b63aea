//! Everything that a guest can import, put into one linker, once.

use wasmtime::Engine;
use wasmtime::component::Linker;

use crate::bindings::innkeeper::plugin;
use crate::bindings::innkeeper::types;
use crate::state::{Host, State};

/// A linker with all interfaces of the contract and WASI 0.2 as `wasi.rs` describes it.
pub fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    macro_rules! add {
        ($($interface:path),* $(,)?) => {$({
            use $interface as interface;
            interface::add_to_linker::<State, Host>(&mut linker, |state| state)?;
        })*};
    }
    add!(
        types::actions,
        types::chat_messages,
        types::chat_request,
        types::chats,
        types::common,
        types::events,
        types::files,
        types::invocation,
        types::kv,
        types::log,
        types::manifest,
        types::memories,
        types::models,
        types::tools,
        types::users,
        plugin::chat_messages,
        plugin::chats,
        plugin::completions,
        plugin::config,
        plugin::context,
        plugin::events,
        plugin::files,
        plugin::kv,
        plugin::log,
        plugin::memories,
        plugin::toolbox,
        plugin::users,
    );
    Ok(linker)
}

impl types::actions::Host for State {}
impl types::chat_messages::Host for State {}
impl types::chat_request::Host for State {}
impl types::chats::Host for State {}
impl types::common::Host for State {}
impl types::events::Host for State {}
impl types::files::Host for State {}
impl types::invocation::Host for State {}
impl types::kv::Host for State {}
impl types::log::Host for State {}
impl types::manifest::Host for State {}
impl types::memories::Host for State {}
impl types::models::Host for State {}
impl types::tools::Host for State {}
impl types::users::Host for State {}
