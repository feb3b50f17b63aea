//! Tools that a request offers.

use super::ToolSpec;
use super::body_error::BodyError;
use super::record::{Record, Rest, write_checked};
use super::tool_call::write_function;
use crate::json::{self, Kind, Object};

const TYPED: &[&str] = &["function"];
const TYPED_INNER: &[&str] = &["name", "description", "parameters"];

impl ToolSpec {
    /// Reads an entry of `tools`; what is no function is all in `extra`. Fails where the text is no JSON object.
    pub fn from_json(text: &str) -> Result<Self, BodyError> {
        let object = json::object(text).map_err(|error| BodyError::json("", &error))?;
        let mut tool = Self::default();
        let mut rest = Rest::default();
        for entry in object.entries() {
            match &*entry.key {
                "type" if json::string(entry.value).as_deref() == Some("function") => rest.imply(entry),
                "function" if json::kind(entry.value) == Some(Kind::Object) => {
                    let inner = json::object(entry.value).unwrap_or_default();
                    match read_function(&inner, &mut tool) {
                        Some(text) => rest.put(entry.raw_key, &text),
                        None if tool.is_blank() => rest.imply(entry),
                        None => {}
                    }
                }
                _ => rest.keep(entry),
            }
        }
        for field in ["type", "function"] {
            rest.require(object.get(field).is_some());
        }
        tool.extra = rest.finish();
        Ok(tool)
    }

    /// Writes the entry; fails where `parameters` is no JSON or `extra` no JSON object.
    pub fn to_json(&self) -> Result<String, BodyError> {
        let mut out = String::new();
        self.write_json(&mut out)?;
        Ok(out)
    }

    /// Appends the entry; fails where `parameters` is no JSON or `extra` no JSON object.
    pub fn write_json(&self, out: &mut String) -> Result<(), BodyError> {
        let mut record = Record::open(out, self.extra.as_deref())?;
        if record.is_canonical() {
            record.json("type", "\"function\"");
        }
        write_function(&mut record, self.is_blank(), TYPED_INNER, |function| {
            function.required("name", &self.name);
            function.optional("description", self.description.as_deref());
            // `parameters` is JSON in either place: the typed one counts, and without it only `null` can have been meant.
            match &self.parameters {
                Some(parameters) => {
                    function.key("parameters");
                    write_checked(function.out, "parameters", parameters)?;
                }
                None => drop(function.unchanged("parameters", |raw| raw == "null")),
            }
            Ok(())
        })?;
        record.close(TYPED);
        Ok(())
    }

    fn is_blank(&self) -> bool {
        self.name.is_empty() && self.description.is_none() && self.parameters.is_none()
    }
}

fn read_function(object: &Object<'_>, tool: &mut ToolSpec) -> Option<String> {
    let mut rest = Rest::default();
    for entry in object.entries() {
        match &*entry.key {
            "name" => tool.name = rest.required(entry),
            "description" => tool.description = rest.optional(entry),
            "parameters" if entry.value != "null" => tool.parameters = Some(entry.value.to_owned()),
            _ => rest.keep(entry),
        }
    }
    rest.require(object.get("name").is_some());
    rest.finish()
}
