//! The tables of `wit/README.md` that are made from the model: permissions, limits, events, readable settings.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use innkeeper_model::config::READABLE;
use innkeeper_model::event::{self, Direction, WireEvent};
use innkeeper_model::limits::{LimitInfo, Limits};
use innkeeper_model::permission::{Grants, Permission, Risk};
use serde_json::json;

/// Where the limits' comments stand.
const LIMITS: &str = "runtime/model/src/limits.rs";

/// Event types that upstream knows and plugins use.
const EVENTS: &[&str] = &[
    "status",
    "message",
    "chat:message:delta",
    "replace",
    "chat:message",
    "files",
    "chat:message:files",
    "embeds",
    "chat:message:embeds",
    "source",
    "citation",
    "notification",
    "chat:title",
    "chat:message:follow_ups",
    "chat:message:error",
    "chat:completion",
    "response:completion",
    "chat:tags",
    "chat:message:tasks",
    "chat:message:favorite",
    "confirmation",
    "input",
    "request:user_input",
    "request:elicitation",
    "execute",
    "execute:python",
    "execute:tool",
];

/// Every table by the name of its marker.
pub(super) fn all(root: &Path) -> Result<Vec<(&'static str, String)>> {
    let source = fs::read_to_string(root.join(LIMITS)).with_context(|| format!("cannot read `{LIMITS}`"))?;
    let config = READABLE.iter().map(|key| format!("- `{key}`")).collect::<Vec<_>>().join("\n");
    Ok(vec![
        ("permissions", permissions()),
        ("limits", limits(&source)?),
        ("events", events()),
        ("config", config),
    ])
}

fn permissions() -> String {
    let mut table = String::from("| permission | a plugin that has it | risk |\n|---|---|---|\n");
    for permission in Permission::ALL {
        let risk = match permission.risk() {
            Risk::Low => "low",
            Risk::Data => "data",
            Risk::People => "**people**",
        };
        let _ = writeln!(table, "| `{permission}` | {} | {risk} |", permission.about());
    }
    table
}

fn limits(source: &str) -> Result<String> {
    let mut table = String::from("| limit | unit | default | ceiling | |\n|---|---|---:|---:|---|\n");
    for info in Limits::ALL {
        let about = comment(source, info)?;
        let (default, ceiling) = (grouped(info.default), grouped(info.ceiling));
        let _ = writeln!(table, "| `{}` | {} | {default} | {ceiling} | {about} |", info.name, info.unit);
    }
    Ok(table)
}

/// The comment over a limit's line in the source: the only place that says what it is for.
fn comment(source: &str, info: &LimitInfo) -> Result<String> {
    let key = format!(": \"{}\", \"{}\",", info.name, info.unit);
    let lines: Vec<&str> = source.lines().collect();
    let at = lines.iter().position(|line| line.contains(&key));
    let at = at.with_context(|| format!("`{LIMITS}` has no line for the limit `{}`", info.name))?;
    let above =
        lines.get(..at).unwrap_or_default().iter().rev().map_while(|line| line.trim().strip_prefix("///"));
    let mut comment: Vec<&str> = above.map(str::trim).collect();
    comment.reverse();
    Ok(comment.join(" "))
}

fn events() -> String {
    let mut table = String::from(
        "| type on the wire | `events.emit` | `events.call` | kept in the message |\n|---|---|---|---|\n",
    );
    for kind in EVENTS {
        let kept = if event::is_persisted(kind) { "yes" } else { "" };
        let _ = writeln!(
            table,
            "| `{kind}` | {} | {} | {kept} |",
            needs(kind, Direction::Emit),
            needs(kind, Direction::Call)
        );
    }
    table
}

/// What a type needs, found by asking the one function that decides.
fn needs(kind: &str, direction: Direction) -> String {
    let first = match direction {
        Direction::Emit => Permission::EventsEmit,
        Direction::Call => Permission::EventsCall,
    };
    let grants = Grants::default().with(first);
    let asks = |data| event::check(&WireEvent::new(kind, data), direction, &grants);
    match asks(json!({ "embeds": ["https://example.org/"] })) {
        Err(further) => format!("`{first}` and `{further}`"),
        Ok(()) => match asks(json!({ "embeds": ["<p>"] })) {
            Err(further) => format!("`{first}`, for HTML also `{further}`"),
            Ok(()) => format!("`{first}`"),
        },
    }
}

/// A number with a comma between each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, expected) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678")] {
            assert_eq!(grouped(number), expected);
        }
    }

    #[test]
    fn every_limit_has_a_comment() {
        let source = fs::read_to_string(crate::workspace::root().join(LIMITS)).unwrap();
        for info in Limits::ALL {
            assert!(!comment(&source, info).unwrap().is_empty(), "{}", info.name);
        }
    }

    #[test]
    fn table_says_what_the_code_decides() {
        assert_eq!(needs("status", Direction::Emit), "`events.emit`");
        assert_eq!(needs("execute", Direction::Call), "`events.call` and `events.script`");
        assert_eq!(needs("embeds", Direction::Emit), "`events.emit`, for HTML also `events.html`");
    }
}
