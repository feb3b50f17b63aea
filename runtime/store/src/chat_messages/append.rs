//! Appending: the chat's row is locked, its document rewritten once, and the message's row made in one transaction.

use innkeeper_model::authority::Authority;
use innkeeper_model::chat_message::{NewMessage, StoredMessage};
use innkeeper_model::{ChatId, MessageId, ModelId, UserId};
use sea_query::{Expr, ExprTrait, Query};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{row, row_id};
use crate::authority::Access;
use crate::chats::one;
use crate::document::ChatDocument;
use crate::error::StoreError;
use crate::names::{clean, new_id};
use crate::pool::{Tx, json as json_value};
use crate::store::Store;
use crate::transaction;

pub(super) async fn append(
    store: &Store,
    authority: &Authority,
    chat: &ChatId,
    message: NewMessage,
) -> Result<StoredMessage, StoreError> {
    let message = checked(message)?;
    let rows = one(authority, Access::Write, chat, store).ok_or(StoreError::NotFound("chat"))?;
    let mut tx = store.db().begin().await?;
    let outcome = write(&mut tx, store.now(), rows, authority, message).await;
    transaction::end(tx, outcome).await
}

fn checked(mut message: NewMessage) -> Result<NewMessage, StoreError> {
    if let Some(id) = &message.id {
        new_id("message id", id.as_str())?;
    }
    new_id("role", &message.role)?;
    if let Some(model) = &message.model {
        new_id("model id", model.as_str())?;
    }
    message.content = clean(&message.content).into_owned();
    Ok(message)
}

async fn write(
    tx: &mut Tx,
    now: i64,
    rows: Expr,
    authority: &Authority,
    message: NewMessage,
) -> Result<StoredMessage, StoreError> {
    let mut select = Query::select()
        .columns(["id", "user_id", "chat", "current_message_id"].map(|column| ("chat", column)))
        .from("chat")
        .and_where(rows)
        .take();
    let found = tx.fetch_optional(select.lock_exclusive(), |row| {
        let document = ChatDocument::parse(row.text_opt("chat")?.as_deref())?;
        Ok((
            ChatId::new(row.text("id")?),
            row.text_opt("user_id")?,
            document,
            row.text_opt("current_message_id")?,
        ))
    });
    let (chat, owner, mut document, current) = found.await?.ok_or(StoreError::NotFound("chat"))?;
    let parent = match message.parent {
        Some(parent) if !document.contains(parent.as_str()) => {
            return Err(StoreError::Invalid("the message before is not in this chat".to_owned()));
        }
        Some(parent) => Some(parent),
        // A current message that is gone is nobody's parent.
        None => current.filter(|current| document.contains(current)).map(MessageId::new),
    };
    let id = message.id.unwrap_or_else(|| MessageId::new(Uuid::now_v7().to_string()));
    let key = row_id(&chat, &id)
        .ok_or_else(|| StoreError::Invalid("the message id is too long for its chat".to_owned()))?;
    if document.contains(id.as_str()) {
        return Err(StoreError::Conflict(format!("message id `{id}`")));
    }
    let author = authority.user().cloned().or_else(|| owner.map(UserId::new));
    let stored = row::versioned(StoredMessage {
        id,
        chat,
        user: author,
        role: message.role,
        parent,
        content: message.content,
        model: message.model,
        done: message.done,
        usage: None,
        files: None,
        sources: None,
        embeds: None,
        status_history: None,
        error: None,
        created_at: now,
        updated_at: now,
        version: String::new(),
        extra: None,
    });
    let parent = stored.parent.as_ref().map(MessageId::as_str);
    document.append(stored.id.as_str(), parent, &in_document(&stored))?;
    let update = Query::update()
        .table("chat")
        .value("chat", json_value(tx.backend(), document.into_text()?))
        .value("current_message_id", stored.id.as_str())
        .value("updated_at", now)
        .and_where(Expr::col("id").eq(stored.chat.as_str()))
        .take();
    tx.execute(&update).await?;
    insert(tx, &key, &stored).await?;
    Ok(stored)
}

/// The message as upstream keeps it in the chat's document.
fn in_document(message: &StoredMessage) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("id".to_owned(), json!(message.id.as_str()));
    fields.insert("parentId".to_owned(), json!(message.parent.as_ref().map(MessageId::as_str)));
    fields.insert("childrenIds".to_owned(), json!([]));
    fields.insert("role".to_owned(), json!(message.role));
    fields.insert("content".to_owned(), json!(message.content));
    if let Some(model) = &message.model {
        // A question names the models that it asks, an answer the one that gave it.
        match message.role.as_str() {
            "user" => fields.insert("models".to_owned(), json!([model.as_str()])),
            _ => fields.insert("model".to_owned(), json!(model.as_str())),
        };
    }
    if message.role != "user" {
        fields.insert("done".to_owned(), json!(message.done));
    }
    fields.insert("timestamp".to_owned(), json!(message.created_at));
    fields
}

async fn insert(tx: &mut Tx, key: &str, message: &StoredMessage) -> Result<(), StoreError> {
    let backend = tx.backend();
    let absent = || json_value(backend, "null");
    let values: [Expr; 18] = [
        key.into(),
        message.chat.as_str().into(),
        message.user.as_ref().map(|user| user.as_str().to_owned()).into(),
        message.role.as_str().into(),
        message.parent.as_ref().map(|parent| parent.as_str().to_owned()).into(),
        json_value(backend, Value::from(message.content.as_str()).to_string()),
        absent(),
        message.model.as_ref().map(|model: &ModelId| model.as_str().to_owned()).into(),
        absent(),
        absent(),
        absent(),
        message.done.into(),
        absent(),
        absent(),
        absent(),
        message.created_at.into(),
        message.updated_at.into(),
        absent(),
    ];
    let columns = row::COLUMNS.into_iter().chain(["meta"]);
    let insert = Query::insert()
        .into_table("chat_message")
        .columns(columns)
        .values(values)
        .map_err(|error| StoreError::Invalid(error.to_string()))?
        .take();
    match tx.execute(&insert).await {
        Err(StoreError::Conflict(_)) => Err(StoreError::Conflict(format!("message id `{}`", message.id))),
        other => other.map(|_| ()),
    }
}
