//! Whether the JSON texts in a guest's records parse: one that does not would break whatever it is put into later.

use innkeeper_model::Error;
use innkeeper_model::chat_message::StoredMessage;
use innkeeper_model::chat_request::{ChatRequest, Content, ContentPart, Media, Message, ToolSpec, Usage};
use innkeeper_model::chunk::Chunk;
use innkeeper_model::json::{self, Kind, MAX_VALUES};

/// What a text must hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Object,
    Array,
    Any,
}

/// Checks a request; `invalid` names the field.
pub fn check_request(request: &ChatRequest) -> Result<(), Error> {
    text("params", Shape::Object, Some(&request.params))?;
    text("extra", Shape::Object, request.extra.as_ref())?;
    request.messages.iter().try_for_each(message)?;
    request.tools.iter().try_for_each(tool)
}

/// Checks a message as it is stored; `invalid` names the field.
pub fn check_message(message: &StoredMessage) -> Result<(), Error> {
    text("files", Shape::Array, message.files.as_ref())?;
    text("sources", Shape::Array, message.sources.as_ref())?;
    text("embeds", Shape::Array, message.embeds.as_ref())?;
    text("status-history", Shape::Array, message.status_history.as_ref())?;
    text("error", Shape::Any, message.error.as_ref())?;
    text("extra", Shape::Object, message.extra.as_ref())?;
    message.usage.as_ref().map_or(Ok(()), usage)
}

/// Checks a chunk; `invalid` names the field.
pub fn check_chunk(chunk: &Chunk) -> Result<(), Error> {
    match chunk {
        Chunk::Raw(raw) => text("raw", Shape::Any, Some(raw)),
        Chunk::Usage(figures) => usage(figures),
        Chunk::Finish { usage: figures, extra, .. } => {
            text("finish.extra", Shape::Object, extra.as_ref())?;
            figures.as_ref().map_or(Ok(()), usage)
        }
        Chunk::Delta(delta) => {
            text("delta.extra", Shape::Object, delta.extra.as_ref())?;
            let mut calls = delta.tool_calls.iter();
            calls.try_for_each(|call| text("tool-calls.extra", Shape::Object, call.extra.as_ref()))
        }
        Chunk::Text(_) | Chunk::Event(_) | Chunk::Failed(_) => Ok(()),
    }
}

/// Checks one text that must hold an object.
pub fn check_object(field: &str, object: Option<&String>) -> Result<(), Error> {
    text(field, Shape::Object, object)
}

/// Checks one text that must hold an array.
pub fn check_array(field: &str, array: Option<&String>) -> Result<(), Error> {
    text(field, Shape::Array, array)
}

fn message(message: &Message) -> Result<(), Error> {
    text("messages.extra", Shape::Object, message.extra.as_ref())?;
    for call in &message.tool_calls {
        text("tool-calls.extra", Shape::Object, call.extra.as_ref())?;
    }
    match &message.content {
        None | Some(Content::Text(_)) => Ok(()),
        Some(Content::Other(other)) => text("content", Shape::Any, Some(other)),
        Some(Content::Parts(parts)) => parts.iter().try_for_each(part),
    }
}

fn part(part: &ContentPart) -> Result<(), Error> {
    match part {
        ContentPart::Text { extra, .. } => text("content.extra", Shape::Object, extra.as_ref()),
        ContentPart::Image { image, extra, .. } => {
            text("content.extra", Shape::Object, extra.as_ref())?;
            match image {
                Media::Other(other) => text("content.image", Shape::Any, Some(other)),
                Media::Blob(blob) => text("content.image.extra", Shape::Object, blob.extra.as_ref()),
                Media::Url(_) => Ok(()),
            }
        }
        ContentPart::Other(other) => text("content", Shape::Any, Some(other)),
    }
}

fn tool(tool: &ToolSpec) -> Result<(), Error> {
    text("tools.parameters", Shape::Any, tool.parameters.as_ref())?;
    text("tools.extra", Shape::Object, tool.extra.as_ref())
}

fn usage(usage: &Usage) -> Result<(), Error> {
    text("usage.extra", Shape::Object, usage.extra.as_ref())
}

fn text(field: &str, shape: Shape, text: Option<&String>) -> Result<(), Error> {
    let Some(text) = text else { return Ok(()) };
    let (wanted, fits) = match shape {
        Shape::Object => ("a JSON object", json::kind(text) == Some(Kind::Object)),
        Shape::Array => ("a JSON array", json::kind(text) == Some(Kind::Array)),
        Shape::Any => ("JSON", true),
    };
    let problem = match json::check_up_to(text, MAX_VALUES) {
        Ok(_) if fits => return Ok(()),
        Ok(_) => format!("`{field}` is not {wanted}"),
        Err(error) => format!("`{field}` is not {wanted}: {error}"),
    };
    Err(Error::invalid(field, problem))
}

#[cfg(test)]
mod tests {
    use super::*;
    use innkeeper_model::chat_request::Blob;

    #[test]
    fn a_field_that_is_not_json_is_named() {
        let mut request = ChatRequest {
            model: String::new(),
            messages: vec![Message::default()],
            stream: None,
            tools: Vec::new(),
            params: "{}".to_owned(),
            extra: None,
        };
        assert_eq!(check_request(&request), Ok(()));
        for (params, extra, field) in [
            ("[]", None, "params"),
            ("", None, "params"),
            ("{}", Some("{"), "messages.extra"),
            ("{}", Some("1"), "messages.extra"),
        ] {
            request.params = params.to_owned();
            for message in &mut request.messages {
                message.extra = extra.map(str::to_owned);
            }
            assert_eq!(check_request(&request).map_err(|error| error.subject), Err(Some(field.to_owned())));
        }
        let blob = |extra: &str| {
            let (id, content_type) = (String::new(), String::new());
            let blob = Blob { id, content_type, size: 0, extra: Some(extra.to_owned()) };
            let part = ContentPart::Image { image: Media::Blob(blob), detail: None, extra: None };
            Message { content: Some(Content::Parts(vec![part])), ..Message::default() }
        };
        request.params = "{}".to_owned();
        for (extra, expected) in [("{}", Ok(())), ("[]", Err(Some("content.image.extra".to_owned())))] {
            request.messages = vec![blob(extra)];
            assert_eq!(check_request(&request).map_err(|error| error.subject), expected);
        }
        let figures = Usage { extra: Some("{".to_owned()), ..Usage::default() };
        for (extra, usage, expected) in [
            (Some("{}"), None, Ok(())),
            (Some("[]"), None, Err(Some("finish.extra".to_owned()))),
            (None, Some(figures), Err(Some("usage.extra".to_owned()))),
        ] {
            let extra = extra.map(str::to_owned);
            let end = Chunk::Finish { choice: 0, reason: String::new(), usage, extra };
            assert_eq!(check_chunk(&end).map_err(|error| error.subject), expected);
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(check_object("extra", Some(&deep)).is_err());
    }
}
