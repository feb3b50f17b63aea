//! Chats without their messages. The document with all messages is never selected here except to change the title,
//! which upstream keeps in it as well.
//!
//! Orphaned rows of `tag` are left where they are: counting a tag's chats means searching documents.

use innkeeper_model::authority::Authority;
use innkeeper_model::chat::{Chat, ChatFilter, ChatUpdate, NewChat};
use innkeeper_model::page::{Page, PageRequest};
use innkeeper_model::{ChatId, MessageId, UserId};
use sea_query::{Expr, ExprTrait, Order, Query, SelectStatement};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::authority::{Access, KnownRead, chats as visible, may_own, or_nothing};
use crate::cursor;
use crate::error::StoreError;
use crate::names::{can_name, clean, version};
use crate::pool::{Row, json as json_value, known};
use crate::search::contains;
use crate::store::Store;

mod change;
mod removal;

pub(crate) use removal::delete_chats;

/// Longest title, in bytes.
pub const TITLE_MAX: usize = 1024;

/// Chats without their messages.
#[derive(Clone, Debug)]
pub struct Chats {
    pub(crate) store: Store,
}

impl Chats {
    /// One chat, if the authority reaches it.
    pub async fn get(&self, authority: &Authority, id: &ChatId) -> Result<Option<Chat>, StoreError> {
        static READ: KnownRead = KnownRead::new();
        let Some((known, template, user)) = READ.of(authority).filter(|_| can_store(id)) else {
            return Ok(None);
        };
        let backend = self.store.backend();
        let make = || {
            let mut select = select();
            select.and_where(Expr::col(("chat", "id")).eq(known::text(1)));
            select.and_where(or_nothing(visible(&template, Access::Read, backend))).take()
        };
        let arguments = [user.into(), id.as_str().into()];
        self.store.reads().fetch_known_optional(known, make, &arguments, read).await
    }

    /// Chats that the authority reaches, latest change first.
    pub async fn list(
        &self,
        authority: &Authority,
        filter: &ChatFilter,
        page: &PageRequest,
    ) -> Result<Page<Chat>, StoreError> {
        let after: Option<(i64, String)> = cursor::read(page)?;
        let folder = filter.folder.as_deref().is_none_or(can_name);
        let Some(rows) = visible(authority, Access::Read, self.store.backend()).filter(|_| folder) else {
            return Ok(Page { items: Vec::new(), next: None });
        };
        let updated_at_of = || cursor::time(("chat", "updated_at"));
        let mut select = select();
        select
            .and_where(rows)
            .order_by_expr(updated_at_of(), Order::Desc)
            .order_by(("chat", "id"), Order::Asc);
        narrow(&mut select, filter, self.store.backend());
        if let Some((updated_at, id)) = after {
            let same_second =
                updated_at_of().eq(updated_at).and(Expr::col(("chat", "id")).gt(clean(&id).as_ref()));
            select.and_where(updated_at_of().lt(updated_at).or(same_second));
        }
        let found = self.store.reads().fetch_all(&mut select, cursor::limit(page), read).await?;
        Ok(cursor::page(found, page, |chat| (chat.updated_at, chat.id.as_str().to_owned())))
    }

    /// Makes an empty chat for `owner`.
    ///
    /// # Errors
    /// `NotFound` where the authority does not reach the owner, `Invalid` for a folder that is not the owner's and for a
    /// title of more than `TITLE_MAX` bytes.
    pub async fn create(
        &self,
        owner: &UserId,
        authority: &Authority,
        new: NewChat,
    ) -> Result<Chat, StoreError> {
        let allowed = may_own(authority, owner)
            .filter(|_| can_name(owner.as_str()))
            .ok_or(StoreError::NotFound("person"))?;
        let (now, backend) = (self.store.now(), self.store.backend());
        let title = match checked_title(&new.title)? {
            title if title.is_empty() => "New Chat".to_owned(),
            title => title,
        };
        let id = ChatId::new(Uuid::new_v4().to_string());
        let document = json!({
            "id": id.as_str(), "title": title, "models": [], "params": {}, "history": {"messages": {}, "currentId": null},
            "messages": [], "tags": [], "timestamp": now.saturating_mul(1000), "files": [],
        });
        let mut values = Query::select()
            .exprs([
                Expr::val(id.as_str()),
                Expr::col(("user", "id")),
                Expr::val(title.as_str()),
                Expr::val(now),
                Expr::val(now),
                Expr::val(false),
                json_value(backend, document.to_string()),
                Expr::val(false),
                json_value(backend, "{}"),
                Expr::val(new.folder.clone()),
                json_value(backend, "null"),
                Expr::val(now),
                json_value(backend, "{}"),
            ])
            .from("user")
            .and_where(allowed)
            .take();
        if let Some(folder) = &new.folder {
            if !can_name(folder) {
                return Err(no_folder());
            }
            values.and_where(Expr::exists(folder_of(folder, owner)));
        }
        let insert = Query::insert()
            .into_table("chat")
            .columns([
                "id",
                "user_id",
                "title",
                "created_at",
                "updated_at",
                "archived",
                "chat",
                "pinned",
                "meta",
                "folder_id",
                "tasks",
                "last_read_at",
                "variables",
            ])
            .select_from(values)
            .map_err(|error| StoreError::Invalid(error.to_string()))?
            .take();
        if self.store.db().execute(&insert).await? == 0 {
            return Err(if new.folder.is_some() { no_folder() } else { StoreError::NotFound("person") });
        }
        Ok(versioned(Chat {
            id,
            user: owner.clone(),
            title,
            archived: false,
            pinned: false,
            folder: new.folder,
            tags: Vec::new(),
            current_message: None,
            created_at: now,
            updated_at: now,
            version: String::new(),
        }))
    }

    /// Changes a chat that still has `version`.
    ///
    /// # Errors
    /// `NotFound`, `Conflict`, `Invalid` for tags and a title of more than `TITLE_MAX` bytes.
    pub async fn update(
        &self,
        authority: &Authority,
        id: &ChatId,
        change: &ChatUpdate,
        version: &str,
    ) -> Result<Chat, StoreError> {
        let rows = self.rows(authority, Access::Write, id).ok_or(StoreError::NotFound("chat"))?;
        change::update(&self.store, rows, change, version).await
    }

    /// Deletes a chat with its messages and shares; false where there is none of that id that the authority owns.
    pub async fn delete(&self, authority: &Authority, id: &ChatId) -> Result<bool, StoreError> {
        let Some(rows) = self.rows(authority, Access::Own, id) else { return Ok(false) };
        removal::delete_one(&self.store, rows).await
    }

    /// Whether the authority reaches a chat to read it.
    pub async fn may_see(&self, authority: &Authority, id: &ChatId) -> Result<bool, StoreError> {
        self.reaches(authority, Access::Read, id).await
    }

    /// Whether the authority reaches a chat to write in it.
    pub async fn may_write(&self, authority: &Authority, id: &ChatId) -> Result<bool, StoreError> {
        self.reaches(authority, Access::Write, id).await
    }

    /// Whose a chat is, for the server's own use.
    pub async fn owner(&self, id: &ChatId) -> Result<Option<UserId>, StoreError> {
        if !can_name(id.as_str()) {
            return Ok(None);
        }
        let mut select =
            Query::select().column("user_id").from("chat").and_where(Expr::col("id").eq(id.as_str())).take();
        let owner = self.store.db().fetch_optional(&mut select, |row| row.text_opt("user_id")).await?;
        Ok(owner.flatten().map(UserId::new))
    }

    async fn reaches(&self, authority: &Authority, access: Access, id: &ChatId) -> Result<bool, StoreError> {
        let Some(rows) = self.rows(authority, access, id) else { return Ok(false) };
        let mut select = Query::select().column(("chat", "id")).from("chat").and_where(rows).take();
        Ok(self.store.db().fetch_optional(&mut select, |_| Ok(())).await?.is_some())
    }

    fn rows(&self, authority: &Authority, access: Access, id: &ChatId) -> Option<Expr> {
        one(authority, access, id, &self.store)
    }
}

/// The condition for one chat that the authority reaches; none where it cannot reach any of that id.
pub(crate) fn one(authority: &Authority, access: Access, id: &ChatId, store: &Store) -> Option<Expr> {
    let rows = visible(authority, access, store.backend()).filter(|_| can_store(id))?;
    Some(Expr::col(("chat", "id")).eq(id.as_str()).and(rows))
}

/// Whether a chat of this id can be in the table.
pub(crate) fn can_store(id: &ChatId) -> bool {
    can_name(id.as_str()) && id.is_saved()
}

fn narrow(select: &mut SelectStatement, filter: &ChatFilter, backend: crate::pool::Backend) {
    for (column, wanted) in [("archived", filter.archived), ("pinned", filter.pinned)] {
        match wanted {
            Some(true) => select.and_where(Expr::col(("chat", column)).eq(true)),
            // Upstream leaves `pinned` NULL in older rows.
            Some(false) => select
                .and_where(Expr::col(("chat", column)).eq(false).or(Expr::col(("chat", column)).is_null())),
            None => select,
        };
    }
    if let Some(folder) = &filter.folder {
        select.and_where(Expr::col(("chat", "folder_id")).eq(folder.as_str()));
    }
    if let Some(part) = &filter.title_contains {
        select.and_where(contains(backend, ("chat", "title"), part));
    }
}

fn folder_of(folder: &str, owner: &UserId) -> SelectStatement {
    Query::select()
        .expr(Expr::cust("1"))
        .from("folder")
        .and_where(Expr::col(("folder", "id")).eq(folder))
        .and_where(Expr::col(("folder", "user_id")).eq(owner.as_str()))
        .take()
}

fn checked_title(title: &str) -> Result<String, StoreError> {
    let title = clean(title);
    if title.len() > TITLE_MAX {
        return Err(StoreError::Invalid(format!(
            "the title has {} bytes; at most {TITLE_MAX} are allowed",
            title.len()
        )));
    }
    Ok(title.into_owned())
}

fn no_folder() -> StoreError {
    StoreError::Invalid("the chat's owner has no such folder".to_owned())
}

/// Everything about chats that is not the document.
fn select() -> SelectStatement {
    let columns = [
        "id",
        "user_id",
        "title",
        "archived",
        "pinned",
        "folder_id",
        "meta",
        "current_message_id",
        "created_at",
        "updated_at",
    ];
    Query::select().columns(columns.map(|column| ("chat", column))).from("chat").take()
}

fn read(row: &Row<'_>) -> Result<Chat, StoreError> {
    Ok(versioned(Chat {
        id: ChatId::new(row.text("id")?),
        user: UserId::new(row.text_opt("user_id")?.unwrap_or_default()),
        title: row.text_opt("title")?.unwrap_or_default(),
        archived: row.flag_opt("archived")?.unwrap_or(false),
        pinned: row.flag_opt("pinned")?.unwrap_or(false),
        folder: row.text_opt("folder_id")?,
        tags: tags(&meta(row)?),
        current_message: row.text_opt("current_message_id")?.filter(|id| !id.is_empty()).map(MessageId::new),
        created_at: row.int_opt("created_at")?.unwrap_or(0),
        updated_at: row.int_opt("updated_at")?.unwrap_or(0),
        version: String::new(),
    }))
}

/// What is kept beside a chat. A list must not fail for one row that somebody broke.
fn meta(row: &Row<'_>) -> Result<Value, StoreError> {
    match row.json("meta") {
        Err(StoreError::Corrupt { .. }) => Ok(Value::Null),
        other => other,
    }
}

fn tags(meta: &Value) -> Vec<String> {
    let tags = meta.get("tags").and_then(Value::as_array);
    tags.into_iter().flatten().filter_map(Value::as_str).map(ToOwned::to_owned).collect()
}

/// The chat with a version made from all that a change can change; upstream's table has no column for one.
fn versioned(mut chat: Chat) -> Chat {
    let flags = [u8::from(chat.archived), u8::from(chat.pinned), u8::from(chat.folder.is_some())];
    let tags = chat.tags.join("\0");
    let current = chat.current_message.as_ref().map_or("", MessageId::as_str);
    chat.version = version([
        chat.title.as_bytes(),
        &flags,
        chat.folder.as_deref().unwrap_or_default().as_bytes(),
        tags.as_bytes(),
        current.as_bytes(),
        &chat.updated_at.to_le_bytes(),
    ]);
    chat
}
