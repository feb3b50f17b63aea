//! Appending: the chat's row is locked, its document rewritten once, and the rows of messages made in one transaction.

use innkeeper_model::authority::Authority;
use innkeeper_model::chat_message::{NewMessage, StoredMessage};
use innkeeper_model::{ChatId, MessageId, ModelId, UserId};
use sea_query::{Expr, ExprTrait, Query};
use serde_json::Value;
use uuid::Uuid;

use super::{row, row_id};
use crate::authority::Access;
use crate::chats::one;
use crate::document::{ChatDocument, RawObject};
use crate::error::StoreError;
use crate::names::{clean, new_id};
use crate::pool::{Backend, Tx, json as json_value};
use crate::store::Store;
use crate::transaction;

/// Appends a message; before it `question`, unless the chat ends with it already.
pub(super) async fn append(
    store: &Store,
    authority: &Authority,
    chat: &ChatId,
    question: Option<NewMessage>,
    message: NewMessage,
) -> Result<StoredMessage, StoreError> {
    let question = question.map(checked).transpose()?;
    let message = checked(message)?;
    let rows = one(authority, Access::Write, chat, store).ok_or(StoreError::NotFound("chat"))?;
    let mut tx = store.db().begin().await?;
    let outcome = write(&mut tx, store.now(), rows, authority, question, message).await;
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
    question: Option<NewMessage>,
    message: NewMessage,
) -> Result<StoredMessage, StoreError> {
    let mut chat = Locked::read(tx, rows).await?;
    let question = match question {
        Some(question) if !chat.ends_with(&question)? => Some(chat.add(authority, now, question)?),
        _ => None,
    };
    let answer = chat.add(authority, now, message)?;
    let update = Query::update()
        .table("chat")
        .value("chat", json_value(tx.backend(), chat.document.into_text()?))
        .value("current_message_id", answer.1.id.as_str())
        .value("updated_at", now)
        .and_where(Expr::col("id").eq(chat.id.as_str()))
        .take();
    tx.execute(&update).await?;
    insert(tx, question.iter().chain([&answer])).await?;
    Ok(answer.1)
}

/// A chat whose row is locked.
struct Locked {
    id: ChatId,
    owner: Option<UserId>,
    document: ChatDocument,
    current: Option<String>,
}

impl Locked {
    async fn read(tx: &mut Tx, rows: Expr) -> Result<Self, StoreError> {
        let mut select = Query::select()
            .columns(["id", "user_id", "chat", "current_message_id"].map(|column| ("chat", column)))
            .from("chat")
            .and_where(rows)
            .take();
        let found = tx.fetch_optional(select.lock_exclusive(), |row| {
            let document = ChatDocument::parse(row.text_opt("chat")?.as_deref())?;
            // A current message that is gone is nobody's parent.
            let current = row.text_opt("current_message_id")?.filter(|current| document.contains(current));
            let owner = row.text_opt("user_id")?.map(UserId::new);
            Ok(Self { id: ChatId::new(row.text("id")?), owner, document, current })
        });
        found.await?.ok_or(StoreError::NotFound("chat"))
    }

    /// Whether the current message says the same in the same role.
    fn ends_with(&self, message: &NewMessage) -> Result<bool, StoreError> {
        let Some(current) = &self.current else { return Ok(false) };
        let fields = self.document.message(current)?;
        let same_role = fields.read::<String>("role").as_ref() == Some(&message.role);
        let content = fields.read("content").unwrap_or_default();
        Ok(same_role && row::content(content).0 == message.content)
    }

    /// Puts a message into the document and makes it current; the key of its row, and the message.
    fn add(
        &mut self,
        authority: &Authority,
        now: i64,
        message: NewMessage,
    ) -> Result<(String, StoredMessage), StoreError> {
        let parent = match message.parent {
            Some(parent) if !self.document.contains(parent.as_str()) => {
                return Err(StoreError::Invalid("the message before is not in this chat".to_owned()));
            }
            Some(parent) => Some(parent),
            None => self.current.take().map(MessageId::new),
        };
        let id = message.id.unwrap_or_else(|| MessageId::new(Uuid::now_v7().to_string()));
        let key = row_id(&self.id, &id);
        let key =
            key.ok_or_else(|| StoreError::Invalid("the message id is too long for its chat".to_owned()))?;
        if self.document.contains(id.as_str()) {
            return Err(StoreError::Conflict(format!("message id `{id}`")));
        }
        let stored = row::versioned(StoredMessage {
            user: authority.user().or(self.owner.as_ref()).cloned(),
            parent,
            model: message.model,
            done: message.done,
            created_at: now,
            updated_at: now,
            ..StoredMessage::new(id, self.id.clone(), message.role, message.content)
        });
        let parent = stored.parent.as_ref().map(MessageId::as_str);
        self.document.append(stored.id.as_str(), parent, &in_document(&stored)?)?;
        self.current = Some(stored.id.as_str().to_owned());
        Ok((key, stored))
    }
}

/// The message as upstream keeps it in the chat's document.
fn in_document(message: &StoredMessage) -> Result<RawObject, StoreError> {
    let mut fields = RawObject::default();
    fields.set("id", message.id.as_str())?;
    fields.set("parentId", &message.parent.as_ref().map(MessageId::as_str))?;
    fields.set("childrenIds", &[(); 0])?;
    fields.set("role", &message.role)?;
    fields.set("content", &message.content)?;
    if let Some(model) = &message.model {
        // A question names the models that it asks, an answer the one that gave it.
        match message.role.as_str() {
            "user" => fields.set("models", &[model.as_str()])?,
            _ => fields.set("model", model.as_str())?,
        };
    }
    if message.role != "user" {
        fields.set("done", &message.done)?;
    }
    fields.set("timestamp", &message.created_at)?;
    Ok(fields)
}

async fn insert(
    tx: &mut Tx,
    messages: impl Iterator<Item = &(String, StoredMessage)>,
) -> Result<(), StoreError> {
    let columns = row::COLUMNS.into_iter().chain(["meta"]);
    let mut insert = Query::insert().into_table("chat_message").columns(columns).take();
    for (key, message) in messages {
        let values = values(tx.backend(), key, message);
        insert.values(values).map_err(|error| StoreError::Invalid(error.to_string()))?;
    }
    match tx.execute(&insert).await {
        Err(StoreError::Conflict(_)) => Err(StoreError::Conflict("the message id".to_owned())),
        other => other.map(|_| ()),
    }
}

fn values(backend: Backend, key: &str, message: &StoredMessage) -> [Expr; 18] {
    let absent = || json_value(backend, "null");
    [
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
    ]
}
