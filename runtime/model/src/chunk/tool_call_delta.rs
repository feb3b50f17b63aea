//! Pieces of tool calls.

use super::ToolCallDelta;
use crate::chat_request::BodyError;
use crate::chat_request::record::{Record, Rest};
use crate::chat_request::tool_call::write_function;
use crate::json::{self, Kind, Object};

const TYPED: &[&str] = &["index", "id", "function"];

impl ToolCallDelta {
    /// Reads a piece; `position` is its index where it gives none. Fields that are `null` count as absent.
    pub(super) fn read(object: &Object<'_>, position: u32) -> Self {
        let mut piece = Self { index: position, ..Self::default() };
        let mut rest = Rest::default();
        for entry in object.entries().iter().filter(|entry| entry.value != "null") {
            match &*entry.key {
                "index" => match super::index(entry.value) {
                    Some(index) => piece.index = index,
                    None => rest.keep(entry),
                },
                "id" => piece.id = rest.optional(entry),
                "type" if json::string(entry.value).as_deref() == Some("function") => {}
                "function" if json::kind(entry.value) == Some(Kind::Object) => {
                    if let Some(inner) = piece.read_function(&json::object(entry.value).unwrap_or_default()) {
                        rest.put(entry.raw_key, &inner);
                    }
                }
                _ => rest.keep(entry),
            }
        }
        piece.extra = rest.finish();
        piece
    }

    /// Appends the piece; the type `function` goes with the id, as in the first piece of a call.
    pub(super) fn write_json(&self, out: &mut String) -> Result<(), BodyError> {
        let mut record = Record::open(out, self.extra.as_deref())?;
        record.json("index", &self.index.to_string());
        record.optional("id", self.id.as_deref());
        if self.id.is_some() && record.raw("type").is_none() {
            record.json("type", "\"function\"");
        }
        if self.name.is_some() || self.arguments.is_some() || record.raw("function").is_some() {
            let blank = self.name.is_none() && self.arguments.is_none();
            write_function(&mut record, blank, &["name", "arguments"], |inner| {
                inner.optional("name", self.name.as_deref());
                inner.optional("arguments", self.arguments.as_deref());
                Ok(())
            })?;
        }
        record.close(TYPED);
        Ok(())
    }

    fn read_function(&mut self, object: &Object<'_>) -> Option<String> {
        let mut rest = Rest::default();
        for entry in object.entries().iter().filter(|entry| entry.value != "null") {
            match &*entry.key {
                "name" => self.name = rest.optional(entry),
                "arguments" => self.arguments = rest.optional(entry),
                _ => rest.keep(entry),
            }
        }
        rest.finish()
    }
}
