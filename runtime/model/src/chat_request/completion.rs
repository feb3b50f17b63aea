//! A completed answer (`chat.completion`).

use super::body_error::BodyError;
use super::record::Record;
use super::{Completion, Message, Usage};
use crate::json::{self, Kind, Object};

const TYPED: &[&str] = &["id", "model", "choices", "usage"];

impl Completion {
    /// Reads an answer; `extra` gets the whole of it. A missing `id` or `model` reads as empty, a `usage` that is no object as absent.
    /// Errors are a text that is not one JSON object, and an answer without a choice that has a message.
    pub fn from_json(text: &str) -> Result<Self, BodyError> {
        let object = json::object(text).map_err(|error| BodyError::json("", &error))?;
        let choices = object.get("choices").and_then(|raw| json::array(raw).ok()).unwrap_or_default();
        let index = first_choice(&choices);
        let choice = choices.get(index).and_then(|raw| json::object(raw).ok());
        let choice = choice.ok_or_else(|| {
            BodyError::new("choices", "has no choice; send an array with at least one object")
        })?;
        let message = choice.get("message").filter(|raw| json::kind(raw) == Some(Kind::Object));
        let message = message.ok_or_else(|| {
            BodyError::new("message", "is missing or no object; send the answer's message")
                .item("choices", index)
        })?;
        Ok(Self {
            id: text_of(object.get("id")).unwrap_or_default(),
            model: text_of(object.get("model")).unwrap_or_default(),
            message: Message::from_json(message)?,
            finish_reason: text_of(choice.get("finish_reason")),
            usage: read_usage(object.get("usage")),
            extra: Some(text.trim_ascii().to_owned()),
        })
    }

    /// Writes the answer: `extra` with the typed fields put in where they differ from it, other choices as they are; without `extra`, one choice.
    /// Fails where a JSON text in it is none, and where a blob has not been put back.
    pub fn to_json(&self) -> Result<String, BodyError> {
        let mut out = String::with_capacity(self.extra.as_ref().map_or(256, String::len));
        let mut record = Record::open(&mut out, self.extra.as_deref())?;
        record.required("id", &self.id);
        if record.is_canonical() {
            record.json("object", "\"chat.completion\"");
            record.json("created", "0");
        }
        record.required("model", &self.model);
        let choices = record.raw("choices").and_then(|raw| json::array(raw).ok()).unwrap_or_default();
        let typed = first_choice(&choices);
        record.key("choices");
        record.out.push('[');
        for (index, raw) in choices.iter().enumerate() {
            if index > 0 {
                record.out.push(',');
            }
            match json::object(raw) {
                Ok(choice) if index == typed => self.write_choice(record.out, Some(choice))?,
                _ => record.out.push_str(raw),
            }
        }
        if choices.is_empty() {
            self.write_choice(record.out, None)?;
        }
        record.out.push(']');
        if !record.unchanged("usage", |raw| read_usage(Some(raw)) == self.usage)
            && let Some(usage) = &self.usage
        {
            record.key("usage");
            usage.write_json(record.out).map_err(|error| error.inside("usage"))?;
        }
        record.close(TYPED);
        Ok(out)
    }

    fn write_choice(&self, out: &mut String, choice: Option<Object<'_>>) -> Result<(), BodyError> {
        let mut record = Record::with(out, choice);
        if record.is_canonical() {
            record.json("index", "0");
        }
        if !record
            .unchanged("message", |raw| Message::from_json(raw).is_ok_and(|message| message == self.message))
        {
            record.key("message");
            self.message.write_json(record.out).map_err(|error| error.inside("message"))?;
        }
        if record.is_canonical() && self.finish_reason.is_none() {
            record.json("finish_reason", "null");
        }
        record.optional("finish_reason", self.finish_reason.as_deref());
        record.close(&["message", "finish_reason"]);
        Ok(())
    }
}

/// Which item is choice 0: the first that says so, else the first.
fn first_choice(choices: &[&str]) -> usize {
    let says_so = |raw: &&str| {
        json::object(raw).ok().and_then(|choice| json::whole_number(choice.get("index")?)) == Some(0)
    };
    choices.iter().position(says_so).unwrap_or(0)
}

fn text_of(raw: Option<&str>) -> Option<String> {
    json::string(raw?).map(std::borrow::Cow::into_owned)
}

fn read_usage(raw: Option<&str>) -> Option<Usage> {
    Usage::from_json(raw?).ok()
}
