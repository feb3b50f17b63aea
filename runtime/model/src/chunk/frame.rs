//! Frames of a streamed answer taken apart: OpenAI's `chat.completion.chunk`, events, errors.

use serde_json::Value;

use super::{Chunk, Delta, index};
use crate::chat_request::record::Rest;
use crate::chat_request::{BodyError, Usage};
use crate::event::{self, WireEvent};
use crate::json::{self, Entry, Kind, Object};

/// Fields of a frame that say nothing about the answer: written anew for each frame, or padding.
const ENVELOPE: &[&str] =
    &["id", "object", "created", "model", "system_fingerprint", "service_tier", "obfuscation", "provider"];

/// Fields of a choice under which it says something.
pub(super) const SAID: &[&str] = &["delta", "message"];

impl Chunk {
    /// Takes the data of one frame apart, in the order in which it counts: event, then text and the ends of choices, then figures, then what is left.
    ///
    /// All text that a client would show is typed, whatever else the frame holds, so that filters see it; an event is always [`Chunk::Event`],
    /// so that its permission can be checked, and so are `sources` that show a document, as events of the type `source`.
    /// The further fields of a choice that ends go with its end; what else has no type of its own (`logprobs`, other `sources`, …) follows
    /// as one [`Chunk::Raw`] without them.
    /// A frame that is nothing of OpenAI's comes as [`Chunk::Raw`] whole; one that says nothing gives no chunk.
    /// Give a plugin's own [`Chunk::Raw`] to this function before it goes on.
    ///
    /// Fails where the text is no JSON, and where an event has no type or has data that cannot be kept.
    pub fn from_frame(text: &str) -> Result<Vec<Self>, BodyError> {
        let text = text.trim_ascii();
        if json::kind(text) != Some(Kind::Object) {
            json::check(text).map_err(|error| BodyError::json("", &error))?;
            return Ok(vec![Self::Raw(text.to_owned())]);
        }
        let frame = json::object(text).map_err(|error| BodyError::json("", &error))?;
        let mut chunks = Vec::new();
        let event = frame.get("event").filter(|raw| json::kind(raw) == Some(Kind::Object));
        if let Some(event) = event {
            chunks.push(Self::Event(read_event(event)?));
        }
        let sources = documents(frame.get("sources"))?;
        let is_event = |key: &str| match key {
            "event" => event.is_some(),
            "sources" => !sources.is_empty(),
            _ => false,
        };
        chunks.extend(sources.iter().cloned().map(|data| Self::Event(WireEvent::new("source", data))));
        let error = frame.get("error").filter(|raw| *raw != "null");
        let choices = frame.get("choices").and_then(|raw| json::array(raw).ok());
        let usage = frame.get("usage").and_then(|raw| Usage::from_json(raw).ok());
        let taken = |key: &str| key == "usage" && usage.is_some() || is_event(key);
        let is_ours = choices.is_some()
            || error.is_some()
            || frame.entries().iter().all(|entry| taken(&entry.key) || ENVELOPE.contains(&&*entry.key))
                && usage.is_some();
        let mut rest = Rest::default();
        if is_ours {
            read_answer(
                &frame,
                choices.as_deref(),
                usage,
                error.is_some(),
                &is_event,
                &mut chunks,
                &mut rest,
            );
        } else {
            frame.entries().iter().filter(|entry| !is_event(&entry.key)).for_each(|entry| rest.keep(entry));
        }
        if let Some(rest) = rest.finish() {
            let untouched = !is_ours && event.is_none() && sources.is_empty() && !frame.had_duplicates();
            chunks.push(Self::Raw(if untouched { text.to_owned() } else { rest }));
        } else if frame.entries().is_empty() {
            chunks.push(Self::Raw("{}".to_owned()));
        }
        if let Some(error) = error {
            chunks.push(Self::Failed(error_text(error)));
        }
        Ok(chunks)
    }
}

fn read_event(raw: &str) -> Result<WireEvent, BodyError> {
    let object = json::object(raw).map_err(|error| BodyError::json("event", &error))?;
    let kind = object.get("type").and_then(json::string);
    let kind =
        kind.ok_or_else(|| BodyError::new("event.type", "is missing or no string; name the event's type"))?;
    let data = object.get("data").map(|data| json::parse(data, event::MAX_VALUES)).transpose();
    let data = data.map_err(|error| {
        BodyError::new("event.data", format!("cannot be kept: {error}; send smaller numbers or less nesting"))
    })?;
    Ok(WireEvent::new(kind, data.map(|(data, _)| data).unwrap_or_default()))
}

/// The sources of a frame, if one of them shows a document.
fn documents(raw: Option<&str>) -> Result<Vec<Value>, BodyError> {
    let Some(items) = raw.and_then(|raw| json::array(raw).ok()) else { return Ok(Vec::new()) };
    let read = |raw: &&str| json::parse(raw, event::MAX_VALUES).map(|(source, _)| source);
    let sources = items.iter().map(read).collect::<Result<Vec<Value>, _>>();
    let sources = sources.map_err(|error| {
        BodyError::new("sources", format!("cannot be kept: {error}; send smaller numbers or less nesting"))
    })?;
    Ok(if sources.iter().any(event::source_shows_html) { sources } else { Vec::new() })
}

/// Reads a frame of ours; what has no type goes to `rest`. An answer that failed ends with that, and its choices do not end
/// by themselves.
fn read_answer<'a>(
    frame: &Object<'a>,
    choices: Option<&[&'a str]>,
    usage: Option<Usage>,
    failed: bool,
    is_event: &impl Fn(&str) -> bool,
    chunks: &mut Vec<Chunk>,
    rest: &mut Rest<'a>,
) {
    let mut left = String::new();
    let from = chunks.len();
    for (raw, position) in choices.unwrap_or_default().iter().zip(0..) {
        if let Some(choice) = read_choice(raw, position, failed, chunks) {
            left.push_str(if left.is_empty() { "" } else { "," });
            left.push_str(&choice);
        }
    }
    let known = |entry: &&Entry<'a>| match &*entry.key {
        "choices" => choices.is_some(),
        "error" => true,
        "usage" => usage.is_some() || entry.value == "null",
        key => is_event(key) || ENVELOPE.contains(&key) || entry.value == "null",
    };
    let others: Vec<_> = frame.entries().iter().filter(|entry| !known(entry)).collect();
    if !left.is_empty() || (choices.is_some() && !others.is_empty()) {
        rest.put("\"choices\"", &format!("[{left}]"));
    }
    others.into_iter().for_each(|entry| rest.keep(entry));
    let Some(figures) = usage else { return };
    let last = chunks.get_mut(from..).unwrap_or_default().iter_mut().rev().find_map(|chunk| match chunk {
        Chunk::Finish { usage, .. } => Some(usage),
        _ => None,
    });
    match last {
        Some(usage) => *usage = Some(figures),
        None => chunks.push(Chunk::Usage(figures)),
    }
}

/// Reads a choice; gives what of it has no type, as a choice that says only that.
fn read_choice(raw: &str, position: u32, failed: bool, chunks: &mut Vec<Chunk>) -> Option<String> {
    let Ok(choice) = json::object(raw) else { return Some(raw.to_owned()) };
    let Some(number) = choice.get("index").map_or(Some(position), index) else { return Some(raw.to_owned()) };
    let mut rest = Rest::default();
    // Some providers send the whole message in one frame.
    let name = if choice.get("delta").is_none_or(|raw| raw == "null") { "message" } else { "delta" };
    let mut reason = None;
    for entry in choice.entries().iter().filter(|entry| entry.value != "null") {
        match &*entry.key {
            "index" => {}
            key if key == name => match json::object(entry.value) {
                Ok(delta) => chunks.extend(Delta::read(&delta, number)),
                Err(_) => rest.keep(entry),
            },
            "finish_reason" => reason = rest.optional(entry),
            _ => rest.keep(entry),
        }
    }
    let mut others = rest.finish();
    let kept = others.as_deref().and_then(|others| json::object(others).ok()).unwrap_or_default();
    let delta = if kept.get("delta").is_some() { "" } else { "\"delta\":{}," };
    let says_more = SAID.iter().any(|name| kept.get(name).is_some());
    if let Some(reason) = reason.filter(|_| !failed) {
        let extra = if says_more { None } else { others.take() };
        chunks.push(Chunk::Finish { choice: number, reason, usage: None, extra });
    }
    Some(format!("{{\"index\":{number},{delta}{}", others?.strip_prefix('{')?))
}

/// What an `error` says to a person.
fn error_text(raw: &str) -> String {
    let object = json::object(raw).unwrap_or_default();
    let text = json::string(raw)
        .or_else(|| ["message", "detail"].iter().find_map(|name| json::string(object.get(name)?)));
    text.map_or_else(|| raw.to_owned(), std::borrow::Cow::into_owned)
}
