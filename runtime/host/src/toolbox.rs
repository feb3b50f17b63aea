//! `toolbox`: tools of other plugins. The child is handed to the turn's driver; this only waits for its answer.

use innkeeper_model::json;
use innkeeper_model::tool::ToolResult;
use innkeeper_model::{Error, Permission, PluginId};
use tokio::sync::oneshot;
use wasmtime::component::Accessor;

use crate::bindings::innkeeper::plugin::toolbox::{self as wit, HostWithStore};
use crate::call::{CallHandle, Interface};
use crate::fault::{Fault, Settled, settle};
use crate::fuel;
use crate::state::{Host, State, handle};
use crate::turn::{ChildAsk, ChildRequest, OfferedTool, Spent};

const USE: Permission = Permission::Toolbox;

async fn list(call: CallHandle) -> Result<Vec<OfferedTool>, Fault> {
    let call = call.begin(Interface::Toolbox, USE, 0)?;
    let (reply, answer) = oneshot::channel();
    submit(&call, 0, Spent::default(), ChildAsk::Tools(reply))?;
    let _waiting = call.clock().wait();
    let offered = answer.await.map_err(|_| gone())??;
    call.finish(offered)
}

/// Returns what fuel the child took beside its result.
async fn call_tool(
    call: CallHandle,
    fuel: u64,
    plugin: String,
    name: String,
    arguments: String,
) -> (Result<ToolResult, Fault>, u64) {
    let bytes = (plugin.len() + name.len() + arguments.len()) as u64;
    let begun = call.begin(Interface::Toolbox, USE, bytes).and_then(|call| {
        let plugin = PluginId::parse(&plugin).map_err(|error| Error::invalid("plugin", error.to_string()))?;
        json::check_up_to(&arguments, json::MAX_VALUES).map_err(|error| {
            Error::invalid("arguments", format!("the arguments are not JSON that can be passed on: {error}"))
        })?;
        let (reply, answer) = oneshot::channel();
        submit(&call, fuel, Spent::default(), ChildAsk::Tool { plugin, name, arguments, reply })?;
        Ok((call, answer))
    });
    let (call, answer) = match begun {
        Ok(begun) => begun,
        Err(fault) => return (Err(fault), 0),
    };
    let waiting = call.clock().wait();
    let Ok((result, used)) = answer.await else { return (Err(Fault::from(gone()).after_the_effect()), 0) };
    drop(waiting);
    (result.map_err(Fault::from).and_then(|result| call.finish_write(result)), used)
}

/// Hands a request to the turn's driver.
pub(crate) fn submit(call: &CallHandle, fuel: u64, spent: Spent, ask: ChildAsk) -> Result<(), Error> {
    call.turn().children.submit(ChildRequest { caller: call.clone(), fuel, spent, ask })
}

/// The driver dropped a request without an answer: the turn is ending.
pub(crate) fn gone() -> Error {
    Error::new(innkeeper_model::ErrorCode::Cancelled, "the turn ended before there was an answer")
}

impl HostWithStore<State> for Host {
    async fn list(accessor: &Accessor<State, Self>) -> Settled<Vec<wit::AvailableTool>> {
        let tool = |tool: OfferedTool| wit::AvailableTool {
            plugin: tool.plugin.to_string(),
            name: tool.name,
            description: tool.description,
            parameters: tool.parameters,
            extra: None,
        };
        settle(list(handle(accessor)).await.map(|offered| offered.into_iter().map(tool).collect()))
    }

    async fn call(
        accessor: &Accessor<State, Self>,
        plugin: String,
        name: String,
        arguments: String,
    ) -> Settled<wit::ToolResult> {
        let lent = fuel::lend(accessor)?;
        let (result, used) = call_tool(handle(accessor), lent, plugin, name, arguments).await;
        accessor.with(|access| fuel::give_back(access, lent.saturating_sub(used)))?;
        settle(result.map(Into::into))
    }
}

impl wit::Host for State {}
