//! Events as they go on the wire, and which permission each type needs. This is the one place that decides.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::permission::{Grants, Permission};

/// How many values the data of a plugin's event may hold, arrays, objects and all that is in them. Events are kept taken apart, many of
/// a stream at once, so that this is less than what other texts may hold.
pub const MAX_VALUES: usize = 10_000;

/// An event: `{"type": …, "data": …}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WireEvent {
    /// The type's name.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its data.
    #[serde(default)]
    pub data: Value,
}

impl WireEvent {
    /// An event.
    pub fn new(kind: impl Into<String>, data: Value) -> Self {
        Self { kind: kind.into(), data }
    }
}

/// Which way an event goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Shown.
    Emit,
    /// Asked, and an answer awaited.
    Call,
}

/// Whether a plugin may send an event; decided by the type's name on the wire alone, whatever case of the contract it came in.
/// Returns the permission that is missing.
pub fn check(event: &WireEvent, direction: Direction, grants: &Grants) -> Result<(), Permission> {
    let need = |permission| if grants.get(permission).is_some() { Ok(()) } else { Err(permission) };
    need(match direction {
        Direction::Emit => Permission::EventsEmit,
        Direction::Call => Permission::EventsCall,
    })?;
    // Names are compared without regard to case and surrounding blanks, so that a client which is lenient about them gains a plugin nothing.
    let kind = event.kind.trim().to_ascii_lowercase();
    if kind == "execute" || kind.starts_with("execute:") {
        return need(Permission::EventsScript);
    }
    let known = match direction {
        Direction::Emit => EMITTED.contains(&kind.as_str()),
        Direction::Call => CALLED.contains(&kind.as_str()),
    };
    if known && kind == event.kind {
        return if shows_html(&kind, &event.data) { need(Permission::EventsHtml) } else { Ok(()) };
    }
    let grant = grants.get(Permission::EventsOther).ok_or(Permission::EventsOther)?;
    if grant.event_types.contains(&event.kind) { Ok(()) } else { Err(Permission::EventsOther) }
}

/// Types that `events.emit` alone allows.
pub const EMITTED: &[&str] = &[
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
];

/// Types that `events.call` alone allows.
pub const CALLED: &[&str] = &["confirmation", "input", "request:user_input"];

/// Whether an event puts a document into the person's page.
fn shows_html(kind: &str, data: &Value) -> bool {
    match kind {
        "embeds" | "chat:message:embeds" => match data.get("embeds") {
            Some(Value::Array(items)) => !items.iter().all(is_address),
            _ => true,
        },
        "source" | "citation" => source_shows_html(data),
        _ => false,
    }
}

/// Whether a source of a message puts a document into the person's page: clients show its passages as text, but for those that `metadata`
/// calls HTML, which get a frame of their own, and open its `embed_url` in a frame.
pub fn source_shows_html(source: &Value) -> bool {
    let set = |value: &Value| !matches!(value, Value::Null | Value::Bool(false));
    let is_html = |about: &Value| about.get("html").is_some_and(set);
    let passages = match source.get("metadata") {
        Some(Value::Array(items)) => items.iter().any(is_html),
        // Clients find the entry of a passage by its index, which may be the key of an object.
        Some(Value::Object(items)) => items.values().any(is_html),
        _ => false,
    };
    let embeds = source.get("source").and_then(|about| about.get("embed_url"));
    passages || embeds.is_some_and(|address| set(address) && !is_address(address))
}

/// Whether something that is to be shown in a frame is no HTML. An address may be a `data:` or `javascript:` one, so only plain `https:` and
/// `http:` addresses and paths are none.
fn is_address(value: &Value) -> bool {
    let Some(text) = value.as_str().map(str::trim) else { return false };
    let plain = text.starts_with("https://")
        || text.starts_with("http://")
        || (text.starts_with('/') && !text.starts_with("//"));
    plain && !text.contains(['<', '>', '"', '\'', '\n', '\r'])
}

/// Types that are kept in the message, in chats of ours.
pub fn is_persisted(kind: &str) -> bool {
    matches!(kind, "status" | "message" | "replace" | "files" | "embeds" | "source" | "citation")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::permission::Grant;
    use serde_json::json;

    fn grants(permissions: &[Permission]) -> Grants {
        permissions.iter().fold(Grants::default(), |grants, &permission| grants.with(permission))
    }

    #[test]
    fn script_needs_its_own_permission_in_every_spelling() {
        let mut everything_else =
            grants(&[Permission::EventsEmit, Permission::EventsCall, Permission::EventsHtml]);
        let types = ["execute", "Execute", " execute ", "execute:python", "EXECUTE:tool"];
        let event_types = types.iter().map(|kind| (*kind).to_owned()).collect();
        everything_else.0.insert(Permission::EventsOther, Grant { event_types, ..Grant::default() });
        for kind in types {
            let event = WireEvent::new(kind, json!({"code": "1"}));
            for direction in [Direction::Emit, Direction::Call] {
                assert_eq!(
                    check(&event, direction, &everything_else),
                    Err(Permission::EventsScript),
                    "{kind}"
                );
            }
        }
    }

    #[test]
    fn html_needs_its_own_permission() {
        let emit = grants(&[Permission::EventsEmit]);
        let html =
            |items: Value| check(&WireEvent::new("embeds", json!({"embeds": items})), Direction::Emit, &emit);
        assert_eq!(html(json!(["https://example.org/a", "/files/1"])), Ok(()));
        for bad in [
            json!(["<b>"]),
            json!(["data:text/html,x"]),
            json!(["javascript:x"]),
            json!(["//evil"]),
            json!([1]),
            json!("x"),
        ] {
            assert_eq!(html(bad.clone()), Err(Permission::EventsHtml), "{bad}");
        }
        let document = |more: Value| {
            let mut source =
                json!({"source": {"name": "n"}, "document": ["<script>"], "metadata": [{"source": "s"}]});
            source.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            source
        };
        let embed = |address: Value| document(json!({"source": {"name": "n", "embed_url": address}}));
        let metadata = |metadata: Value| document(json!({ "metadata": metadata }));
        for (source, expected) in [
            (document(json!({})), Ok(())),
            (metadata(json!([{"html": false}, {"html": null}, {}, 1])), Ok(())),
            (metadata(json!([{}, {"html": true}])), Err(Permission::EventsHtml)),
            (metadata(json!([{"html": 1}])), Err(Permission::EventsHtml)),
            (metadata(json!([{"html": "no"}])), Err(Permission::EventsHtml)),
            (metadata(json!({"0": {"html": true}})), Err(Permission::EventsHtml)),
            (embed(json!(null)), Ok(())),
            (embed(json!("https://example.org/a")), Ok(())),
            (embed(json!("data:text/html,x")), Err(Permission::EventsHtml)),
            (embed(json!("javascript:x")), Err(Permission::EventsHtml)),
        ] {
            for kind in ["source", "citation"] {
                let event = WireEvent::new(kind, source.clone());
                assert_eq!(check(&event, Direction::Emit, &emit), expected, "{kind} {source}");
            }
        }
    }

    #[test]
    fn unknown_types_need_a_grant_that_lists_them() {
        let mut some = grants(&[Permission::EventsEmit]);
        let event = WireEvent::new("terminal:open", Value::Null);
        assert_eq!(check(&event, Direction::Emit, &some), Err(Permission::EventsOther));
        some.0
            .insert(Permission::EventsOther, Grant { event_types: vec!["other".into()], ..Grant::default() });
        assert_eq!(check(&event, Direction::Emit, &some), Err(Permission::EventsOther));
        some.0.insert(
            Permission::EventsOther,
            Grant { event_types: vec!["terminal:open".into()], ..Grant::default() },
        );
        assert_eq!(check(&event, Direction::Emit, &some), Ok(()));
    }
}
