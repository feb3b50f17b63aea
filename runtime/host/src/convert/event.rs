//! Events: cases of the contract ↔ types on the wire.

use innkeeper_model::event::{MAX_VALUES, WireEvent};
use innkeeper_model::{Error, PluginId, json};
use serde_json::{Map, Value, json};

use crate::bindings::innkeeper::types::events as wit;

/// The event as it goes on the wire. JSON texts of the guest that do not parse are `invalid`.
pub fn to_wire(event: wit::Event) -> Result<WireEvent, Error> {
    Ok(match event {
        wit::Event::Status(status) => WireEvent::new("status", status_data(status)?),
        wit::Event::Message(content) => WireEvent::new("message", json!({ "content": content })),
        wit::Event::Replace(content) => WireEvent::new("replace", json!({ "content": content })),
        wit::Event::Files(files) => {
            let files: Vec<Value> = files.into_iter().map(file_link).collect();
            WireEvent::new("files", json!({ "files": files }))
        }
        wit::Event::Embeds(wit::Embeds { items, replace }) => {
            WireEvent::new("embeds", json!({ "embeds": items, "replace": replace }))
        }
        wit::Event::Source(source) => WireEvent::new("source", source_data(source)),
        wit::Event::Notification(wit::Notification { level, content }) => {
            let level = match level {
                wit::NotificationLevel::Info => "info",
                wit::NotificationLevel::Success => "success",
                wit::NotificationLevel::Warning => "warning",
                wit::NotificationLevel::Error => "error",
            };
            WireEvent::new("notification", json!({ "type": level, "content": content }))
        }
        wit::Event::Title(title) => WireEvent::new("chat:title", Value::String(title)),
        wit::Event::Other(other) => other_event(other)?,
    })
}

/// The question as it goes on the wire.
pub fn question_to_wire(question: wit::Question) -> Result<WireEvent, Error> {
    Ok(match question {
        wit::Question::Confirmation(wit::Confirmation { title, message }) => {
            WireEvent::new("confirmation", json!({ "title": title, "message": message }))
        }
        wit::Question::Input(input) => {
            let wit::Input { title, message, placeholder, value, secret } = input;
            let mut data =
                Map::from_iter([("title".into(), title.into()), ("message".into(), message.into())]);
            data.extend(placeholder.map(|text| ("placeholder".into(), text.into())));
            data.extend(value.map(|text| ("value".into(), text.into())));
            data.extend(secret.then(|| ("type".into(), "password".into())));
            WireEvent::new("input", Value::Object(data))
        }
        wit::Question::Other(other) => other_event(other)?,
    })
}

/// What a client answered, by what was asked. Clients answer `false` or `null` where the person closed the dialogue.
pub fn answer_from_wire(kind: &str, answer: Value) -> wit::Answer {
    match (kind, answer) {
        ("confirmation", Value::Bool(true)) => wit::Answer::Confirmed,
        ("confirmation", Value::Bool(false)) => wit::Answer::Declined,
        (_, Value::Null) | ("input", Value::Bool(false)) => wit::Answer::Cancelled,
        ("input", Value::String(text)) => wit::Answer::Text(text),
        (_, other) => wit::Answer::Other(other.to_string()),
    }
}

/// Bytes that the texts of an event have, before any of them is looked into.
pub fn event_bytes(event: &wit::Event) -> u64 {
    let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let bytes: usize = match event {
        wit::Event::Status(status) => status.description.len() + optional(&status.extra),
        wit::Event::Message(text) | wit::Event::Replace(text) | wit::Event::Title(text) => text.len(),
        wit::Event::Files(files) => {
            let link = |file: &wit::FileLink| {
                64 + file.kind.len() + file.url.len() + optional(&file.id) + optional(&file.name)
            };
            files.iter().map(link).sum()
        }
        wit::Event::Embeds(embeds) => embeds.items.iter().map(|item| 8 + item.len()).sum(),
        wit::Event::Source(source) => {
            let document = |document: &wit::SourceDocument| {
                64 + document.text.len() + document.source.len() + optional(&document.url)
            };
            source.name.len()
                + optional(&source.id)
                + optional(&source.url)
                + source.documents.iter().map(document).sum::<usize>()
        }
        wit::Event::Notification(notification) => notification.content.len(),
        wit::Event::Other(other) => other.kind.len() + other.data.len(),
    };
    bytes as u64
}

/// The same for a question.
pub fn question_bytes(question: &wit::Question) -> u64 {
    let bytes = match question {
        wit::Question::Confirmation(asked) => asked.title.len() + asked.message.len(),
        wit::Question::Input(input) => {
            let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
            input.title.len() + input.message.len() + optional(&input.placeholder) + optional(&input.value)
        }
        wit::Question::Other(other) => other.kind.len() + other.data.len(),
    };
    bytes as u64
}

fn status_data(status: wit::Status) -> Result<Value, Error> {
    let wit::Status { description, done, hidden, extra } = status;
    let mut data = match extra {
        Some(extra) => object("status.extra", &extra)?,
        None => Map::new(),
    };
    data.insert("description".into(), description.into());
    data.insert("done".into(), done.into());
    if hidden {
        data.insert("hidden".into(), true.into());
    }
    Ok(Value::Object(data))
}

fn file_link(file: wit::FileLink) -> Value {
    let mut link = Map::from_iter([("type".into(), file.kind.into()), ("url".into(), file.url.into())]);
    link.extend(file.id.map(|id| ("id".into(), id.into())));
    link.extend(file.name.map(|name| ("name".into(), name.into())));
    Value::Object(link)
}

fn source_data(source: wit::Source) -> Value {
    let wit::Source { name, id, url, documents } = source;
    let mut about = Map::from_iter([("name".into(), name.into())]);
    about.extend(id.map(|id| ("id".into(), id.into())));
    about.extend(url.map(|url| ("url".into(), url.into())));
    let metadata: Vec<Value> = documents
        .iter()
        .map(|document| {
            let mut entry = Map::from_iter([("source".into(), document.source.clone().into())]);
            entry.extend(document.url.clone().map(|url| ("url".into(), url.into())));
            Value::Object(entry)
        })
        .collect();
    let documents: Vec<String> = documents.into_iter().map(|document| document.text).collect();
    json!({ "source": about, "document": documents, "metadata": metadata })
}

fn other_event(other: wit::OtherEvent) -> Result<WireEvent, Error> {
    if other.kind.is_empty() || other.kind.len() > 128 || other.kind.chars().any(char::is_control) {
        return Err(Error::invalid(
            "kind",
            "the type of an event has 1 to 128 bytes and no control characters",
        ));
    }
    let (data, _) = json::parse(&other.data, MAX_VALUES).map_err(|error| {
        Error::invalid("data", format!("the data of an event is not JSON that can be shown: {error}"))
    })?;
    Ok(WireEvent { kind: other.kind, data })
}

fn object(field: &str, text: &str) -> Result<Map<String, Value>, Error> {
    let invalid = |why: &str| Error::invalid(field, format!("`{field}` is not a JSON object: {why}"));
    match json::parse(text, MAX_VALUES).map_err(|error| invalid(&error.to_string()))? {
        (Value::Object(object), _) => Ok(object),
        _ => Err(invalid("it is another value")),
    }
}

/// Who a denied event was from, for the message.
pub fn denied_event(plugin: &PluginId, permission: innkeeper_model::Permission, kind: &str) -> Error {
    let mut error = crate::fault::denied(plugin, permission);
    let shown: String = kind.chars().take(64).flat_map(char::escape_default).collect();
    error.message = format!("events of type `{shown}` need `{permission}`: {}", error.message);
    error
}
