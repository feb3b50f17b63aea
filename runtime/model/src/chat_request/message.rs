//! Messages and what they say.

use super::body_error::BodyError;
use super::record::{Record, Rest, write_checked};
use super::tool_call::read_calls;
use super::{Content, ContentPart, Message};
use crate::json::{self, Kind};

const TYPED: &[&str] = &["role", "content", "name", "tool_call_id", "tool_calls"];

impl Message {
    /// Reads a message. Nothing in it is an error: a `role` that is no string, `tool_calls` that are no list of objects and the like
    /// read as empty and stay in `extra` as they were written. Fails where the text is no JSON object.
    pub fn from_json(text: &str) -> Result<Self, BodyError> {
        let object = json::object(text).map_err(|error| BodyError::json("", &error))?;
        let mut message = Self::default();
        let mut rest = Rest::default();
        for entry in object.entries() {
            match &*entry.key {
                "role" => message.role = rest.required(entry),
                "content" => {
                    message.content = Content::read(entry.value);
                    if message.content.is_none() {
                        rest.keep(entry);
                    }
                }
                "name" => message.name = rest.optional(entry),
                "tool_call_id" => message.tool_call_id = rest.optional(entry),
                "tool_calls" => {
                    message.tool_calls = read_calls(entry.value);
                    if message.tool_calls.is_empty() {
                        rest.keep(entry);
                    }
                }
                _ => rest.keep(entry),
            }
        }
        rest.require(object.get("role").is_some());
        message.extra = rest.finish();
        Ok(message)
    }

    /// Writes the message; see `write_json` for when it fails.
    pub fn to_json(&self) -> Result<String, BodyError> {
        let mut out = String::new();
        self.write_json(&mut out)?;
        Ok(out)
    }

    /// Appends the message; fails where a JSON text in it is none, and where a blob has not been put back.
    pub fn write_json(&self, out: &mut String) -> Result<(), BodyError> {
        let mut record = Record::open(out, self.extra.as_deref())?;
        record.required("role", &self.role);
        if !record.unchanged("content", |raw| Content::read(raw) == self.content)
            && let Some(content) = &self.content
        {
            record.key("content");
            content.write_json(record.out).map_err(|error| error.inside("content"))?;
        }
        record.optional("name", self.name.as_deref());
        record.optional("tool_call_id", self.tool_call_id.as_deref());
        if !record.unchanged("tool_calls", |raw| read_calls(raw) == self.tool_calls)
            && !self.tool_calls.is_empty()
        {
            record.key("tool_calls");
            write_list(record.out, &self.tool_calls, |call, out| call.write_json(out))
                .map_err(|error| error.inside("tool_calls"))?;
        }
        record.close(TYPED);
        Ok(())
    }
}

impl Content {
    /// Appends the content; fails where a JSON text in it is none, and where a blob has not been put back.
    pub fn write_json(&self, out: &mut String) -> Result<(), BodyError> {
        match self {
            Self::Text(text) => {
                json::write_string(out, text);
                Ok(())
            }
            Self::Parts(parts) => write_list(out, parts, |part, out| part.write_json(out)),
            Self::Other(text) => write_checked(out, "", text),
        }
    }

    /// Reads a text that is known to be JSON; `None` for `null`.
    fn read(raw: &str) -> Option<Self> {
        let typed = match json::kind(raw)? {
            Kind::Null => return None,
            Kind::String => json::string(raw).map(|text| Self::Text(text.into_owned())),
            Kind::Array => json::array(raw)
                .ok()
                .map(|parts| Self::Parts(parts.into_iter().map(ContentPart::read).collect())),
            _ => None,
        };
        Some(typed.unwrap_or_else(|| Self::Other(raw.to_owned())))
    }
}

/// Appends an array; an error names the item.
pub(crate) fn write_list<T>(
    out: &mut String,
    items: &[T],
    mut write: impl FnMut(&T, &mut String) -> Result<(), BodyError>,
) -> Result<(), BodyError> {
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(item, out).map_err(|error| error.item("", index))?;
    }
    out.push(']');
    Ok(())
}
