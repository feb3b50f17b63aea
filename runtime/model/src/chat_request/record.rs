//! The two halves of the unchanged round trip.
//! `Rest` gathers, while a record is read, what its typed fields do not say; `Record` writes the typed fields and that rest as one object.
//!
//! No `extra` means the canonical form: every required field is there, and nothing besides the typed fields.
//! An `extra`, even an empty one, means that required fields which are empty are left out unless `extra` has them.

use super::body_error::BodyError;
use crate::json::{self, Entry, Object};

/// What the typed fields of a record do not say.
#[derive(Default)]
pub(crate) struct Rest<'a> {
    text: String,
    /// A field of the canonical form is not there.
    incomplete: bool,
    /// Fields that are canonical and yet must be said once there is an `extra`.
    implied: Vec<(&'a str, &'a str)>,
}

impl<'a> Rest<'a> {
    /// Keeps a field as it was written.
    pub(crate) fn keep(&mut self, entry: &Entry<'a>) {
        self.put(entry.raw_key, entry.value);
    }

    /// Keeps a field under a key that is written with its quotes.
    pub(crate) fn put(&mut self, raw_key: &str, value: &str) {
        self.text.push(if self.text.is_empty() { '{' } else { ',' });
        self.text.push_str(raw_key);
        self.text.push(':');
        self.text.push_str(value);
    }

    /// Keeps a field only if there is an `extra` for other reasons.
    pub(crate) fn imply(&mut self, entry: &Entry<'a>) {
        self.implied.push((entry.raw_key, entry.value));
    }

    /// Says whether a field of the canonical form was there.
    pub(crate) fn require(&mut self, there: bool) {
        self.incomplete |= !there;
    }

    /// Reads a required string; any other value stays as it was written and reads as empty.
    pub(crate) fn required(&mut self, entry: &Entry<'a>) -> String {
        match json::string(entry.value) {
            Some(text) => {
                if text.is_empty() {
                    self.imply(entry);
                }
                text.into_owned()
            }
            None => {
                self.keep(entry);
                String::new()
            }
        }
    }

    /// Reads an optional string; any other value stays as it was written.
    pub(crate) fn optional(&mut self, entry: &Entry<'a>) -> Option<String> {
        let text = json::string(entry.value);
        if text.is_none() {
            self.keep(entry);
        }
        text.map(std::borrow::Cow::into_owned)
    }

    /// Reads a required number; an odd spelling stays as it was written.
    pub(crate) fn number(&mut self, entry: &Entry<'a>) -> u64 {
        match entry.value.parse() {
            Ok(0) => {
                self.imply(entry);
                0
            }
            Ok(number) => number,
            Err(_) => {
                self.keep(entry);
                json::whole_number(entry.value).unwrap_or_default()
            }
        }
    }

    /// The record's `extra`.
    pub(crate) fn finish(mut self) -> Option<String> {
        if self.text.is_empty() && !self.incomplete {
            return None;
        }
        for (raw_key, value) in std::mem::take(&mut self.implied) {
            self.put(raw_key, value);
        }
        self.text.push_str(if self.text.is_empty() { "{}" } else { "}" });
        Some(self.text)
    }
}

/// An object being written.
pub(crate) struct Record<'a, 'o> {
    pub(crate) out: &'o mut String,
    extra: Option<Object<'a>>,
    first: bool,
}

impl<'a, 'o> Record<'a, 'o> {
    /// Begins an object whose rest is the text `extra`, which may come from a plugin.
    pub(crate) fn open(out: &'o mut String, extra: Option<&'a str>) -> Result<Self, BodyError> {
        let extra =
            extra.map(json::object).transpose().map_err(|error| BodyError::object("extra", &error))?;
        Ok(Self::with(out, extra))
    }

    /// Begins an object whose rest has been taken apart.
    pub(crate) fn with(out: &'o mut String, extra: Option<Object<'a>>) -> Self {
        out.push('{');
        Self { out, extra, first: true }
    }

    /// Whether there is no `extra`, so that the canonical form is due.
    pub(crate) fn is_canonical(&self) -> bool {
        self.extra.is_none()
    }

    /// A field as `extra` has it.
    pub(crate) fn raw(&self, name: &str) -> Option<&'a str> {
        self.extra.as_ref()?.get(name)
    }

    /// Writes a key; the caller appends the value to `out`.
    pub(crate) fn key(&mut self, name: &str) {
        self.separate();
        self.out.push('"');
        self.out.push_str(name);
        self.out.push_str("\":");
    }

    /// Writes a field whose value is JSON already.
    pub(crate) fn json(&mut self, name: &str, value: &str) {
        self.key(name);
        self.out.push_str(value);
    }

    /// Writes a field as `extra` has it if that still says what the typed field says. Gives whether it did.
    pub(crate) fn unchanged(&mut self, name: &str, same: impl FnOnce(&str) -> bool) -> bool {
        let kept = self.raw(name).filter(|raw| same(raw));
        if let Some(raw) = kept {
            self.json(name, raw);
        }
        kept.is_some()
    }

    /// Writes a required string.
    pub(crate) fn required(&mut self, name: &str, value: &str) {
        let there = self.is_canonical() || !value.is_empty() || self.raw(name).is_some();
        if !self.unchanged(name, |raw| json::string(raw).unwrap_or_default() == value) && there {
            self.string(name, value);
        }
    }

    /// Writes an optional string.
    pub(crate) fn optional(&mut self, name: &str, value: Option<&str>) {
        if !self.unchanged(name, |raw| json::string(raw).as_deref() == value)
            && let Some(value) = value
        {
            self.string(name, value);
        }
    }

    /// Writes a required number.
    pub(crate) fn number(&mut self, name: &str, value: u64) {
        let there = self.is_canonical() || value != 0 || self.raw(name).is_some();
        if !self.unchanged(name, |raw| json::whole_number(raw).unwrap_or_default() == value) && there {
            self.json(name, &value.to_string());
        }
    }

    /// Writes a string.
    pub(crate) fn string(&mut self, name: &str, value: &str) {
        self.key(name);
        json::write_string(self.out, value);
    }

    /// Writes a field as it was written elsewhere.
    pub(crate) fn raw_entry(&mut self, entry: &Entry<'_>) {
        self.separate();
        self.out.push_str(entry.raw_key);
        self.out.push(':');
        self.out.push_str(entry.value);
    }

    /// Writes what `extra` has besides the typed fields, and ends the object.
    pub(crate) fn close(self, typed: &[&str]) {
        self.close_without(|key| typed.contains(&key));
    }

    /// Writes what `extra` has besides the fields that are written already, and ends the object.
    pub(crate) fn close_without(mut self, written: impl Fn(&str) -> bool) {
        let extra = self.extra.take().unwrap_or_default();
        extra.entries().iter().filter(|entry| !written(&entry.key)).for_each(|entry| self.raw_entry(entry));
        self.out.push('}');
    }

    fn separate(&mut self) {
        if !std::mem::take(&mut self.first) {
            self.out.push(',');
        }
    }
}

/// Appends a JSON text that may come from a plugin.
pub(crate) fn write_checked(out: &mut String, path: &str, text: &str) -> Result<(), BodyError> {
    json::check(text).map_err(|error| BodyError::json(path, &error))?;
    out.push_str(text.trim_ascii());
    Ok(())
}
