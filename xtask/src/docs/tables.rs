//! The tables of `wit/README.md` that are made from the model: permissions, limits, events, readable settings.

use std::fmt::Write as _;

use innkeeper_model::config::READABLE;
use innkeeper_model::event::{self, Direction, WireEvent};
use innkeeper_model::limits::Limits;
use innkeeper_model::permission::{Grants, Permission, Risk};
use serde_json::json;

/// Event types that upstream knows and that `events.emit` or `events.call` alone does not allow.
const FURTHER: &[&str] = &[
    "chat:completion",
    "response:completion",
    "chat:tags",
    "chat:message:tasks",
    "chat:message:favorite",
    "request:elicitation",
    "execute",
    "execute:python",
    "execute:tool",
];

/// Every table by the name of its marker.
pub(super) fn all() -> [(&'static str, String); 4] {
    let config = READABLE.iter().map(|key| format!("- `{key}`")).collect::<Vec<_>>().join("\n");
    [("permissions", permissions()), ("limits", limits()), ("events", events()), ("config", config)]
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

fn limits() -> String {
    let mut table = String::from("| limit | unit | default | ceiling | |\n|---|---|---:|---:|---|\n");
    for info in Limits::ALL {
        let (name, unit, about) = (info.name, info.unit, info.about);
        let (default, ceiling) = (grouped(info.default), grouped(info.ceiling));
        let _ = writeln!(table, "| `{name}` | {unit} | {default} | {ceiling} | {about} |");
    }
    table
}

fn events() -> String {
    let mut table = String::from(
        "| type on the wire | `events.emit` | `events.call` | kept in the message |\n|---|---|---|---|\n",
    );
    for kind in [event::EMITTED, event::CALLED, FURTHER].concat() {
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
        Ok(()) => match asks(json!({ "embeds": ["<p>"], "metadata": [{"html": true}] })) {
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
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, expected) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678")] {
            assert_eq!(grouped(number), expected);
        }
    }

    #[test]
    fn table_says_what_the_code_decides() {
        assert_eq!(needs("status", Direction::Emit), "`events.emit`");
        assert_eq!(needs("execute", Direction::Call), "`events.call` and `events.script`");
        for kind in ["embeds", "source"] {
            assert_eq!(needs(kind, Direction::Emit), "`events.emit`, for HTML also `events.html`");
        }
    }
}
