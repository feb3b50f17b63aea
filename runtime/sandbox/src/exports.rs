//! What the host can ask a plugin, and what it answers: the exports of the contract behind one pair of types.

use innkeeper_host::bindings::exports::innkeeper::plugin::{action, filter, job, pipe, plugin, tool};
use innkeeper_host::bindings::innkeeper::types::invocation as wit;
use innkeeper_host::bindings::innkeeper::types::{actions as wit_actions, common, tools as wit_tools};
use innkeeper_host::convert::{all, chat_request, json, tool as convert_tool};
use innkeeper_host::stream::{ChunkFault, chunks_from_guest};
use innkeeper_host::{CallHandle, State};
use innkeeper_model::chat_message::StoredMessage;
use innkeeper_model::chat_request::ChatRequest;
use innkeeper_model::chunk::Chunk;
use innkeeper_model::manifest::Kinds;
use innkeeper_model::tool::{ActionResult, ToolContent, ToolResult};
use innkeeper_model::{Error, Permission, PluginError};
use tokio::sync::{mpsc, oneshot};
use wasmtime::component::{Accessor, Instance, InstancePre};

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
    /// Finds the exports that a component has; each must be whole and of the contract's types.
    pub(crate) fn find(pre: &InstancePre<State>, kinds: Kinds) -> Result<Self, LoadError> {
        fn wrong(error: wasmtime::Error) -> LoadError {
            LoadError::Link(format!("{error:#}"))
        }
        Ok(Self {
            plugin: plugin::GuestIndices::new(pre).map_err(wrong)?,
            tool: kinds.tool.then(|| tool::GuestIndices::new(pre)).transpose().map_err(wrong)?,
            pipe: kinds.pipe.then(|| pipe::GuestIndices::new(pre)).transpose().map_err(wrong)?,
            filter: kinds.filter.then(|| filter::GuestIndices::new(pre)).transpose().map_err(wrong)?,
            action: kinds.action.then(|| action::GuestIndices::new(pre)).transpose().map_err(wrong)?,
            job: kinds.job.then(|| job::GuestIndices::new(pre)).transpose().map_err(wrong)?,
        })
    }

    /// Asks `plugin.describe`.
    pub(crate) async fn describe(
        &self,
        store: &mut wasmtime::Store<State>,
        instance: &Instance,
    ) -> wasmtime::Result<innkeeper_model::manifest::RawManifest> {
        let guest = self.plugin.load(&mut *store, instance)?;
        Ok(guest.call_describe(store).await?.into())
    }

    /// Asks a question. The outer error ends the call; the inner one is the plugin's own.
    pub(crate) async fn ask(
        &self,
        accessor: &Accessor<State>,
        instance: &Instance,
        ask: Ask,
    ) -> wasmtime::Result<Result<(Answer, Rest), PluginError>> {
        let call = accessor.with(|mut access| access.get().call.clone());
        let invocation = invocation(&call);
        let answer = match ask {
            Ask::Tool { name, arguments } => {
                let guest = accessor.with(|access| present(&self.tool)?.load(access, instance))?;
                let result = guest.call_call(accessor, invocation, name, arguments).await?;
                result.map(|result| tool_result(&call, result).map(Answer::Tool))
            }
            Ask::Models => {
                let guest = accessor.with(|access| present(&self.pipe)?.load(access, instance))?;
                let result = guest.call_models(accessor, invocation).await?;
                result.map(|list| models(list).map(Answer::Models))
            }
            Ask::Run(request) => {
                let guest = accessor.with(|access| present(&self.pipe)?.load(access, instance))?;
                return self.reply(
                    accessor,
                    guest.call_run(accessor, invocation, request.into()).await?,
                    call,
                );
            }
            Ask::Inlet(request) => {
                let guest = accessor.with(|access| present(&self.filter)?.load(access, instance))?;
                let result = guest.call_inlet(accessor, invocation, request.into()).await?;
                result.map(|request| checked_request(request.into()))
            }
            Ask::Request(request) => {
                let guest = accessor.with(|access| present(&self.filter)?.load(access, instance))?;
                let result = guest.call_request(accessor, invocation, request.into()).await?;
                result.map(|request| checked_request(request.into()))
            }
            Ask::Stream(chunks) => {
                let guest = accessor.with(|access| present(&self.filter)?.load(access, instance))?;
                let result = guest.call_stream(accessor, all(chunks)).await?;
                result.map(|chunks| counted_chunks(&call, chunks).map(Answer::Chunks))
            }
            Ask::Outlet(messages) => {
                let guest = accessor.with(|access| present(&self.filter)?.load(access, instance))?;
                let result = guest.call_outlet(accessor, invocation, all(messages)).await?;
                result.map(|messages| checked_messages(all(messages)))
            }
            Ask::Action { id, messages } => {
                let guest = accessor.with(|access| present(&self.action)?.load(access, instance))?;
                let result = guest.call_run(accessor, invocation, id, all(messages)).await?;
                result.map(|result| {
                    let result = result.map(|result| action_result(&call, result)).transpose();
                    result.map(Answer::Action)
                })
            }
            Ask::Job(id) => {
                let guest = accessor.with(|access| present(&self.job)?.load(access, instance))?;
                guest.call_run(accessor, invocation, id).await?.map(|()| Ok(Answer::Done))
            }
        };
        settle(answer)
    }

    fn reply(
        &self,
        accessor: &Accessor<State>,
        result: Result<pipe::Reply, common::PluginError>,
        call: CallHandle,
    ) -> wasmtime::Result<Result<(Answer, Rest), PluginError>> {
        let reply = match result {
            Ok(reply) => reply,
            Err(error) => return Ok(Err(shortened(error.into()))),
        };
        match reply {
            pipe::Reply::Text(text) => Ok(Ok((Answer::Reply(Reply::Text(text)), None))),
            pipe::Reply::Json(json) => {
                json::check_object("reply", Some(&json)).map_err(broken)?;
                Ok(Ok((Answer::Reply(Reply::Json(json)), None)))
            }
            pipe::Reply::Chunks(reader) => {
                let (stopped, rest) = oneshot::channel();
                let chunks = accessor.with(|access| chunks_from_guest(access, reader, call, stopped))?;
                Ok(Ok((Answer::Reply(Reply::Chunks(chunks)), Some(rest))))
            }
        }
    }
}

fn settle(
    answer: Result<Result<Answer, CallError>, common::PluginError>,
) -> wasmtime::Result<Result<(Answer, Rest), PluginError>> {
    match answer {
        Ok(Ok(answer)) => Ok(Ok((answer, None))),
        Ok(Err(error)) => Err(wasmtime::Error::new(error)),
        Err(error) => Ok(Err(shortened(error.into()))),
    }
}

fn present<T>(indices: &Option<T>) -> wasmtime::Result<&T> {
    indices
        .as_ref()
        .ok_or_else(|| wasmtime::Error::new(CallError::Invalid("the plugin has no such export".to_owned())))
}

fn not_json(error: serde_json::Error) -> CallError {
    CallError::Invalid(format!("it answered with text that is not JSON: {error}"))
}

fn broken(error: Error) -> CallError {
    CallError::Invalid(error.message)
}

/// Longest text of a plugin's own error, in bytes.
const ERROR_MAX: usize = 4096;

/// The plugin's error without what nobody would read.
fn shortened(error: PluginError) -> PluginError {
    let cut = |mut text: String| {
        text.truncate(text.floor_char_boundary(ERROR_MAX));
        text
    };
    match error {
        PluginError::Rejected(text) => PluginError::Rejected(cut(text)),
        PluginError::Failed(text) => PluginError::Failed(cut(text)),
        PluginError::Host(error) => PluginError::Host(Error {
            message: cut(error.message),
            subject: error.subject.map(cut),
            details: error.details.filter(|details| details.len() <= ERROR_MAX),
            ..error
        }),
    }
}

fn tool_result(call: &CallHandle, result: wit_tools::ToolResult) -> Result<ToolResult, CallError> {
    json::check_object("extra", result.extra.as_ref()).map_err(broken)?;
    let result = convert_tool::result_from_guest(result).map_err(not_json)?;
    may_show(call, &result.content)?;
    Ok(result)
}

fn action_result(call: &CallHandle, result: wit_actions::ActionResult) -> Result<ActionResult, CallError> {
    let result = convert_tool::action_from_guest(result).map_err(not_json)?;
    may_show(call, &result.content)?;
    Ok(result)
}

/// HTML in a result is shown like HTML in an event, and needs the same permission.
fn may_show(call: &CallHandle, content: &[ToolContent]) -> Result<(), CallError> {
    if !content.iter().any(|part| matches!(part, ToolContent::Html { .. })) {
        return Ok(());
    }
    call.require(Permission::EventsHtml).map_err(|error| CallError::Plugin(PluginError::Host(error)))
}

fn checked_request(request: ChatRequest) -> Result<Answer, CallError> {
    json::check_request(&request).map_err(broken)?;
    Ok(Answer::Request(request))
}

fn checked_messages(messages: Vec<StoredMessage>) -> Result<Answer, CallError> {
    messages.iter().try_for_each(json::check_message).map_err(broken)?;
    Ok(Answer::Messages(messages))
}

fn counted_chunks(
    call: &CallHandle,
    chunks: Vec<innkeeper_host::bindings::innkeeper::types::chat_request::Chunk>,
) -> Result<Vec<Chunk>, CallError> {
    let counted = chunks.into_iter().map(|chunk| {
        call.count_chunk(chat_request::chunk_bytes(&chunk)).map_err(|stop| match stop {
            innkeeper_host::Stop::Limit(limit) => CallError::Limit(limit),
            innkeeper_host::Stop::Internal(_) => CallError::Internal,
        })?;
        chat_request::chunk_from_guest(chunk).map_err(broken)
    });
    counted.collect()
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

/// Most models of one pipe.
const MODELS_MAX: usize = 1_000;

fn models(list: pipe::ModelList) -> Result<ModelList, CallError> {
    if list.models.len() > MODELS_MAX {
        return Err(CallError::Invalid(format!(
            "it lists {} models; at most {MODELS_MAX} are possible",
            list.models.len()
        )));
    }
    for model in &list.models {
        json::check_object("models.extra", model.extra.as_ref()).map_err(broken)?;
    }
    let model = |model: pipe::Model| PipeModel {
        id: model.id,
        name: model.name,
        description: model.description,
        extra: model.extra,
    };
    Ok(ModelList {
        models: list.models.into_iter().map(model).collect(),
        cache_seconds: list.cache_seconds.min(86_400),
    })
}
