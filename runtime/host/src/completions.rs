//! `completions`: answers by models, the server's providers' or another plugin's pipe. The turn's driver runs them.

use innkeeper_model::chat_request::{ChatRequest, Completion};
use innkeeper_model::chunk::Chunk;
use innkeeper_model::{Error, Permission};
use tokio::sync::{mpsc, oneshot};
use wasmtime::component::{Accessor, StreamReader};

use crate::bindings::innkeeper::plugin::completions::{self as wit, HostWithStore};
use crate::bindings::innkeeper::types::chat_request as wit_request;
use crate::call::{CallHandle, HostCall, Interface};
use crate::convert::json::check_request;
use crate::fault::{Fault, Settled, settle};
use crate::fuel;
use crate::state::{Host, State, handle};
use crate::stream::chunks_to_guest;
use crate::toolbox::{gone, submit};
use crate::turn::{ChildAsk, Lent, OfferedModel};
use crate::weigh::Weigh;

const USE: Permission = Permission::Completions;

/// Most texts of one request for vectors.
const TEXTS_MAX: usize = 256;

async fn models(call: CallHandle) -> Result<Vec<OfferedModel>, Fault> {
    let call = call.begin(Interface::Completions, USE, 0)?;
    let (reply, answer) = oneshot::channel();
    submit(&call, Lent::default(), ChildAsk::Models(reply))?;
    let _waiting = call.clock().wait();
    let offered = answer.await.map_err(|_| gone())??;
    call.finish(offered)
}

/// Begins a host call that costs a completion.
fn begin(call: &CallHandle, bytes: u64) -> Result<HostCall, Fault> {
    let call = call.begin(Interface::Completions, USE, bytes)?;
    call.count_completion()?;
    Ok(call)
}

async fn complete(call: CallHandle, lent: Lent, request: ChatRequest) -> Result<Completion, Fault> {
    let call = begin(&call, request.weigh())?;
    check_request(&request)?;
    let (reply, answer) = oneshot::channel();
    submit(&call, lent, ChildAsk::Complete(request, reply))?;
    let waiting = call.clock().wait();
    let completion = answer.await.map_err(|_| gone())??;
    drop(waiting);
    call.finish(completion)
}

/// The chunks, with the host call that they belong to: it goes on until the guest has read or dropped them.
async fn stream(
    call: CallHandle,
    lent: Lent,
    request: ChatRequest,
) -> Result<(HostCall, mpsc::Receiver<Chunk>), Fault> {
    let call = begin(&call, request.weigh())?;
    check_request(&request)?;
    let (reply, answer) = oneshot::channel();
    submit(&call, lent, ChildAsk::Stream(request, reply))?;
    let waiting = call.clock().wait();
    let chunks = answer.await.map_err(|_| gone())??;
    drop(waiting);
    Ok((call, chunks))
}

async fn embed(call: CallHandle, model: String, texts: Vec<String>) -> Result<Vec<Vec<f32>>, Fault> {
    let call = begin(&call, (&model, &texts).weigh())?;
    if texts.len() > TEXTS_MAX {
        return Err(Error::invalid(
            "texts",
            format!("{} texts; at most {TEXTS_MAX} are allowed", texts.len()),
        )
        .into());
    }
    let (reply, answer) = oneshot::channel();
    submit(&call, Lent::default(), ChildAsk::Embed { model, texts, reply })?;
    let waiting = call.clock().wait();
    let vectors = answer.await.map_err(|_| gone())??;
    drop(waiting);
    call.finish(vectors)
}

impl HostWithStore<State> for Host {
    async fn models(accessor: &Accessor<State, Self>) -> Settled<Vec<wit::AvailableModel>> {
        let model = |model: OfferedModel| {
            let OfferedModel { id, name, kind } = model;
            wit::AvailableModel { id, name, kind, extra: None }
        };
        settle(models(handle(accessor)).await.map(|offered| offered.into_iter().map(model).collect()))
    }

    async fn complete(
        accessor: &Accessor<State, Self>,
        request: wit_request::ChatRequest,
    ) -> Settled<wit_request::Completion> {
        let lent = fuel::lend(accessor)?;
        let result = complete(handle(accessor), lent.clone(), request.into()).await;
        accessor.with(|access| fuel::give_back(access, &lent))?;
        settle(result.map(Into::into))
    }

    async fn stream(
        accessor: &Accessor<State, Self>,
        request: wit_request::ChatRequest,
    ) -> Settled<StreamReader<wit_request::Chunk>> {
        let lent = fuel::lend(accessor)?;
        match settle(stream(handle(accessor), lent.clone(), request.into()).await)? {
            Ok((call, chunks)) => accessor.with(|access| chunks_to_guest(access, chunks, call, lent)).map(Ok),
            Err(error) => {
                accessor.with(|access| fuel::give_back(access, &lent))?;
                Ok(Err(error))
            }
        }
    }

    async fn embed(
        accessor: &Accessor<State, Self>,
        model: String,
        texts: Vec<String>,
    ) -> Settled<Vec<Vec<f32>>> {
        settle(embed(handle(accessor), model, texts).await)
    }
}

impl wit::Host for State {}
