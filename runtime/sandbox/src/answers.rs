//! Whether a plugin's answer may be passed on: JSON that parses, chunks within the limits, nothing shown that needs a permission.

use innkeeper_host::CallHandle;
use innkeeper_host::bindings::exports::innkeeper::plugin::pipe;
use innkeeper_host::bindings::innkeeper::types::{actions as wit_actions, tools as wit_tools};
use innkeeper_host::convert::{chat_request, json, tool as convert_tool};
use innkeeper_model::chat_message::StoredMessage;
use innkeeper_model::chat_request::ChatRequest;
use innkeeper_model::chunk::Chunk;
use innkeeper_model::json::ParseError;
use innkeeper_model::tool::{ActionResult, ToolContent, ToolResult};
use innkeeper_model::{Error, ErrorCode, Permission, PluginError};

use crate::error::CallError;
use crate::exports::{ModelList, PipeModel};

/// Longest text of a plugin's own error, in bytes.
const ERROR_MAX: usize = 4096;

/// Most models of one pipe.
const MODELS_MAX: usize = 1_000;

/// The plugin's error without what nobody would read.
pub(crate) fn shortened(error: PluginError) -> PluginError {
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
            code: match error.code {
                ErrorCode::Other(code) => ErrorCode::Other(cut(code)),
                code => code,
            },
            ..error
        }),
    }
}

/// A tool's result whose JSON parses, and which shows nothing that it may not.
pub(crate) fn tool_result(call: &CallHandle, result: wit_tools::ToolResult) -> Result<ToolResult, CallError> {
    check_extra(result.extra.as_ref(), &result.content)?;
    let result = convert_tool::result_from_guest(result).map_err(not_json)?;
    may_show(call, &result.content)?;
    Ok(result)
}

/// The same for an action.
pub(crate) fn action_result(
    call: &CallHandle,
    result: wit_actions::ActionResult,
) -> Result<ActionResult, CallError> {
    check_extra(result.extra.as_ref(), &result.content)?;
    let result = convert_tool::action_from_guest(result).map_err(not_json)?;
    may_show(call, &result.content)?;
    Ok(result)
}

/// Fields of later versions, of a result and of its parts: this version has no use for them, and refuses what is no object all the same.
fn check_extra(extra: Option<&String>, content: &[wit_tools::ToolContent]) -> Result<(), CallError> {
    json::check_object("extra", extra).map_err(broken)?;
    content.iter().try_for_each(|part| match part {
        wit_tools::ToolContent::Html(embed) => {
            json::check_object("html.extra", embed.extra.as_ref()).map_err(broken)
        }
        _ => Ok(()),
    })
}

/// A request whose JSON texts parse.
pub(crate) fn request(request: ChatRequest) -> Result<ChatRequest, CallError> {
    json::check_request(&request).map_err(broken)?;
    Ok(request)
}

/// Messages whose JSON texts parse.
pub(crate) fn messages(messages: Vec<StoredMessage>) -> Result<Vec<StoredMessage>, CallError> {
    messages.iter().try_for_each(json::check_message).map_err(broken)?;
    Ok(messages)
}

/// A text that holds an object.
pub(crate) fn object(text: String) -> Result<String, CallError> {
    json::check_object("reply", Some(&text)).map_err(broken)?;
    Ok(text)
}

/// Chunks that are counted against the limits and whose JSON texts parse.
pub(crate) fn chunks(
    call: &CallHandle,
    chunks: Vec<innkeeper_host::bindings::innkeeper::types::chat_request::Chunk>,
) -> Result<Vec<Chunk>, CallError> {
    let counted = chunks.into_iter().map(|chunk| {
        call.count_chunk(chat_request::chunk_bytes(&chunk)).map_err(CallError::Limit)?;
        chat_request::chunk_from_guest(chunk).map_err(broken)
    });
    counted.collect()
}

/// A pipe's models, if there are not too many.
pub(crate) fn models(list: pipe::ModelList) -> Result<ModelList, CallError> {
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

/// HTML in a result is shown like HTML in an event, and needs the same permission.
fn may_show(call: &CallHandle, content: &[ToolContent]) -> Result<(), CallError> {
    if !content.iter().any(|part| matches!(part, ToolContent::Html { .. })) {
        return Ok(());
    }
    call.require(Permission::EventsHtml).map_err(|error| CallError::Plugin(PluginError::Host(error)))
}

fn not_json(error: ParseError) -> CallError {
    CallError::Invalid(format!("it answered with text that is not JSON: {error}"))
}

fn broken(error: Error) -> CallError {
    CallError::Invalid(error.message)
}
