//! Chunks put together to one answer.

use std::collections::BTreeMap;

use super::delta::REASONING;
use super::merge::Members;
use super::write::{is_typed_in_end, write_usage};
use super::{Chunk, Delta, ToolCallDelta};
use crate::chat_request::{BodyError, Usage};
use crate::json;

/// Puts the chunks of an answer together to a `chat.completion` object. `created` is in seconds since 1970.
/// Events and a failure are no part of it: deliver them apart. Fails where a JSON text in a chunk is none.
pub fn completion_json(id: &str, created: i64, model: &str, chunks: &[Chunk]) -> Result<String, BodyError> {
    let mut collector = Collector::default();
    chunks.iter().try_for_each(|chunk| collector.add(chunk))?;
    collector.completion_json(id, created, model)
}

/// An answer as far as it has come.
#[derive(Default)]
pub struct Collector {
    choices: BTreeMap<u32, Choice>,
    usage: Option<Usage>,
    extra: Members,
}

#[derive(Default)]
struct Choice {
    role: Option<String>,
    content: String,
    reasoning: String,
    calls: BTreeMap<u32, Call>,
    finish_reason: Option<String>,
    /// Further fields of the message.
    message: Members,
    /// Further fields of the choice.
    extra: Members,
}

#[derive(Default)]
struct Call {
    id: String,
    name: String,
    arguments: String,
    function: Members,
    extra: Members,
}

impl Collector {
    /// Adds the next chunk. Fails where a JSON text in it is none; then only the chunk's fields before it have been added.
    pub fn add(&mut self, chunk: &Chunk) -> Result<(), BodyError> {
        match chunk {
            Chunk::Text(text) => self.choice(0).content.push_str(text),
            Chunk::Delta(delta) => {
                self.choice(delta.choice).add(delta).map_err(|error| error.inside("delta"))?
            }
            Chunk::Usage(usage) => self.usage = Some(usage.clone()),
            Chunk::Finish { choice, reason, usage, extra } => {
                let extra = extra.as_deref().map(json::object).transpose();
                let extra = extra.map_err(|error| BodyError::object("finish.extra", &error))?;
                let choice = self.choice(*choice);
                choice.finish_reason = Some(reason.clone());
                for entry in extra.unwrap_or_default().entries() {
                    if !is_typed_in_end(&entry.key) {
                        choice.extra.add(&entry.key, entry.value);
                    }
                }
                if usage.is_some() {
                    self.usage.clone_from(usage);
                }
            }
            Chunk::Raw(text) => self.add_raw(text).map_err(|error| error.inside("raw"))?,
            Chunk::Event(_) | Chunk::Failed(_) => {}
        }
        Ok(())
    }

    /// The text of a choice so far.
    pub fn text(&self, choice: u32) -> &str {
        self.choices.get(&choice).map_or("", |choice| &choice.content)
    }

    /// How a choice ended, once it has.
    pub fn finish_reason(&self, choice: u32) -> Option<&str> {
        self.choices.get(&choice)?.finish_reason.as_deref()
    }

    /// The latest figures.
    pub fn usage(&self) -> Option<&Usage> {
        self.usage.as_ref()
    }

    /// Writes the answer; a choice that has not ended has the finish reason `null`. Fails where the `extra` of the figures is no JSON object.
    pub fn completion_json(&self, id: &str, created: i64, model: &str) -> Result<String, BodyError> {
        let mut out = String::from("{\"id\":");
        json::write_string(&mut out, id);
        out.push_str(&format!(",\"object\":\"chat.completion\",\"created\":{created},\"model\":"));
        json::write_string(&mut out, model);
        out.push_str(",\"choices\":[");
        for (place, (index, choice)) in self.choices.iter().enumerate() {
            out.push_str(if place > 0 { "," } else { "" });
            choice.write(&mut out, *index);
        }
        if self.choices.is_empty() {
            Choice::default().write(&mut out, 0);
        }
        out.push(']');
        write_usage(&mut out, self.usage.as_ref())?;
        self.extra.write_fields(
            &mut out,
            &["id", "object", "created", "model", "choices", "usage", "event", "error"],
        );
        out.push('}');
        Ok(out)
    }

    fn choice(&mut self, index: u32) -> &mut Choice {
        self.choices.entry(index).or_default()
    }

    /// Adds a raw frame: what of it is typed like any chunk, then what is left of its choices and of itself.
    fn add_raw(&mut self, text: &str) -> Result<(), BodyError> {
        for chunk in Chunk::from_frame(text)? {
            let Chunk::Raw(left) = chunk else {
                self.add(&chunk)?;
                continue;
            };
            let Ok(frame) = json::object(&left) else { continue };
            for entry in frame.entries().iter().filter(|entry| entry.key != "choices") {
                self.extra.add(&entry.key, entry.value);
            }
            for raw in frame.get("choices").and_then(|raw| json::array(raw).ok()).unwrap_or_default() {
                let choice = json::object(raw).unwrap_or_default();
                let Some(index) = choice.get("index").and_then(super::index) else { continue };
                for entry in
                    choice.entries().iter().filter(|entry| entry.key != "index" && entry.key != "delta")
                {
                    self.choice(index).extra.add(&entry.key, entry.value);
                }
            }
        }
        Ok(())
    }
}

impl Choice {
    fn add(&mut self, delta: &Delta) -> Result<(), BodyError> {
        if let Some(role) = delta.role.as_ref().filter(|role| !role.is_empty()) {
            self.role = Some(role.clone());
        }
        self.content.push_str(delta.content.as_deref().unwrap_or_default());
        self.reasoning.push_str(delta.reasoning.as_deref().unwrap_or_default());
        for (index, piece) in delta.tool_calls.iter().enumerate() {
            self.calls
                .entry(piece.index)
                .or_default()
                .add(piece)
                .map_err(|error| error.item("tool_calls", index))?;
        }
        let extra = delta
            .extra
            .as_deref()
            .map(json::object)
            .transpose()
            .map_err(|error| BodyError::object("extra", &error))?;
        let extra = extra.unwrap_or_default();
        // A text under a name of reasoning is in `reasoning` already, or was to be replaced by it.
        let is_said =
            |key: &str, raw: &str| (REASONING.contains(&key) || key == "content") && raw.starts_with('"');
        for entry in extra.entries().iter().filter(|entry| !is_said(&entry.key, entry.value)) {
            self.message.add(&entry.key, entry.value);
        }
        Ok(())
    }

    fn write(&self, out: &mut String, index: u32) {
        out.push_str(&format!("{{\"index\":{index},\"message\":{{\"role\":"));
        json::write_string(out, self.role.as_deref().unwrap_or("assistant"));
        out.push_str(",\"content\":");
        if !self.content.is_empty() {
            json::write_string(out, &self.content);
        } else if !self.message.write_field(out, "content") {
            out.push_str(if self.calls.is_empty() { "\"\"" } else { "null" });
        }
        let mut written = vec!["role", "content"];
        if !self.reasoning.is_empty() {
            out.push_str(",\"reasoning_content\":");
            json::write_string(out, &self.reasoning);
            written.extend(REASONING);
        }
        if !self.calls.is_empty() {
            out.push_str(",\"tool_calls\":[");
            for (place, call) in self.calls.values().enumerate() {
                out.push_str(if place > 0 { "," } else { "" });
                call.write(out);
            }
            out.push(']');
            written.push("tool_calls");
        }
        self.message.write_fields(out, &written);
        out.push_str("},\"finish_reason\":");
        match &self.finish_reason {
            Some(reason) => json::write_string(out, reason),
            None => out.push_str("null"),
        }
        self.extra.write_fields(out, &["index", "message", "finish_reason"]);
        out.push('}');
    }
}

impl Call {
    fn add(&mut self, piece: &ToolCallDelta) -> Result<(), BodyError> {
        if let Some(id) = piece.id.as_ref().filter(|id| !id.is_empty()) {
            self.id.clone_from(id);
        }
        // The name comes whole, sometimes again with each piece.
        if let Some(name) = piece.name.as_ref().filter(|name| !name.is_empty()) {
            self.name.clone_from(name);
        }
        self.arguments.push_str(piece.arguments.as_deref().unwrap_or_default());
        let extra = piece
            .extra
            .as_deref()
            .map(json::object)
            .transpose()
            .map_err(|error| BodyError::object("extra", &error))?;
        for entry in extra.unwrap_or_default().entries() {
            match json::object(entry.value) {
                Ok(inner) if entry.key == "function" => {
                    inner.entries().iter().for_each(|inner| self.function.add(&inner.key, inner.value));
                }
                _ => self.extra.add(&entry.key, entry.value),
            }
        }
        Ok(())
    }

    fn write(&self, out: &mut String) {
        out.push_str("{\"id\":");
        json::write_string(out, &self.id);
        out.push_str(",\"type\":");
        if !self.extra.write_field(out, "type") {
            out.push_str("\"function\"");
        }
        // A call of another type than `function` has its content in a field of its own.
        if !self.name.is_empty()
            || !self.arguments.is_empty()
            || !self.function.is_empty()
            || self.extra.is_empty()
        {
            out.push_str(",\"function\":{\"name\":");
            json::write_string(out, &self.name);
            out.push_str(",\"arguments\":");
            json::write_string(out, &self.arguments);
            self.function.write_fields(out, &["name", "arguments"]);
            out.push('}');
        }
        self.extra.write_fields(out, &["id", "type", "function", "index"]);
        out.push('}');
    }
}
