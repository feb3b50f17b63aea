//! What is wrong with a body, and where in it.

use crate::json::JsonError;

/// A body, or a JSON text that a plugin put into a record, that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyError {
    /// Which field, such as `messages[3].role`; empty for the whole body.
    pub path: String,
    /// What is wrong with it and what to do.
    pub problem: String,
}

impl BodyError {
    /// Something is wrong with a field.
    pub fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { path: path.into(), problem: problem.into() }
    }

    /// A text that should be JSON is not.
    pub(crate) fn json(path: &str, error: &JsonError) -> Self {
        let todo = match error {
            JsonError::TooDeep { .. } => "flatten it",
            _ => "send valid JSON",
        };
        Self::new(path, format!("is not JSON that can be used: {error}; {todo}"))
    }

    /// A text that should be a JSON object is not.
    pub(crate) fn object(path: &str, error: &JsonError) -> Self {
        Self::new(
            path,
            format!("is not a JSON object: {error}; write an object such as `{{}}`, or leave the field out"),
        )
    }

    /// The same, seen from the record that the field is in.
    pub(crate) fn inside(mut self, outer: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{outer}{dot}{}", self.path);
        self
    }

    /// The same, seen from the record whose list the field is in.
    pub(crate) fn item(self, list: &str, index: usize) -> Self {
        self.inside(&format!("{list}[{index}]"))
    }
}

impl std::fmt::Display for BodyError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.path.is_empty() {
            write!(formatter, "the body {}", self.problem)
        } else {
            write!(formatter, "`{}` {}", self.path, self.problem)
        }
    }
}

impl std::error::Error for BodyError {}
