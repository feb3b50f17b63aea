//! A row of `chat_message` and the record made of it. Absent JSON is NULL or, more often, the text `null`.

use innkeeper_model::chat_message::StoredMessage;
use innkeeper_model::chat_request::Usage;
use innkeeper_model::{ChatId, MessageId, ModelId, UserId};
use serde_json::{Map, Value};

use crate::error::StoreError;
use crate::names::version;
use crate::pool::Row;

/// The columns that are given out. `meta` and `context_summary` are not: they hold what upstream keeps for the author
/// alone, and a chat may have several readers.
pub(super) const COLUMNS: [&str; 17] = [
    "id",
    "chat_id",
    "user_id",
    "role",
    "parent_id",
    "content",
    "output",
    "model_id",
    "files",
    "sources",
    "embeds",
    "done",
    "status_history",
    "error",
    "usage",
    "created_at",
    "updated_at",
];

pub(super) fn read(row: &Row<'_>) -> Result<StoredMessage, StoreError> {
    let chat = row.text("chat_id")?;
    let key = row.text("id")?;
    let id = key.strip_prefix(&chat).and_then(|rest| rest.strip_prefix('-')).unwrap_or(&key).to_owned();
    let (content, parts) = content(row.json("content")?);
    let mut extra = Map::new();
    let others = [("output", row.json("output")?), ("content", parts)];
    for (name, value) in others {
        if !value.is_null() {
            extra.insert(name.to_owned(), value);
        }
    }
    Ok(versioned(StoredMessage {
        id: MessageId::new(id),
        chat: ChatId::new(chat),
        user: row.text_opt("user_id")?.map(UserId::new),
        role: row.text_opt("role")?.unwrap_or_default(),
        parent: row.text_opt("parent_id")?.map(MessageId::new),
        content,
        model: row.text_opt("model_id")?.map(ModelId::new),
        done: row.flag_opt("done")?.unwrap_or(true),
        usage: usage(row.json("usage")?),
        files: document(row, "files")?,
        sources: document(row, "sources")?,
        embeds: document(row, "embeds")?,
        status_history: document(row, "status_history")?,
        error: document(row, "error")?,
        created_at: row.int_opt("created_at")?.unwrap_or(0),
        updated_at: row.int_opt("updated_at")?.unwrap_or(0),
        version: String::new(),
        extra: (!extra.is_empty()).then(|| Value::Object(extra).to_string()),
    }))
}

/// The message with a version made from all that a change can change; upstream's table has no column for one.
pub(super) fn versioned(mut message: StoredMessage) -> StoredMessage {
    let usage = message.usage.as_ref().map(|usage| usage_json(usage).to_string());
    let texts = [
        &message.files,
        &message.sources,
        &message.embeds,
        &message.status_history,
        &message.error,
        &message.extra,
        &usage,
    ];
    let mut parts: Vec<&[u8]> = vec![message.content.as_bytes()];
    parts.extend(texts.map(|text| text.as_deref().unwrap_or_default().as_bytes()));
    let done = [u8::from(message.done)];
    let updated_at = message.updated_at.to_le_bytes();
    parts.extend([done.as_slice(), updated_at.as_slice()]);
    message.version = version(parts);
    message
}

/// Usage as upstream keeps it: the three figures and whatever else was there.
pub(super) fn usage_json(usage: &Usage) -> Value {
    let mut fields = Map::new();
    fields.insert("prompt_tokens".to_owned(), usage.prompt_tokens.into());
    fields.insert("completion_tokens".to_owned(), usage.completion_tokens.into());
    fields.insert("total_tokens".to_owned(), usage.total_tokens.into());
    if let Some(Value::Object(extra)) =
        usage.extra.as_deref().and_then(|extra| serde_json::from_str(extra).ok())
    {
        for (name, value) in extra {
            fields.entry(name).or_insert(value);
        }
    }
    Value::Object(fields)
}

/// A message's text, and its content as a whole where that is more than text.
pub(super) fn content(content: Value) -> (String, Value) {
    match content {
        Value::Null => (String::new(), Value::Null),
        Value::String(text) => (text, Value::Null),
        Value::Array(parts) => {
            let texts = parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str));
            (texts.collect::<Vec<_>>().join("\n"), Value::Array(parts))
        }
        other => (String::new(), other),
    }
}

pub(super) fn usage(value: Value) -> Option<Usage> {
    let Value::Object(mut fields) = value else { return None };
    let mut take = |names: [&str; 2]| {
        let found = names.iter().find_map(|name| fields.get(*name).and_then(Value::as_u64));
        if let [name, _] = names
            && found.is_some()
        {
            fields.shift_remove(name);
        }
        found
    };
    let prompt_tokens = take(["prompt_tokens", "input_tokens"]).unwrap_or(0);
    let completion_tokens = take(["completion_tokens", "output_tokens"]).unwrap_or(0);
    let sum = prompt_tokens.saturating_add(completion_tokens);
    let total_tokens = take(["total_tokens", "total_tokens"]).unwrap_or(sum);
    let extra = (!fields.is_empty()).then(|| Value::Object(fields).to_string());
    Some(Usage { prompt_tokens, completion_tokens, total_tokens, extra })
}

/// A column's JSON text; none for `null`.
fn document(row: &Row<'_>, column: &'static str) -> Result<Option<String>, StoreError> {
    let text = row.text_opt(column)?;
    Ok(text.filter(|text| text.trim() != "null"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn usage_keeps_other_figures() {
        let stored =
            json!({"prompt_tokens": 12, "completion_tokens": 34, "total_tokens": 46, "input_tokens": 12});
        let read = usage(stored).unwrap();
        assert_eq!((read.prompt_tokens, read.completion_tokens, read.total_tokens), (12, 34, 46));
        assert_eq!(read.extra.as_deref(), Some(r#"{"input_tokens":12}"#));
        assert_eq!(
            usage_json(&read).to_string(),
            r#"{"prompt_tokens":12,"completion_tokens":34,"total_tokens":46,"input_tokens":12}"#
        );
        assert_eq!(usage(json!({"input_tokens": 1, "output_tokens": 2})).unwrap().total_tokens, 3);
        assert_eq!(usage(Value::Null), None);
    }

    #[test]
    fn parts_keep_their_texts() {
        let parts =
            json!([{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}]);
        assert_eq!(content(parts.clone()), ("a\nb".to_owned(), parts));
        assert_eq!(content(json!("a")), ("a".to_owned(), Value::Null));
    }
}
