//! Changing messages in both places: the chat's row is locked first, always, so that two writers of one chat take turns.

use std::collections::{HashMap, HashSet};

use innkeeper_model::authority::Authority;
use innkeeper_model::chat_message::{MessageUpdate, StoredMessage};
use innkeeper_model::{ChatId, MessageId};
use sea_query::{Expr, ExprTrait, Query};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use super::{list, row, row_id};
use crate::authority::Access;
use crate::chats::one;
use crate::document::{ChatDocument, RawObject};
use crate::error::StoreError;
use crate::names::{clean, clean_json, parse_array, parse_json};
use crate::pool::{Tx, json};
use crate::store::Store;
use crate::transaction;

/// New values of a message, by column of its row.
#[derive(Debug, Default)]
pub(super) struct Values {
    pub(super) content: Option<String>,
    pub(super) done: Option<bool>,
    /// JSON by column: `files`, `sources`, `embeds`, `status_history`, `usage`, `error`.
    pub(super) documents: Vec<(&'static str, Box<RawValue>)>,
    /// Kept in the chat's document only, as upstream does.
    pub(super) original_content: Option<String>,
}

/// What to change in one message.
pub(super) struct Change<'a> {
    pub(super) id: &'a MessageId,
    /// Which version it must have still.
    pub(super) version: Option<&'a str>,
    pub(super) values: &'a MessageUpdate,
}

/// Changes messages, all or none; gives them back in the order of the changes.
pub(super) async fn update(
    store: &Store,
    authority: &Authority,
    chat: &ChatId,
    changes: &[Change<'_>],
) -> Result<Vec<StoredMessage>, StoreError> {
    if changes.is_empty() {
        return Ok(Vec::new());
    }
    let mut named = HashSet::new();
    if !changes.iter().all(|change| named.insert(change.id)) {
        return Err(StoreError::Invalid("a message is named twice among the changes".to_owned()));
    }
    let values: Vec<Values> =
        changes.iter().map(|change| checked(change.values)).collect::<Result<_, _>>()?;
    let ids: Vec<&MessageId> = changes.iter().map(|change| change.id).collect();
    let mut changes = changes.iter().zip(values);
    write(store, authority, chat, &ids, |message| match changes.next() {
        Some((change, _)) if change.version.is_some_and(|version| version != message.version) => {
            Err(StoreError::Conflict("the message".to_owned()))
        }
        Some((_, values)) => Ok(values),
        None => Err(StoreError::NotFound("message")),
    })
    .await
}

/// Reads messages under the lock of their chat, asks of each in turn what to write, and writes it in both places.
pub(super) async fn write(
    store: &Store,
    authority: &Authority,
    chat: &ChatId,
    ids: &[&MessageId],
    decide: impl FnMut(&StoredMessage) -> Result<Values, StoreError> + Send,
) -> Result<Vec<StoredMessage>, StoreError> {
    let keys: Option<Vec<String>> = ids.iter().map(|id| row_id(chat, id)).collect();
    let keys = keys.ok_or(StoreError::NotFound("message"))?;
    let rows = one(authority, Access::Write, chat, store).ok_or(StoreError::NotFound("message"))?;
    let mut tx = store.db().begin().await?;
    let outcome = write_both(&mut tx, store.now(), rows, chat, &keys, decide).await;
    transaction::end(tx, outcome).await
}

async fn write_both(
    tx: &mut Tx,
    now: i64,
    rows: Expr,
    chat: &ChatId,
    keys: &[String],
    mut decide: impl FnMut(&StoredMessage) -> Result<Values, StoreError> + Send,
) -> Result<Vec<StoredMessage>, StoreError> {
    let mut select =
        Query::select().columns([("chat", "id"), ("chat", "chat")]).from("chat").and_where(rows).take();
    let document = tx.fetch_optional(select.lock_exclusive(), |row| row.text_opt("chat")).await?;
    let document = document.ok_or(StoreError::NotFound("message"))?;
    let mut document = ChatDocument::parse(document.as_deref())?;
    let mut changed = Vec::with_capacity(keys.len());
    let mut messages = read_all(tx, chat, keys).await?;
    for key in keys {
        let message = messages.remove(key).ok_or(StoreError::NotFound("message"))?;
        let values = decide(&message)?;
        // A message that has only a row is left so: the document would get one that hangs nowhere.
        if document.contains(message.id.as_str()) {
            let mut fields = document.message(message.id.as_str())?;
            set_fields(&mut fields, &values)?;
            document.set_message(message.id.as_str(), &fields)?;
        }
        changed.push((key, message, values));
    }
    let update = Query::update()
        .table("chat")
        .value("chat", json(tx.backend(), document.into_text()?))
        .value("updated_at", now)
        .and_where(Expr::col("id").eq(chat.as_str()))
        .take();
    tx.execute(&update).await?;
    let mut written = Vec::with_capacity(changed.len());
    for (key, message, values) in changed {
        written.push(write_row(tx, now, key, message, values).await?);
    }
    Ok(written)
}

/// Messages of a chat by the keys of their rows. The chat is asked for as well: ids that others chose may hold a `-`, and
/// `a` and `b-c` have the same key as `a-b` and `c`.
async fn read_all(
    tx: &mut Tx,
    chat: &ChatId,
    keys: &[String],
) -> Result<HashMap<String, StoredMessage>, StoreError> {
    let mut select = Query::select()
        .columns(row::COLUMNS)
        .from("chat_message")
        .and_where(Expr::col("id").is_in(keys.iter().map(String::as_str)))
        .and_where(Expr::col("chat_id").eq(chat.as_str()))
        .take();
    let found = tx.fetch_all(&mut select, keys.len() as u64, |row| Ok((row.text("id")?, row::read(row)?)));
    Ok(found.await?.into_iter().collect())
}

async fn write_row(
    tx: &mut Tx,
    now: i64,
    key: &str,
    mut message: StoredMessage,
    values: Values,
) -> Result<StoredMessage, StoreError> {
    let backend = tx.backend();
    let mut update = Query::update()
        .table("chat_message")
        .value("updated_at", now)
        .and_where(Expr::col("id").eq(key))
        .take();
    message.updated_at = now;
    if let Some(content) = values.content {
        update.value("content", json(backend, Value::from(content.as_str()).to_string()));
        message.content = content;
        // Parts that the old content had are gone with it.
        message.extra = without_content(message.extra);
    }
    if let Some(done) = values.done {
        update.value("done", done);
        message.done = done;
    }
    for (column, value) in values.documents {
        update.value(column, json(backend, value.get()));
        let text = Some(value.get()).filter(|text| *text != "null").map(str::to_owned);
        match column {
            "files" => message.files = text,
            "sources" => message.sources = text,
            "embeds" => message.embeds = text,
            "status_history" => message.status_history = text,
            "error" => message.error = text,
            _ => message.usage = text.and_then(|text| row::usage(serde_json::from_str(&text).ok()?)),
        }
    }
    tx.execute(&update).await?;
    Ok(row::versioned(message))
}

fn checked(change: &MessageUpdate) -> Result<Values, StoreError> {
    let mut documents = Vec::new();
    let arrays = [
        ("files", &change.files),
        ("sources", &change.sources),
        ("embeds", &change.embeds),
        ("status_history", &change.status_history),
    ];
    for (column, text) in arrays {
        if let Some(text) = text {
            let array = raw(column, &parse_array(column, text)?)?;
            list::check(column, &array)?;
            documents.push((column, array));
        }
    }
    if let Some(error) = &change.error {
        documents.push(("error", raw("error", &parse_json("error", error)?)?));
    }
    if let Some(usage) = &change.usage {
        let mut usage = row::usage_json(usage);
        clean_json(&mut usage);
        documents.push(("usage", raw("usage", &usage)?));
    }
    Ok(Values {
        content: change.content.as_deref().map(|content| clean(content).into_owned()),
        done: change.done,
        documents,
        original_content: change.original_content.as_deref().map(|content| clean(content).into_owned()),
    })
}

fn raw(field: &'static str, value: &Value) -> Result<Box<RawValue>, StoreError> {
    to_raw_value(value).map_err(|error| StoreError::Invalid(format!("`{field}`: {error}")))
}

/// Sets the fields under the names that upstream's document has for them.
fn set_fields(fields: &mut RawObject, values: &Values) -> Result<(), StoreError> {
    if let Some(content) = &values.content {
        fields.set("content", content)?;
    }
    if let Some(original) = &values.original_content {
        fields.set("originalContent", original)?;
    }
    if let Some(done) = values.done {
        fields.set("done", &done)?;
    }
    for (column, value) in &values.documents {
        let name = if *column == "status_history" { "statusHistory" } else { column };
        fields.set(name, value)?;
    }
    Ok(())
}

fn without_content(extra: Option<String>) -> Option<String> {
    let mut extra: Map<String, Value> = serde_json::from_str(&extra?).ok()?;
    extra.shift_remove("content");
    (!extra.is_empty()).then(|| Value::Object(extra).to_string())
}
