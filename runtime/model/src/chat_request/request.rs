//! The body of a request.

use std::collections::BTreeSet;

use super::body_error::BodyError;
use super::message::write_list;
use super::record::{Record, Rest};
use super::{ChatRequest, Message, ToolSpec};
use crate::json::{self, Kind, Object};

const TYPED: &[&str] = &["model", "messages", "stream", "tools"];

/// Fields of a body that go to `params`; any other that has no field of its own goes to `extra`.
pub const PARAMS: &[&str] = &[
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "min_p",
    "modalities",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "reasoning_effort",
    "repetition_penalty",
    "response_format",
    "seed",
    "service_tier",
    "stop",
    "stream_options",
    "temperature",
    "tool_choice",
    "top_k",
    "top_logprobs",
    "top_p",
    "verbosity",
];

impl ChatRequest {
    /// Reads a body. An error here is the client's: it names the field and what to send instead. Errors are:
    /// - a text that is not one JSON object, or nested deeper than [`json::MAX_DEPTH`];
    /// - `model` missing, or no string of Unicode text;
    /// - `messages` missing, no array, or with an item that is no object;
    /// - `tools` that is neither `null` nor an array, or with an item that is no object.
    ///
    /// Everything else is kept. Of a key that comes twice the last value counts.
    pub fn from_json(body: &str) -> Result<Self, BodyError> {
        let object = json::object(body).map_err(|error| BodyError::json("", &error))?;
        let mut request = Self {
            model: String::new(),
            messages: Vec::new(),
            stream: None,
            tools: Vec::new(),
            params: String::new(),
            extra: None,
        };
        let mut params = Rest::default();
        let mut rest = Rest::default();
        for entry in object.entries() {
            match &*entry.key {
                "model" => {
                    let model = json::string(entry.value);
                    request.model = model
                        .ok_or_else(|| BodyError::new("model", "is not a string; name a model"))?
                        .into_owned();
                }
                "messages" => request.messages = read_list("messages", entry.value, Message::from_json)?,
                "stream" => {
                    request.stream = read_bool(entry.value);
                    if request.stream.is_none() {
                        rest.keep(entry);
                    }
                }
                "tools" => {
                    request.tools = read_tools(entry.value)?;
                    if request.tools.is_empty() {
                        rest.keep(entry);
                    }
                }
                name if PARAMS.contains(&name) => params.keep(entry),
                _ => rest.keep(entry),
            }
        }
        if object.get("model").is_none() {
            return Err(BodyError::new("model", "is missing; name a model"));
        }
        if object.get("messages").is_none() {
            return Err(BodyError::new("messages", "is missing; send an array of messages"));
        }
        request.params = params.finish().unwrap_or_else(|| "{}".to_owned());
        request.extra = rest.finish();
        Ok(request)
    }

    /// Writes the body; see `write_json` for when it fails.
    pub fn to_json(&self) -> Result<String, BodyError> {
        let mut out = String::with_capacity(self.size_hint());
        self.write_json(&mut out)?;
        Ok(out)
    }

    /// Appends the body. Fails where a JSON text in it (`params`, an `extra`, …) is none, where `params` names a field of the request's own
    /// such as `messages`, and where a blob has not been put back. A field in both `params` and `extra` is taken from `params`.
    pub fn write_json(&self, out: &mut String) -> Result<(), BodyError> {
        let params = json::object(&self.params).map_err(|error| BodyError::object("params", &error))?;
        if let Some(entry) = params.entries().iter().find(|entry| TYPED.contains(&&*entry.key)) {
            return Err(BodyError::new(
                format!("params.{}", entry.key),
                "is no sampling parameter; set the request's own field",
            ));
        }
        let mut record = Record::open(out, self.extra.as_deref())?;
        record.string("model", &self.model);
        if !record.unchanged("messages", |raw| {
            read_list("", raw, Message::from_json).is_ok_and(|messages| messages == self.messages)
        }) {
            record.key("messages");
            write_list(record.out, &self.messages, |message, out| message.write_json(out))
                .map_err(|error| error.inside("messages"))?;
        }
        if !record.unchanged("stream", |raw| read_bool(raw) == self.stream)
            && let Some(stream) = self.stream
        {
            record.json("stream", if stream { "true" } else { "false" });
        }
        if !record.unchanged("tools", |raw| read_tools(raw).is_ok_and(|tools| tools == self.tools))
            && !self.tools.is_empty()
        {
            record.key("tools");
            write_list(record.out, &self.tools, |tool, out| tool.write_json(out))
                .map_err(|error| error.inside("tools"))?;
        }
        write_params(record, &params);
        Ok(())
    }

    /// A little more than the bytes that the body will mostly have.
    fn size_hint(&self) -> usize {
        let messages = self.messages.iter().map(|message| {
            let content = match &message.content {
                Some(super::Content::Text(text) | super::Content::Other(text)) => text.len(),
                _ => 0,
            };
            64 + content + content / 16 + message.extra.as_ref().map_or(0, String::len)
        });
        256 + self.params.len() + self.extra.as_ref().map_or(0, String::len) + messages.sum::<usize>()
    }
}

/// Writes the parameters, and then what `extra` has besides them.
fn write_params(mut record: Record<'_, '_>, params: &Object<'_>) {
    for entry in params.entries() {
        record.raw_entry(entry);
    }
    let mut written: BTreeSet<&str> = params.entries().iter().map(|entry| &*entry.key).collect();
    written.extend(TYPED);
    record.close_without(|key| written.contains(key));
}

/// Reads an array of objects; an error names the item.
fn read_list<T>(
    name: &str,
    raw: &str,
    read: impl Fn(&str) -> Result<T, BodyError>,
) -> Result<Vec<T>, BodyError> {
    let items =
        json::array(raw).map_err(|_| BodyError::new(name, "is not an array; send an array of objects"))?;
    let mut list = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        if json::kind(item) != Some(Kind::Object) {
            return Err(BodyError::new("", "is not an object; send an object").item(name, index));
        }
        list.push(read(item).map_err(|error| error.item(name, index))?);
    }
    Ok(list)
}

fn read_tools(raw: &str) -> Result<Vec<ToolSpec>, BodyError> {
    if raw == "null" { Ok(Vec::new()) } else { read_list("tools", raw, ToolSpec::from_json) }
}

fn read_bool(raw: &str) -> Option<bool> {
    match raw {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}
