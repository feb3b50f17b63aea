//! Fields of which each frame brings a piece, put together: lists grow, objects merge, some texts are joined, of others the last counts.

use std::collections::HashMap;

use crate::json::{self, Kind};

/// Texts that come in pieces; other texts come whole.
const JOINED: &[&str] = &["refusal", "transcript", "data", "arguments"];

/// A value that is being put together.
pub(super) enum Merged {
    /// JSON text.
    Leaf(String),
    /// The items of an array, separated by commas.
    Array(String),
    Object(Members),
}

/// An object that is being put together.
#[derive(Default)]
pub(super) struct Members {
    values: Vec<(String, Merged)>,
    places: HashMap<String, usize>,
}

impl Members {
    /// Adds a field's next piece, a checked JSON text. Depth is bounded by the check.
    pub(super) fn add(&mut self, key: &str, raw: &str) {
        match self.places.get(key).and_then(|&place| self.values.get_mut(place)) {
            Some((_, value)) => value.add(key, raw),
            None => {
                self.places.insert(key.to_owned(), self.values.len());
                self.values.push((key.to_owned(), Merged::new(raw)));
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Appends each field with a comma before it, except those that `skip` names.
    pub(super) fn write_fields(&self, out: &mut String, skip: &[&str]) {
        for (key, value) in self.values.iter().filter(|(key, _)| !skip.contains(&key.as_str())) {
            out.push(',');
            json::write_string(out, key);
            out.push(':');
            value.write(out);
        }
    }

    /// Appends one field's value; gives whether there is one.
    pub(super) fn write_field(&self, out: &mut String, key: &str) -> bool {
        let value = self.places.get(key).and_then(|&place| self.values.get(place));
        if let Some((_, value)) = value {
            value.write(out);
        }
        value.is_some()
    }
}

impl Merged {
    fn new(raw: &str) -> Self {
        match json::kind(raw) {
            Some(Kind::Array) => Self::Array(items(raw).to_owned()),
            Some(Kind::Object) => {
                let mut members = Members::default();
                for entry in json::object(raw).unwrap_or_default().entries() {
                    members.add(&entry.key, entry.value);
                }
                Self::Object(members)
            }
            _ => Self::Leaf(raw.to_owned()),
        }
    }

    fn add(&mut self, key: &str, raw: &str) {
        match (self, json::kind(raw)) {
            (_, Some(Kind::Null)) => {}
            (Self::Array(all), Some(Kind::Array)) => {
                let more = items(raw);
                if !all.is_empty() && !more.is_empty() {
                    all.push(',');
                }
                all.push_str(more);
            }
            (Self::Object(members), Some(Kind::Object)) => {
                for entry in json::object(raw).unwrap_or_default().entries() {
                    members.add(&entry.key, entry.value);
                }
            }
            (Self::Leaf(text), Some(Kind::String)) if JOINED.contains(&key) && text.starts_with('"') => {
                text.pop();
                text.push_str(raw.strip_prefix('"').unwrap_or_default());
            }
            (this, _) => *this = Self::new(raw),
        }
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Leaf(text) => out.push_str(text),
            Self::Array(items) => {
                out.push('[');
                out.push_str(items);
                out.push(']');
            }
            Self::Object(members) => {
                let mut fields = String::new();
                members.write_fields(&mut fields, &[]);
                out.push('{');
                out.push_str(fields.strip_prefix(',').unwrap_or_default());
                out.push('}');
            }
        }
    }
}

/// What stands between an array's brackets.
fn items(raw: &str) -> &str {
    raw.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or_default().trim_ascii()
}
