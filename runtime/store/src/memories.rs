//! What is remembered about people.

use innkeeper_model::authority::Authority;
use innkeeper_model::memory::Memory;
use innkeeper_model::page::{Page, PageRequest};
use innkeeper_model::{MemoryId, UserId};
use sea_query::{Expr, ExprTrait, Order, Query, SelectStatement};
use uuid::Uuid;

use crate::authority::{KnownRead, or_nothing};
use crate::error::StoreError;
use crate::names::{can_name, clean, version};
use crate::pool::{Row, Tx, json, known};
use crate::store::Store;
use crate::{authority, cursor, transaction};

/// Longest memory, in bytes.
pub const CONTENT_MAX: usize = 64 * 1024;

/// What is remembered about people.
#[derive(Clone, Debug)]
pub struct Memories {
    pub(crate) store: Store,
}

impl Memories {
    /// One memory, if the authority reaches it.
    pub async fn get(&self, authority: &Authority, id: &MemoryId) -> Result<Option<Memory>, StoreError> {
        static READ: KnownRead = KnownRead::new();
        let Some((known, template, user)) = READ.of(authority).filter(|_| can_name(id.as_str())) else {
            return Ok(None);
        };
        let make = || {
            let mut select = select();
            select.and_where(Expr::col(("memory", "id")).eq(known::text(1)));
            select.and_where(or_nothing(visible(&template))).take()
        };
        let arguments = [user.into(), id.as_str().into()];
        self.store.reads().fetch_known_optional(known, make, &arguments, read).await
    }

    /// Memories that the authority reaches, by id.
    pub async fn list(&self, authority: &Authority, page: &PageRequest) -> Result<Page<Memory>, StoreError> {
        let after: Option<String> = cursor::read(page)?;
        // Every id comes after the empty one, so one statement serves all pages.
        static PAGE: KnownRead = KnownRead::new();
        let Some((known, template, user)) = PAGE.of(authority) else {
            return Ok(Page { items: Vec::new(), next: None });
        };
        let make = || {
            let mut select = select();
            select
                .and_where(Expr::col(("memory", "id")).gt(known::text(1)))
                .order_by(("memory", "id"), Order::Asc);
            select.and_where(or_nothing(visible(&template))).take()
        };
        let arguments = [user.into(), clean(&after.unwrap_or_default()).as_ref().into()];
        let found =
            self.store.reads().fetch_known(known, make, &arguments, cursor::limit(page), read).await?;
        Ok(cursor::page(found, page, |memory| memory.id.as_str().to_owned()))
    }

    /// Remembers something about a person.
    ///
    /// # Errors
    /// `Invalid` for an empty or too long text, `NotFound` where the authority does not reach the person.
    pub async fn add(
        &self,
        user: &UserId,
        authority: &Authority,
        content: &str,
    ) -> Result<Memory, StoreError> {
        let content = checked(content)?;
        let owner = authority::may_own(authority, user).filter(|_| can_name(user.as_str()));
        let owner = owner.ok_or(StoreError::NotFound("person"))?;
        let now = self.store.now();
        let (id, kind) = (MemoryId::new(Uuid::new_v4().to_string()), "context".to_owned());
        let values = Query::select()
            .exprs([
                Expr::val(id.as_str()),
                Expr::col(("user", "id")),
                Expr::val(content.as_str()),
                Expr::val(kind.as_str()),
                json(self.store.backend(), "null"),
                Expr::val(now),
                Expr::val(now),
            ])
            .from("user")
            .and_where(owner)
            .take();
        let insert = Query::insert()
            .into_table("memory")
            .columns(["id", "user_id", "content", "type", "meta", "created_at", "updated_at"])
            .select_from(values)
            .map_err(|error| StoreError::Invalid(error.to_string()))?
            .take();
        if self.store.db().execute(&insert).await? == 0 {
            return Err(StoreError::NotFound("person"));
        }
        Ok(versioned(Memory {
            id,
            user: user.clone(),
            content,
            kind,
            created_at: now,
            updated_at: now,
            version: String::new(),
        }))
    }

    /// Changes a memory that still has `version`.
    ///
    /// # Errors
    /// `Invalid`, `NotFound`, `Conflict`.
    pub async fn update(
        &self,
        authority: &Authority,
        id: &MemoryId,
        content: &str,
        version: &str,
    ) -> Result<Memory, StoreError> {
        let content = checked(content)?;
        let rows =
            visible(authority).filter(|_| can_name(id.as_str())).ok_or(StoreError::NotFound("memory"))?;
        let rows = Expr::col(("memory", "id")).eq(id.as_str()).and(rows);
        let mut tx = self.store.db().begin().await?;
        let outcome = change(&mut tx, rows, content, version, self.store.now()).await;
        transaction::end(tx, outcome).await
    }

    /// Forgets; false where there is nothing of that id that the authority reaches.
    pub async fn delete(&self, authority: &Authority, id: &MemoryId) -> Result<bool, StoreError> {
        let Some(rows) = visible(authority).filter(|_| can_name(id.as_str())) else { return Ok(false) };
        let delete = Query::delete()
            .from_table("memory")
            .and_where(Expr::col(("memory", "id")).eq(id.as_str()))
            .and_where(rows)
            .take();
        Ok(self.store.db().execute(&delete).await? > 0)
    }
}

async fn change(
    tx: &mut Tx,
    rows: Expr,
    content: String,
    version: &str,
    now: i64,
) -> Result<Memory, StoreError> {
    let mut select = select();
    select.and_where(rows).lock_exclusive();
    let mut memory = tx.fetch_optional(&mut select, read).await?.ok_or(StoreError::NotFound("memory"))?;
    if memory.version != version {
        return Err(StoreError::Conflict("the memory".to_owned()));
    }
    memory.content = content;
    memory.updated_at = now;
    let update = Query::update()
        .table("memory")
        .values([("content", memory.content.as_str().into()), ("updated_at", now.into())])
        .and_where(Expr::col("id").eq(memory.id.as_str()))
        .take();
    tx.execute(&update).await?;
    Ok(versioned(memory))
}

fn visible(authority: &Authority) -> Option<Expr> {
    authority::owned(authority, ("memory", "user_id"))
}

fn checked(content: &str) -> Result<String, StoreError> {
    let content = clean(content);
    if content.is_empty() || content.len() > CONTENT_MAX {
        return Err(StoreError::Invalid(format!(
            "a memory has {} bytes; it needs 1 to {CONTENT_MAX}",
            content.len()
        )));
    }
    Ok(content.into_owned())
}

fn select() -> SelectStatement {
    let columns = ["id", "user_id", "content", "type", "created_at", "updated_at"];
    Query::select().columns(columns.map(|column| ("memory", column))).from("memory").take()
}

fn read(row: &Row<'_>) -> Result<Memory, StoreError> {
    Ok(versioned(Memory {
        id: MemoryId::new(row.text("id")?),
        user: UserId::new(row.text_opt("user_id")?.unwrap_or_default()),
        content: row.text_opt("content")?.unwrap_or_default(),
        kind: row.text_opt("type")?.unwrap_or_default(),
        created_at: row.int_opt("created_at")?.unwrap_or(0),
        updated_at: row.int_opt("updated_at")?.unwrap_or(0),
        version: String::new(),
    }))
}

fn versioned(mut memory: Memory) -> Memory {
    let times = [memory.created_at.to_le_bytes(), memory.updated_at.to_le_bytes()].concat();
    memory.version =
        version([memory.content.as_bytes(), memory.kind.as_bytes(), memory.user.as_str().as_bytes(), &times]);
    memory
}
