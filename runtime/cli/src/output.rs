//! What commands say: tables and lines for people, JSON for programs. Guests' and people's text is escaped for terminals.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Value, json};

/// Where a command says what it did.
pub(crate) struct Output {
    json: bool,
}

impl Output {
    /// For people, or for programs.
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Says a result: as JSON, or as the text that `text` makes of it.
    pub(crate) fn say<T: Serialize>(&self, value: &T, text: impl FnOnce() -> String) -> anyhow::Result<()> {
        let text = if self.json { serde_json::to_string(value)? } else { text() };
        let mut out = io::stdout().lock();
        let written = writeln!(out, "{}", text.trim_end_matches('\n')).and_then(|()| out.flush());
        match written {
            // Whoever read the output has seen enough of it.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => Ok(other?),
        }
    }

    /// Says something beside the result.
    pub(crate) fn aside(&self, text: &str) {
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// Says what went wrong, and why.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        // Causes that repeat what was said are left out.
        let mut messages: Vec<String> = Vec::new();
        for cause in error.chain() {
            let message = cause.to_string();
            if messages.last().is_none_or(|last| !last.ends_with(&message)) {
                messages.push(message);
            }
        }
        let text = if self.json {
            json!({ "error": { "message": messages.join(": ") } }).to_string()
        } else {
            format!("error: {}", messages.join("\n  "))
        };
        self.aside(&text);
    }
}

/// A value of a table, fit for a terminal.
pub(crate) fn cell(text: &str) -> String {
    innkeeper_host::log::escape(text)
}

/// Columns, as wide as their widest value; the last one may be as long as it likes.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|name| name.len()).collect();
    for row in rows {
        for (width, value) in widths.iter_mut().zip(row) {
            *width = (*width).max(value.chars().count());
        }
    }
    let line = |values: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = values
            .zip(&widths)
            .map(|(value, width)| {
                format!("{value}{}", " ".repeat(width.saturating_sub(value.chars().count())))
            })
            .collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    let mut text = line(&mut head.iter().copied());
    for row in rows {
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}

/// A text of several lines, each of them fit for a terminal.
pub(crate) fn lines(text: &str) -> String {
    text.lines().map(cell).collect::<Vec<_>>().join("\n")
}

/// Lines of names and values. Further lines of a value stand below its first, where no name can stand.
pub(crate) fn facts(facts: &[(&str, String)]) -> String {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let below = format!("\n{:width$}  ", "");
    facts.iter().map(|(name, value)| format!("{name:width$}  {}\n", value.replace('\n', &below))).collect()
}

/// JSON for a terminal.
pub(crate) fn pretty(value: &Value) -> String {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    lines(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_several_lines_cannot_pass_for_other_facts() {
        let about = lines("first\nstate  ready\r\u{1b}[31m");
        let text = facts(&[("about", about), ("state", "failed".to_owned())]);
        assert_eq!(text, "about  first\n       state  ready\\r\\u{1b}[31m\nstate  failed\n");
    }
}
