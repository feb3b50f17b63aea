//! Chat requests and answers in pieces.

use innkeeper_model::chat_request as model;
use innkeeper_model::event::{MAX_VALUES, WireEvent};
use innkeeper_model::{Error, chunk, json};

use super::json::{check_chunk, check_object};
use super::{all, record};
use crate::bindings::innkeeper::types::chat_request as wit;
use crate::bindings::innkeeper::types::common;

record!(model::Blob => common::Blob { id, content_type, size, extra });
record!(common::Blob => model::Blob { id, content_type, size, extra });
record!(model::ToolCall => wit::ToolCall { id, name, arguments, extra });
record!(wit::ToolCall => model::ToolCall { id, name, arguments, extra });
record!(model::ToolSpec => wit::ToolSpec { name, description, parameters, extra });
record!(wit::ToolSpec => model::ToolSpec { name, description, parameters, extra });
record!(model::Usage => wit::Usage { prompt_tokens, completion_tokens, total_tokens, extra });
record!(wit::Usage => model::Usage { prompt_tokens, completion_tokens, total_tokens, extra });
record!(chunk::ToolCallDelta => wit::ToolCallDelta { index, id, name, arguments, extra });
record!(wit::ToolCallDelta => chunk::ToolCallDelta { index, id, name, arguments, extra });

impl From<model::Media> for wit::Media {
    fn from(media: model::Media) -> Self {
        match media {
            model::Media::Url(url) => Self::Url(url),
            model::Media::Blob(blob) => Self::Blob(blob.into()),
            model::Media::Other(json) => Self::Other(json),
        }
    }
}

impl From<wit::Media> for model::Media {
    fn from(media: wit::Media) -> Self {
        match media {
            wit::Media::Url(url) => Self::Url(url),
            wit::Media::Blob(blob) => Self::Blob(blob.into()),
            wit::Media::Other(json) => Self::Other(json),
        }
    }
}

impl From<model::ContentPart> for wit::ContentPart {
    fn from(part: model::ContentPart) -> Self {
        match part {
            model::ContentPart::Text { text, extra } => Self::Text(wit::TextPart { text, extra }),
            model::ContentPart::Image { image, detail, extra } => {
                Self::Image(wit::ImagePart { image: image.into(), detail, extra })
            }
            model::ContentPart::Other(json) => Self::Other(json),
        }
    }
}

impl From<wit::ContentPart> for model::ContentPart {
    fn from(part: wit::ContentPart) -> Self {
        match part {
            wit::ContentPart::Text(wit::TextPart { text, extra }) => Self::Text { text, extra },
            wit::ContentPart::Image(wit::ImagePart { image, detail, extra }) => {
                Self::Image { image: image.into(), detail, extra }
            }
            wit::ContentPart::Other(json) => Self::Other(json),
        }
    }
}

impl From<model::Content> for wit::Content {
    fn from(content: model::Content) -> Self {
        match content {
            model::Content::Text(text) => Self::Text(text),
            model::Content::Parts(parts) => Self::Parts(all(parts)),
            model::Content::Other(json) => Self::Other(json),
        }
    }
}

impl From<wit::Content> for model::Content {
    fn from(content: wit::Content) -> Self {
        match content {
            wit::Content::Text(text) => Self::Text(text),
            wit::Content::Parts(parts) => Self::Parts(all(parts)),
            wit::Content::Other(json) => Self::Other(json),
        }
    }
}

impl From<model::Message> for wit::Message {
    fn from(message: model::Message) -> Self {
        let model::Message { role, content, name, tool_call_id, tool_calls, extra } = message;
        Self {
            role,
            content: content.map(Into::into),
            name,
            tool_call_id,
            tool_calls: all(tool_calls),
            extra,
        }
    }
}

impl From<wit::Message> for model::Message {
    fn from(message: wit::Message) -> Self {
        let wit::Message { role, content, name, tool_call_id, tool_calls, extra } = message;
        Self {
            role,
            content: content.map(Into::into),
            name,
            tool_call_id,
            tool_calls: all(tool_calls),
            extra,
        }
    }
}

impl From<model::ChatRequest> for wit::ChatRequest {
    fn from(request: model::ChatRequest) -> Self {
        let model::ChatRequest { model, messages, stream, tools, params, extra } = request;
        Self { model, messages: all(messages), stream, tools: all(tools), params, extra }
    }
}

impl From<wit::ChatRequest> for model::ChatRequest {
    fn from(request: wit::ChatRequest) -> Self {
        let wit::ChatRequest { model, messages, stream, tools, params, extra } = request;
        Self { model, messages: all(messages), stream, tools: all(tools), params, extra }
    }
}

impl From<model::Completion> for wit::Completion {
    fn from(completion: model::Completion) -> Self {
        let model::Completion { id, model, message, finish_reason, usage, extra } = completion;
        Self { id, model, message: message.into(), finish_reason, usage: usage.map(Into::into), extra }
    }
}

impl From<chunk::Delta> for wit::Delta {
    fn from(delta: chunk::Delta) -> Self {
        let chunk::Delta { choice, role, content, reasoning, tool_calls, extra } = delta;
        Self { choice, role, content, reasoning, tool_calls: all(tool_calls), extra }
    }
}

impl From<wit::Delta> for chunk::Delta {
    fn from(delta: wit::Delta) -> Self {
        let wit::Delta { choice, role, content, reasoning, tool_calls, extra } = delta;
        Self { choice, role, content, reasoning, tool_calls: all(tool_calls), extra }
    }
}

impl From<chunk::Chunk> for wit::Chunk {
    fn from(chunk: chunk::Chunk) -> Self {
        match chunk {
            chunk::Chunk::Text(text) => Self::Text(text),
            chunk::Chunk::Delta(delta) => Self::Delta(delta.into()),
            chunk::Chunk::Usage(usage) => Self::Usage(usage.into()),
            chunk::Chunk::Event(event) => {
                Self::Event(wit::StreamEvent { kind: event.kind, data: event.data.to_string(), extra: None })
            }
            chunk::Chunk::Finish { choice, reason, usage, extra } => {
                Self::Finish(wit::Finish { choice, reason, usage: usage.map(Into::into), extra })
            }
            chunk::Chunk::Failed(message) => Self::Failed(message),
            chunk::Chunk::Raw(json) => Self::Raw(json),
        }
    }
}

/// A chunk from a guest. Text that is not JSON where JSON is due makes it invalid.
pub fn chunk_from_guest(chunk: wit::Chunk) -> Result<chunk::Chunk, Error> {
    let chunk = match chunk {
        wit::Chunk::Text(text) => chunk::Chunk::Text(text),
        wit::Chunk::Delta(delta) => chunk::Chunk::Delta(delta.into()),
        wit::Chunk::Usage(usage) => chunk::Chunk::Usage(usage.into()),
        wit::Chunk::Event(event) => {
            let (data, _) = json::parse(&event.data, MAX_VALUES).map_err(|error| {
                Error::invalid("event.data", format!("`event.data` is not JSON that can be shown: {error}"))
            })?;
            check_object("event.extra", event.extra.as_ref())?;
            chunk::Chunk::Event(WireEvent { kind: event.kind, data })
        }
        wit::Chunk::Finish(wit::Finish { choice, reason, usage, extra }) => {
            chunk::Chunk::Finish { choice, reason, usage: usage.map(Into::into), extra }
        }
        wit::Chunk::Failed(message) => chunk::Chunk::Failed(message),
        wit::Chunk::Raw(json) | wit::Chunk::Other(json) => chunk::Chunk::Raw(json),
    };
    check_chunk(&chunk)?;
    Ok(chunk)
}

/// Bytes that a chunk of a guest carries.
pub fn chunk_bytes(chunk: &wit::Chunk) -> u64 {
    let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let bytes = match chunk {
        wit::Chunk::Text(text)
        | wit::Chunk::Failed(text)
        | wit::Chunk::Raw(text)
        | wit::Chunk::Other(text) => text.len(),
        wit::Chunk::Delta(delta) => {
            let calls = delta.tool_calls.iter().map(|call| {
                64 + length(&call.id) + length(&call.name) + length(&call.arguments) + length(&call.extra)
            });
            length(&delta.role)
                + length(&delta.content)
                + length(&delta.reasoning)
                + length(&delta.extra)
                + calls.sum::<usize>()
        }
        wit::Chunk::Usage(usage) => length(&usage.extra),
        wit::Chunk::Event(event) => event.kind.len() + event.data.len() + length(&event.extra),
        wit::Chunk::Finish(finish) => {
            let figures = finish.usage.as_ref().map_or(0, |usage| length(&usage.extra));
            finish.reason.len() + figures + length(&finish.extra)
        }
    };
    bytes as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_fields_of_a_chunk_count_against_its_bytes() {
        let extra = || Some("x".repeat(1_000));
        let end = wit::Finish { choice: 0, reason: String::new(), usage: None, extra: extra() };
        let event = wit::StreamEvent { kind: String::new(), data: String::new(), extra: extra() };
        for chunk in [wit::Chunk::Finish(end), wit::Chunk::Event(event)] {
            assert!(chunk_bytes(&chunk) >= 1_000, "{chunk:?}");
        }
    }
}
