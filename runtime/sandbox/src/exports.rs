//! What the host can ask a plugin, and what it answers: the exports of the contract behind one pair of types.
//! Whether an answer is one that may be passed on is looked at in `answers`.

use std::sync::OnceLock;

use innkeeper_host::bindings::exports::innkeeper::plugin::{action, filter, job, pipe, plugin, tool};
use innkeeper_host::bindings::innkeeper::types::common;
use innkeeper_host::bindings::innkeeper::types::invocation as wit;
use innkeeper_host::convert::all;
use innkeeper_host::stream::{ChunkFault, chunks_from_guest};
use innkeeper_host::{CallHandle, State};
use innkeeper_model::PluginError;
use innkeeper_model::chat_message::StoredMessage;
use innkeeper_model::chat_request::ChatRequest;
use innkeeper_model::chunk::Chunk;
use innkeeper_model::manifest::Kinds;
use innkeeper_model::tool::{ActionResult, ToolResult};
use tokio::sync::{mpsc, oneshot};
use wasmtime::component::{Accessor, Instance, InstancePre};

use crate::answers;
use crate::error::{CallError, LoadError};

/// A question to a plugin.
#[derive(Clone, Debug)]
pub enum Ask {
    /// `tool.call`.
    Tool {
        /// Which tool.
        name: String,
        /// JSON text.
        arguments: String,
    },
    /// `pipe.models`.
    Models,
    /// `pipe.run`.
    Run(ChatRequest),
    /// `filter.inlet`.
    Inlet(ChatRequest),
    /// `filter.request`.
    Request(ChatRequest),
    /// `filter.stream`.
    Stream(Vec<Chunk>),
    /// `filter.outlet`.
    Outlet(Vec<StoredMessage>),
    /// `action.run`.
    Action {
        /// Which action.
        id: String,
        /// The chat's messages.
        messages: Vec<StoredMessage>,
    },
    /// `job.run`.
    Job(String),
}

impl Ask {
    /// The export's name, for receipts.
    pub fn export(&self) -> &'static str {
        match self {
            Self::Tool { .. } => "tool.call",
            Self::Models => "pipe.models",
            Self::Run(_) => "pipe.run",
            Self::Inlet(_) => "filter.inlet",
            Self::Request(_) => "filter.request",
            Self::Stream(_) => "filter.stream",
            Self::Outlet(_) => "filter.outlet",
            Self::Action { .. } => "action.run",
            Self::Job(_) => "job.run",
        }
    }
}

/// A plugin's answer, in the question's kind.
#[derive(Debug)]
pub enum Answer {
    /// To `Tool`.
    Tool(ToolResult),
    /// To `Models`.
    Models(ModelList),
    /// To `Run`.
    Reply(Reply),
    /// To `Inlet` and `Request`.
    Request(ChatRequest),
    /// To `Stream`.
    Chunks(Vec<Chunk>),
    /// To `Outlet`.
    Messages(Vec<StoredMessage>),
    /// To `Action`.
    Action(Option<ActionResult>),
    /// To `Job`.
    Done,
}

/// A model that a pipe serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipeModel {
    /// Without the plugin's id in front; may be empty.
    pub id: String,
    /// What to call it.
    pub name: String,
    /// What it is.
    pub description: Option<String>,
    /// A JSON object as text.
    pub extra: Option<String>,
}

/// The models that a pipe serves at present.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelList {
    /// The models.
    pub models: Vec<PipeModel>,
    /// Seconds for which the list may be kept.
    pub cache_seconds: u32,
}

/// A pipe's answer.
#[derive(Debug)]
pub enum Reply {
    /// Text.
    Text(String),
    /// A whole chat completion as JSON text.
    Json(String),
    /// Pieces. The channel ends when the guest ends its stream.
    Chunks(mpsc::Receiver<Chunk>),
}

/// What goes on after an answer was delivered: a stream that is still being written.
pub(crate) type Rest = Option<oneshot::Receiver<ChunkFault>>;

/// One instance, with the exports of it that were called so far: each is compared with the contract's types when it is first called.
pub(crate) struct Live {
    instance: Instance,
    tool: OnceLock<tool::Guest>,
    pipe: OnceLock<pipe::Guest>,
    filter: OnceLock<filter::Guest>,
    action: OnceLock<action::Guest>,
    job: OnceLock<job::Guest>,
}

impl Live {
    pub(crate) fn new(instance: Instance) -> Self {
        Self {
            instance,
            tool: OnceLock::new(),
            pipe: OnceLock::new(),
            filter: OnceLock::new(),
            action: OnceLock::new(),
            job: OnceLock::new(),
        }
    }
}

/// The functions of an interface that an instance exports.
macro_rules! loaded {
    ($exports:expr, $accessor:expr, $live:expr, $kind:ident) => {
        match $live.$kind.get() {
            Some(guest) => guest,
            None => {
                let indices = present(&$exports.$kind)?;
                let guest = $accessor.with(|access| indices.load(access, &$live.instance))?;
                $live.$kind.get_or_init(|| guest)
            }
        }
    };
}

/// Where a component's exports are.
pub(crate) struct Exports {
    plugin: plugin::GuestIndices,
    tool: Option<tool::GuestIndices>,
    pipe: Option<pipe::GuestIndices>,
    filter: Option<filter::GuestIndices>,
    action: Option<action::GuestIndices>,
    job: Option<job::GuestIndices>,
}

impl Exports {
    /// Finds the exports that a component has; each must be whole. Whether it is of the contract's types shows in an instance.
    pub(crate) fn find(pre: &InstancePre<State>, kinds: Kinds) -> Result<Self, LoadError> {
        Ok(Self {
            plugin: plugin::GuestIndices::new(pre).map_err(does_not_fit)?,
            tool: kinds.tool.then(|| tool::GuestIndices::new(pre)).transpose().map_err(does_not_fit)?,
            pipe: kinds.pipe.then(|| pipe::GuestIndices::new(pre)).transpose().map_err(does_not_fit)?,
            filter: kinds.filter.then(|| filter::GuestIndices::new(pre)).transpose().map_err(does_not_fit)?,
            action: kinds.action.then(|| action::GuestIndices::new(pre)).transpose().map_err(does_not_fit)?,
            job: kinds.job.then(|| job::GuestIndices::new(pre)).transpose().map_err(does_not_fit)?,
        })
    }

    /// Compares all exports with the contract's types.
    pub(crate) fn check(&self, store: &mut wasmtime::Store<State>, live: &Live) -> Result<(), LoadError> {
        macro_rules! check {
            ($($kind:ident: $indices:expr;)*) => {$(
                if let Some(indices) = $indices {
                    let fits = indices.load(&mut *store, &live.instance);
                    let about = |error: wasmtime::Error| error.context(concat!("its export `", stringify!($kind), "`"));
                    fits.map_err(|error| does_not_fit(about(error)))?;
                }
            )*};
        }
        check! {
            plugin: Some(&self.plugin);
            tool: &self.tool;
            pipe: &self.pipe;
            filter: &self.filter;
            action: &self.action;
            job: &self.job;
        }
        Ok(())
    }

    /// Asks `plugin.describe`.
    pub(crate) async fn describe(
        &self,
        store: &mut wasmtime::Store<State>,
        live: &Live,
    ) -> wasmtime::Result<innkeeper_model::manifest::RawManifest> {
        let guest = self.plugin.load(&mut *store, &live.instance)?;
        Ok(guest.call_describe(store).await?.into())
    }

    /// Asks a question. The outer error ends the call; the inner one is the plugin's own.
    /// Each kind of question has its future on the heap: together they would make the future of every call large, and that one is moved about.
    pub(crate) async fn ask(
        &self,
        accessor: &Accessor<State>,
        live: &Live,
        ask: Ask,
    ) -> wasmtime::Result<Result<(Answer, Rest), PluginError>> {
        let call = accessor.with(|mut access| access.get().call.clone());
        let answer = match ask {
            Ask::Tool { name, arguments } => {
                let guest = loaded!(self, accessor, live, tool);
                let result = Box::pin(guest.call_call(accessor, invocation(&call), name, arguments)).await?;
                result.map(|result| answers::tool_result(&call, result).map(Answer::Tool))
            }
            Ask::Models => {
                let guest = loaded!(self, accessor, live, pipe);
                let result = Box::pin(guest.call_models(accessor, invocation(&call))).await?;
                result.map(|list| answers::models(list).map(Answer::Models))
            }
            Ask::Run(request) => {
                let guest = loaded!(self, accessor, live, pipe);
                let result = Box::pin(guest.call_run(accessor, invocation(&call), request.into())).await?;
                return reply(accessor, result, call);
            }
            Ask::Inlet(request) => {
                let guest = loaded!(self, accessor, live, filter);
                let result = Box::pin(guest.call_inlet(accessor, invocation(&call), request.into())).await?;
                result.map(|request| answers::request(request.into()).map(Answer::Request))
            }
            Ask::Request(request) => {
                let guest = loaded!(self, accessor, live, filter);
                let result =
                    Box::pin(guest.call_request(accessor, invocation(&call), request.into())).await?;
                result.map(|request| answers::request(request.into()).map(Answer::Request))
            }
            Ask::Stream(chunks) => {
                let guest = loaded!(self, accessor, live, filter);
                let result = Box::pin(guest.call_stream(accessor, all(chunks))).await?;
                result.map(|chunks| answers::chunks(&call, chunks).map(Answer::Chunks))
            }
            Ask::Outlet(messages) => {
                let guest = loaded!(self, accessor, live, filter);
                let result = Box::pin(guest.call_outlet(accessor, invocation(&call), all(messages))).await?;
                result.map(|messages| answers::messages(all(messages)).map(Answer::Messages))
            }
            Ask::Action { id, messages } => {
                let guest = loaded!(self, accessor, live, action);
                let result = Box::pin(guest.call_run(accessor, invocation(&call), id, all(messages))).await?;
                result.map(|result| {
                    let result = result.map(|result| answers::action_result(&call, result)).transpose();
                    result.map(Answer::Action)
                })
            }
            Ask::Job(id) => {
                let guest = loaded!(self, accessor, live, job);
                let result = Box::pin(guest.call_run(accessor, invocation(&call), id)).await?;
                result.map(|()| Ok(Answer::Done))
            }
        };
        settle(answer)
    }
}

/// The engine's words, which may quote the component.
pub(crate) fn does_not_fit(error: wasmtime::Error) -> LoadError {
    LoadError::Link(innkeeper_host::log::escape(&format!("{error:#}")))
}

fn reply(
    accessor: &Accessor<State>,
    result: Result<pipe::Reply, common::PluginError>,
    call: CallHandle,
) -> wasmtime::Result<Result<(Answer, Rest), PluginError>> {
    let reply = match result {
        Ok(reply) => reply,
        Err(error) => return Ok(Err(answers::shortened(error.into()))),
    };
    match reply {
        pipe::Reply::Text(text) => Ok(Ok((Answer::Reply(Reply::Text(text)), None))),
        pipe::Reply::Json(json) => {
            let json = answers::object(json).map_err(wasmtime::Error::new)?;
            Ok(Ok((Answer::Reply(Reply::Json(json)), None)))
        }
        pipe::Reply::Chunks(reader) => {
            let (stopped, rest) = oneshot::channel();
            let chunks = accessor.with(|access| chunks_from_guest(access, reader, call, stopped))?;
            Ok(Ok((Answer::Reply(Reply::Chunks(chunks)), Some(rest))))
        }
    }
}

fn settle(
    answer: Result<Result<Answer, CallError>, common::PluginError>,
) -> wasmtime::Result<Result<(Answer, Rest), PluginError>> {
    match answer {
        Ok(Ok(answer)) => Ok(Ok((answer, None))),
        Ok(Err(error)) => Err(wasmtime::Error::new(error)),
        Err(error) => Ok(Err(answers::shortened(error.into()))),
    }
}

fn present<T>(indices: &Option<T>) -> wasmtime::Result<&T> {
    indices
        .as_ref()
        .ok_or_else(|| wasmtime::Error::new(CallError::Invalid("the plugin has no such export".to_owned())))
}

fn invocation(call: &CallHandle) -> wit::Invocation {
    let turn = call.turn();
    wit::Invocation {
        id: call.id().to_owned(),
        turn: turn.id.clone(),
        user: turn.principal.user().map(|user| user.to_string()),
        chat: turn.chat.as_ref().map(ToString::to_string),
        message: turn.message.as_ref().map(ToString::to_string),
        locale: turn.locale.clone(),
        extra: None,
    }
}
