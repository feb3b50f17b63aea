//! Messages of chats. Each is kept twice, as upstream keeps it: as a row of `chat_message` with the id
//! `{chat}-{message}`, and in the document of its chat. Reading uses the rows alone.

use innkeeper_model::authority::Authority;
use innkeeper_model::chat_message::{MessageUpdate, NewMessage, StoredMessage};
use innkeeper_model::event::WireEvent;
use innkeeper_model::page::{Page, PageRequest};
use innkeeper_model::{ChatId, MessageId};
use sea_query::{Expr, ExprTrait, JoinType, Order, Query, SelectStatement};

use crate::authority::{Access, KnownRead, or_nothing};
use crate::chats::{can_store, one};
use crate::cursor;
use crate::error::StoreError;
use crate::names::{can_name, clean};
use crate::pool::known;
use crate::store::Store;

mod append;
mod branch;
mod change;
mod events;
mod list;
mod row;

use change::Change;

pub use branch::BRANCH_MAX;

/// Messages of chats.
#[derive(Clone, Debug)]
pub struct ChatMessages {
    pub(crate) store: Store,
}

impl ChatMessages {
    /// One message, if the authority reaches its chat.
    pub async fn get(
        &self,
        authority: &Authority,
        chat: &ChatId,
        id: &MessageId,
    ) -> Result<Option<StoredMessage>, StoreError> {
        let Some(key) = row_id(chat, id) else { return Ok(None) };
        static READ: KnownRead = KnownRead::new();
        let Some((known, template, user)) = READ.of(authority).filter(|_| can_store(chat)) else {
            return Ok(None);
        };
        let make = || {
            let mut select = select(self.readable(&template));
            select.and_where(Expr::col(("chat_message", "id")).eq(known::text(2))).take()
        };
        let arguments = [user.into(), chat.as_str().into(), key.into()];
        self.store.reads().fetch_known_optional(known, make, &arguments, row::read).await
    }

    /// Messages of a chat that the authority reaches, oldest first.
    pub async fn list(
        &self,
        authority: &Authority,
        chat: &ChatId,
        page: &PageRequest,
    ) -> Result<Page<StoredMessage>, StoreError> {
        let after: Option<(i64, String)> = cursor::read(page)?;
        static PAGE: KnownRead = KnownRead::new();
        let Some((known, template, user)) = PAGE.of(authority).filter(|_| can_store(chat)) else {
            return Ok(Page { items: Vec::new(), next: None });
        };
        let make = || {
            let (created_at, id) = (|| cursor::time(("chat_message", "created_at")), ("chat_message", "id"));
            let mut select = select(self.readable(&template));
            select.order_by_expr(created_at(), Order::Asc).order_by(id, Order::Asc);
            let same_second = created_at().eq(known::integer(2)).and(Expr::col(id).gt(known::text(3)));
            select.and_where(created_at().gt(known::integer(2)).or(same_second)).take()
        };
        // Every message comes after the first moment, so one statement serves all pages.
        let (second, last) = after.unwrap_or((i64::MIN, String::new()));
        let arguments = [user.into(), chat.as_str().into(), second.into(), clean(&last).as_ref().into()];
        let found =
            self.store.reads().fetch_known(known, make, &arguments, cursor::limit(page), row::read).await?;
        Ok(cursor::page(found, page, |message| {
            (message.created_at, format!("{}-{}", message.chat, message.id))
        }))
    }

    /// The branch that ends with `leaf`, or with the chat's current message: its last `BRANCH_MAX` messages, oldest first.
    /// One statement, however long the branch is.
    pub async fn branch(
        &self,
        authority: &Authority,
        chat: &ChatId,
        leaf: Option<&MessageId>,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        branch::read(&self.store, authority, chat, leaf).await
    }

    /// Appends a message and makes it current.
    ///
    /// # Errors
    /// `NotFound` for a chat that the authority does not reach, `Conflict` for an id that is taken,
    /// `Invalid` for a parent that is not in the chat, and for a malformed id, role or model.
    pub async fn append(
        &self,
        authority: &Authority,
        chat: &ChatId,
        message: NewMessage,
    ) -> Result<StoredMessage, StoreError> {
        append::append(&self.store, authority, chat, None, message).await
    }

    /// Appends a question, unless the chat ends with it already, and the answer to it, which becomes current: both or neither.
    ///
    /// # Errors
    /// As `append`.
    pub async fn append_turn(
        &self,
        authority: &Authority,
        chat: &ChatId,
        question: Option<NewMessage>,
        answer: NewMessage,
    ) -> Result<StoredMessage, StoreError> {
        append::append(&self.store, authority, chat, question, answer).await
    }

    /// Changes a message that still has `version`.
    ///
    /// # Errors
    /// `NotFound`, `Conflict`, `Invalid`.
    pub async fn update(
        &self,
        authority: &Authority,
        chat: &ChatId,
        id: &MessageId,
        change: &MessageUpdate,
        version: &str,
    ) -> Result<StoredMessage, StoreError> {
        let one = [Change { id, version: Some(version), values: change }];
        change::update(&self.store, authority, chat, &one).await.and_then(only)
    }

    /// Changes messages that each still have the version given with them: all of them or none.
    ///
    /// # Errors
    /// `NotFound` and `Conflict` where that holds for one of them; `Invalid`, also where one is named twice.
    pub async fn update_all(
        &self,
        authority: &Authority,
        chat: &ChatId,
        changes: &[(MessageId, String, MessageUpdate)],
    ) -> Result<Vec<StoredMessage>, StoreError> {
        let changes: Vec<_> = changes
            .iter()
            .map(|(id, version, values)| Change { id, version: Some(version.as_str()), values })
            .collect();
        change::update(&self.store, authority, chat, &changes).await
    }

    /// Changes a message whatever its version: for the turn that makes it, which is its one writer.
    ///
    /// # Errors
    /// `NotFound`, `Invalid`.
    pub async fn set(
        &self,
        authority: &Authority,
        chat: &ChatId,
        id: &MessageId,
        change: &MessageUpdate,
    ) -> Result<StoredMessage, StoreError> {
        change::update(&self.store, authority, chat, &[Change { id, version: None, values: change }])
            .await
            .and_then(only)
    }

    /// Keeps what events say in a message: one transaction for all of them.
    /// Events of types that are not kept are passed over.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn apply_events(
        &self,
        authority: &Authority,
        chat: &ChatId,
        id: &MessageId,
        events: &[WireEvent],
    ) -> Result<(), StoreError> {
        events::apply(&self.store, authority, chat, id, events).await
    }
}

impl ChatMessages {
    /// The condition for the chat of argument 1, to build a statement with.
    fn readable(&self, template: &Authority) -> Expr {
        or_nothing(one(template, Access::Read, &ChatId::new(known::text(1)), &self.store))
    }
}

fn only(mut changed: Vec<StoredMessage>) -> Result<StoredMessage, StoreError> {
    changed.pop().ok_or(StoreError::NotFound("message"))
}

/// The key of a message's row; none for ids that cannot name one.
fn row_id(chat: &ChatId, id: &MessageId) -> Option<String> {
    let key = format!("{chat}-{id}");
    (can_name(chat.as_str()) && can_name(id.as_str()) && can_name(&key)).then_some(key)
}

/// Messages of the chats for which `rows` holds.
fn select(rows: Expr) -> SelectStatement {
    Query::select()
        .columns(row::COLUMNS.map(|column| ("chat_message", column)))
        .from("chat_message")
        .join(JoinType::InnerJoin, "chat", Expr::col(("chat", "id")).equals(("chat_message", "chat_id")))
        .and_where(rows)
        .take()
}
