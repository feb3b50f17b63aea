//! Events that stay in the message. All that came since the last write are folded together and written once, so that
//! a chat's document is not rewritten for each of them.

use innkeeper_model::authority::Authority;
use innkeeper_model::chat_message::StoredMessage;
use innkeeper_model::event::{WireEvent, is_persisted};
use innkeeper_model::{ChatId, MessageId};
use serde_json::Value;

use super::change::{Values, write};
use crate::error::StoreError;
use crate::names::{clean, clean_json};
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
    let mut lists: [(&'static str, Option<Vec<Value>>); 4] =
        [("status_history", None), ("files", None), ("embeds", None), ("sources", None)];
    for event in events {
        let mut data = event.data.clone();
        clean_json(&mut data);
        match event.kind.as_str() {
            "message" => content.get_or_insert_with(|| message.content.clone()).push_str(text(&data)),
            "replace" => content = Some(text(&data).to_owned()),
            "status" => list(&mut lists, "status_history", message).push(data),
            "files" => list(&mut lists, "files", message).extend(items(data, "files")),
            "embeds" => {
                let replace = data.get("replace").and_then(Value::as_bool).unwrap_or(false);
                let embeds = list(&mut lists, "embeds", message);
                if replace {
                    embeds.clear();
                }
                embeds.extend(items(data, "embeds"));
            }
            // Those that have a type are about running code, and upstream does not keep them.
            "source" | "citation" if data.get("type").is_none_or(Value::is_null) => {
                list(&mut lists, "sources", message).push(data)
            }
            _ => {}
        }
    }
    let documents =
        lists.into_iter().filter_map(|(column, list)| Some((column, Value::Array(list?)))).collect();
    Values {
        content: content.map(|content| clean(&content).into_owned()),
        done: None,
        documents,
        original_content: None,
    }
}

/// The list of a column as it is so far.
fn list<'a>(
    lists: &'a mut [(&'static str, Option<Vec<Value>>); 4],
    column: &'static str,
    message: &StoredMessage,
) -> &'a mut Vec<Value> {
    let [status, files, embeds, sources] = lists;
    let (list, stored) = match column {
        "status_history" => (&mut status.1, &message.status_history),
        "files" => (&mut files.1, &message.files),
        "embeds" => (&mut embeds.1, &message.embeds),
        _ => (&mut sources.1, &message.sources),
    };
    list.get_or_insert_with(|| {
        stored.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    })
}

fn text(data: &Value) -> &str {
    data.get("content").and_then(Value::as_str).unwrap_or_default()
}

fn items(mut data: Value, name: &str) -> Vec<Value> {
    match data.get_mut(name).map(Value::take) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}
