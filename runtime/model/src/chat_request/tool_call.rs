//! Calls of tools in a message, and the nested `function` object that they share with tools and pieces of calls.

use super::ToolCall;
use super::body_error::BodyError;
use super::record::{Record, Rest};
use crate::json::{self, Kind, Object};

const TYPED: &[&str] = &["id", "function"];

impl ToolCall {
    /// Reads a call. Fails where the text is no JSON object.
    pub fn from_json(text: &str) -> Result<Self, BodyError> {
        let object = json::object(text).map_err(|error| BodyError::json("", &error))?;
        let mut call = Self::default();
        let mut rest = Rest::default();
        for entry in object.entries() {
            match &*entry.key {
                "id" => call.id = rest.required(entry),
                "type" if json::string(entry.value).as_deref() == Some("function") => rest.imply(entry),
                "function" if json::kind(entry.value) == Some(Kind::Object) => {
                    let inner = json::object(entry.value).unwrap_or_default();
                    let function = read_function(&inner, &mut call);
                    match function {
                        Some(text) => rest.put(entry.raw_key, &text),
                        None if call.name.is_empty() && call.arguments.is_empty() => rest.imply(entry),
                        None => {}
                    }
                }
                _ => rest.keep(entry),
            }
        }
        for field in ["id", "type", "function"] {
            rest.require(object.get(field).is_some());
        }
        call.extra = rest.finish();
        Ok(call)
    }

    /// Writes the call; fails where `extra` is no JSON object.
    pub fn to_json(&self) -> Result<String, BodyError> {
        let mut out = String::new();
        self.write_json(&mut out)?;
        Ok(out)
    }

    /// Appends the call; fails where `extra` is no JSON object.
    pub fn write_json(&self, out: &mut String) -> Result<(), BodyError> {
        let mut record = Record::open(out, self.extra.as_deref())?;
        record.required("id", &self.id);
        if record.is_canonical() {
            record.json("type", "\"function\"");
        }
        write_function(
            &mut record,
            self.name.is_empty() && self.arguments.is_empty(),
            &["name", "arguments"],
            |inner| {
                inner.required("name", &self.name);
                inner.required("arguments", &self.arguments);
                Ok(())
            },
        )?;
        record.close(TYPED);
        Ok(())
    }
}

/// Reads a list of calls; what is no list of objects reads as none and stays as it was written.
pub(super) fn read_calls(raw: &str) -> Vec<ToolCall> {
    let items = json::array(raw).unwrap_or_default();
    items.into_iter().map(ToolCall::from_json).collect::<Result<_, _>>().unwrap_or_default()
}

/// Writes `function`: its typed fields by `write`, and what the outer `extra` keeps under that name.
/// `blank` says that no typed field of it is set; then only what `extra` has is written.
pub(crate) fn write_function(
    record: &mut Record<'_, '_>,
    blank: bool,
    typed: &[&str],
    write: impl FnOnce(&mut Record<'_, '_>) -> Result<(), BodyError>,
) -> Result<(), BodyError> {
    let raw = record.raw("function");
    let inner = raw.and_then(|raw| json::object(raw).ok());
    match (raw, &inner) {
        (Some(raw), None) if blank => {
            record.json("function", raw);
            return Ok(());
        }
        (None, _) if blank && !record.is_canonical() => return Ok(()),
        _ => {}
    }
    record.key("function");
    let mut function = Record::with(record.out, inner);
    write(&mut function).map_err(|error| error.inside("function"))?;
    function.close(typed);
    Ok(())
}

fn read_function(object: &Object<'_>, call: &mut ToolCall) -> Option<String> {
    let mut rest = Rest::default();
    for entry in object.entries() {
        match &*entry.key {
            "name" => call.name = rest.required(entry),
            "arguments" => call.arguments = rest.required(entry),
            _ => rest.keep(entry),
        }
    }
    for field in ["name", "arguments"] {
        rest.require(object.get(field).is_some());
    }
    rest.finish()
}
