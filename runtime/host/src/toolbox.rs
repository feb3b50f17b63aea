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
use crate::turn::{ChildAsk, ChildRequest, Lent, OfferedTool};

const USE: Permission = Permission::Toolbox;

async fn list(call: CallHandle) -> Result<Vec<OfferedTool>, Fault> {
    let call = call.begin(Interface::Toolbox, USE, 0)?;
    let (reply, answer) = oneshot::channel();
    submit(&call, Lent::default(), ChildAsk::Tools(reply))?;
    let _waiting = call.clock().wait();
    let offered = answer.await.map_err(|_| gone())??;
    call.finish(offered)
}

async fn call_tool(
    call: CallHandle,
    lent: Lent,
    plugin: String,
    name: String,
    arguments: String,
) -> Result<ToolResult, Fault> {
    let bytes = (plugin.len() + name.len() + arguments.len()) as u64;
    let call = call.begin(Interface::Toolbox, USE, bytes)?;
    let plugin = PluginId::parse(&plugin).map_err(|error| Error::invalid("plugin", error.to_string()))?;
    json::check_up_to(&arguments, json::MAX_VALUES).map_err(|error| {
        Error::invalid("arguments", format!("the arguments are not JSON that can be passed on: {error}"))
    })?;
    let (reply, answer) = oneshot::channel();
    submit(&call, lent, ChildAsk::Tool { plugin, name, arguments, reply })?;
    let waiting = call.clock().wait();
    let result = answer.await.map_err(|_| Fault::from(gone()).after_the_effect())??;
    drop(waiting);
    call.finish_write(result)
}

/// Hands a request to the turn's driver.
pub(crate) fn submit(call: &CallHandle, lent: Lent, ask: ChildAsk) -> Result<(), Error> {
    call.turn().children.submit(ChildRequest { caller: call.clone(), lent, ask })
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
        let result = call_tool(handle(accessor), lent.clone(), plugin, name, arguments).await;
        accessor.with(|access| fuel::give_back(access, &lent))?;
        settle(result.map(Into::into))
    }
}

impl wit::Host for State {}
