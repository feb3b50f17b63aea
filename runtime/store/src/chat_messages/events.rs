//! Events that stay in the message. All that came since the last write are folded together and written once, so that
//! a chat's document is not rewritten for each of them.

use innkeeper_model::authority::Authority;
use innkeeper_model::chat_message::StoredMessage;
use innkeeper_model::event::{WireEvent, is_persisted};
use innkeeper_model::{ChatId, MessageId};
use serde_json::Value;

use super::change::{Values, write};
use super::list::List;
use crate::error::StoreError;
use crate::names::clean;
use crate::store::Store;

pub(super) async fn apply(
    store: &Store,
    authority: &Authority,
    chat: &ChatId,
    id: &MessageId,
    events: &[WireEvent],
) -> Result<(), StoreError> {
    if !events.iter().any(|event| is_persisted(&event.kind)) {
        return Ok(());
    }
    write(store, authority, chat, &[id], |message| Ok(fold(message, events))).await.map(drop)
}

/// What a message is after the events.
fn fold(message: &StoredMessage, events: &[WireEvent]) -> Values {
    let mut content: Option<String> = None;
    let mut status = List::new("status_history");
    let [mut files, mut embeds, mut sources] = ["files", "embeds", "sources"].map(List::new);
    for event in events {
        let data = &event.data;
        match event.kind.as_str() {
            "message" => content.get_or_insert_with(|| message.content.clone()).push_str(text(data)),
            "replace" => content = Some(text(data).to_owned()),
            "status" => status.extend(message.status_history.as_deref(), false, [data.clone()]),
            "files" => files.extend(message.files.as_deref(), false, items(data, "files")),
            "embeds" => {
                let replace = data.get("replace").and_then(Value::as_bool).unwrap_or(false);
                embeds.extend(message.embeds.as_deref(), replace, items(data, "embeds"));
            }
            // Those that have a type are about running code, and upstream does not keep them.
            "source" | "citation" if data.get("type").is_none_or(Value::is_null) => {
                sources.extend(message.sources.as_deref(), false, [data.clone()]);
            }
            _ => {}
        }
    }
    Values {
        content: content.map(|content| clean(&content).into_owned()),
        done: None,
        documents: [status, files, embeds, sources].into_iter().filter_map(List::finish).collect(),
        original_content: None,
    }
}

fn text(data: &Value) -> &str {
    data.get("content").and_then(Value::as_str).unwrap_or_default()
}

fn items(data: &Value, name: &str) -> impl Iterator<Item = Value> {
    data.get(name).and_then(Value::as_array).into_iter().flatten().cloned()
}
