//! What a completion cost.

use super::Usage;
use super::body_error::BodyError;
use super::record::{Record, Rest};
use crate::json;

const TYPED: &[&str] = &["prompt_tokens", "completion_tokens", "total_tokens"];

impl Usage {
    /// Reads a `usage` object. Fails where the text is no JSON object.
    pub fn from_json(text: &str) -> Result<Self, BodyError> {
        let object = json::object(text).map_err(|error| BodyError::json("", &error))?;
        let mut usage = Self::default();
        let mut rest = Rest::default();
        for entry in object.entries() {
            match &*entry.key {
                "prompt_tokens" => usage.prompt_tokens = rest.number(entry),
                "completion_tokens" => usage.completion_tokens = rest.number(entry),
                "total_tokens" => usage.total_tokens = rest.number(entry),
                _ => rest.keep(entry),
            }
        }
        for field in TYPED {
            rest.require(object.get(field).is_some());
        }
        usage.extra = rest.finish();
        Ok(usage)
    }

    /// Writes the figures; fails where `extra` is no JSON object.
    pub fn to_json(&self) -> Result<String, BodyError> {
        let mut out = String::new();
        self.write_json(&mut out)?;
        Ok(out)
    }

    /// Appends the figures; fails where `extra` is no JSON object.
    pub fn write_json(&self, out: &mut String) -> Result<(), BodyError> {
        let mut record = Record::open(out, self.extra.as_deref())?;
        record.number("prompt_tokens", self.prompt_tokens);
        record.number("completion_tokens", self.completion_tokens);
        record.number("total_tokens", self.total_tokens);
        record.close(TYPED);
        Ok(())
    }
}
