//! Deltas: what one choice gains.

use super::{Chunk, Delta, ToolCallDelta};
use crate::chat_request::record::{Record, Rest};
use crate::chat_request::{BodyError, write_list};
use crate::json::{self, Kind, Object};

const TYPED: &[&str] = &["role", "content", "reasoning_content", "tool_calls"];

/// Names under which providers send what the model thinks aloud; ours first.
pub(super) const REASONING: &[&str] = &["reasoning_content", "reasoning", "thinking"];

impl Delta {
    /// Reads a delta as the chunk that it is; `None` for one that says nothing. Fields that are `null` count as absent.
    /// Reasoning is taken from the first of its names that is there; other names keep their text only where it is the same,
    /// so that a filter which rewrites `reasoning` misses none.
    pub(super) fn read(object: &Object<'_>, choice: u32) -> Option<Chunk> {
        let mut delta = Self { choice, ..Self::default() };
        let mut rest = Rest::default();
        let texts: Vec<_> =
            REASONING.iter().filter_map(|name| Some((*name, json::string(object.get(name)?)?))).collect();
        let reasoning = texts.first().map(|(_, text)| text.as_ref());
        let is_ours =
            texts.len() == 1 && texts.first().is_some_and(|(name, _)| REASONING.first() == Some(name));
        for entry in object.entries().iter().filter(|entry| entry.value != "null") {
            match &*entry.key {
                "role" => delta.role = rest.optional(entry),
                "content" => delta.content = rest.optional(entry),
                "tool_calls" => {
                    delta.tool_calls = read_pieces(entry.value);
                    if delta.tool_calls.is_empty() {
                        rest.keep(entry);
                    }
                }
                name if REASONING.contains(&name) => match json::string(entry.value) {
                    Some(text) if is_ours || Some(text.as_ref()) != reasoning => {}
                    _ => rest.keep(entry),
                },
                _ => rest.keep(entry),
            }
        }
        delta.reasoning = reasoning.map(str::to_owned);
        delta.extra = rest.finish();
        delta.into_chunk()
    }

    /// Appends the delta. A text of reasoning goes out under the names by which it came.
    pub(super) fn write_json(&self, out: &mut String) -> Result<(), BodyError> {
        let mut record = Record::open(out, self.extra.as_deref())?;
        record.optional("role", self.role.as_deref());
        record.optional("content", self.content.as_deref());
        let mut named = false;
        for name in REASONING {
            named |= record.unchanged(name, |raw| is_reasoning(raw, self.reasoning.as_deref()));
        }
        if let (false, [name, ..], Some(reasoning)) = (named, REASONING, &self.reasoning) {
            record.string(name, reasoning);
        }
        if !record.unchanged("tool_calls", |raw| read_pieces(raw) == self.tool_calls)
            && !self.tool_calls.is_empty()
        {
            record.key("tool_calls");
            write_list(record.out, &self.tool_calls, |piece, out| piece.write_json(out))
                .map_err(|error| error.inside("tool_calls"))?;
        }
        record.close_without(|key| TYPED.contains(&key) || REASONING.contains(&key));
        Ok(())
    }

    fn into_chunk(self) -> Option<Chunk> {
        let Self { choice, role, content, reasoning, tool_calls, extra } = &self;
        let only_text = role.is_none() && reasoning.is_none() && tool_calls.is_empty() && extra.is_none();
        match content {
            _ if !only_text => Some(Chunk::Delta(self)),
            None => None,
            Some(text) if text.is_empty() => None,
            Some(_) if *choice == 0 => self.content.map(Chunk::Text),
            Some(_) => Some(Chunk::Delta(self)),
        }
    }
}

/// Whether a raw field under one of the names of reasoning may go out beside the typed text.
fn is_reasoning(raw: &str, reasoning: Option<&str>) -> bool {
    match json::string(raw) {
        Some(text) => Some(text.as_ref()) == reasoning,
        None => json::kind(raw) != Some(Kind::String),
    }
}

fn read_pieces(raw: &str) -> Vec<ToolCallDelta> {
    let items = json::array(raw).unwrap_or_default();
    let pieces = items
        .into_iter()
        .zip(0..)
        .map(|(item, position)| Some(ToolCallDelta::read(&json::object(item).ok()?, position)));
    pieces.collect::<Option<_>>().unwrap_or_default()
}
