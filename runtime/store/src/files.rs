//! Stored files: rows in SQL, bytes in a `FileStorage`. Where the bytes are never leaves this file.
//!
//! Writes of both run to their end on a task of their own, so that a caller who goes away leaves either a file with its
//! bytes or nothing.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use innkeeper_model::authority::Authority;
use innkeeper_model::file::{File, NewFile};
use innkeeper_model::page::{Page, PageRequest};
use innkeeper_model::{FileId, UserId};
use sea_query::{Expr, ExprTrait, InsertStatement, Order, Query, SelectStatement};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::authority::{Access, KnownRead, files as visible, may_own, or_nothing};
use crate::error::StoreError;
use crate::names::{can_name, clean};
use crate::pool::{Row, Tx, json as json_value, known};
use crate::search::contains;
use crate::storage::{ByteStream, FileStorage, StoredBytes};
use crate::store::Store;
use crate::{cursor, transaction};

/// Stored files.
#[derive(Clone, Debug)]
pub struct Files {
    pub(crate) store: Store,
}

impl Files {
    /// One file without its bytes, if the authority reaches it.
    pub async fn get(&self, authority: &Authority, id: &FileId) -> Result<Option<File>, StoreError> {
        static READ: KnownRead = KnownRead::new();
        let Some((known, template, user)) = READ.of(authority).filter(|_| can_name(id.as_str())) else {
            return Ok(None);
        };
        let make = || {
            let marked = FileId::new(known::text(1));
            select().and_where(or_nothing(one(&template, Access::Read, &marked))).take()
        };
        let arguments = [user.into(), id.as_str().into()];
        self.store.reads().fetch_known_optional(known, make, &arguments, read).await
    }

    /// Files that the authority reaches and whose name contains `name`, newest first.
    pub async fn list(
        &self,
        authority: &Authority,
        name: Option<&str>,
        page: &PageRequest,
    ) -> Result<Page<File>, StoreError> {
        let after: Option<(i64, String)> = cursor::read(page)?;
        let Some(rows) = visible(authority, Access::Read) else {
            return Ok(Page { items: Vec::new(), next: None });
        };
        let (created_at, id) = (|| cursor::time(("file", "created_at")), ("file", "id"));
        let mut select = select();
        select.and_where(rows).order_by_expr(created_at(), Order::Desc).order_by(id, Order::Asc);
        if let Some(name) = name {
            select.and_where(contains(self.store.backend(), ("file", "filename"), name));
        }
        if let Some((second, last)) = after {
            let same_second = created_at().eq(second).and(Expr::col(id).gt(clean(&last).as_ref()));
            select.and_where(created_at().lt(second).or(same_second));
        }
        let found = self.store.reads().fetch_all(&mut select, cursor::limit(page), read).await?;
        Ok(cursor::page(found, page, |file| (file.created_at, file.id.as_str().to_owned())))
    }

    /// Stores a file for `owner`: the bytes first, then the row. No connection is held while bytes come in.
    ///
    /// # Errors
    /// `NotFound` where the authority does not reach the owner, `Invalid` for a malformed name, `ByteLimit` beyond
    /// `max_bytes`, `Storage` and `Full` where the bytes could not be stored. Nothing is left behind then.
    pub async fn create<S>(
        &self,
        owner: &UserId,
        authority: &Authority,
        new: NewFile,
        data: S,
        max_bytes: u64,
    ) -> Result<File, StoreError>
    where
        S: Stream<Item = io::Result<Bytes>> + Send,
    {
        let name = checked_name(&new.name)?;
        let content_type = checked_type(&new.content_type)?;
        let allowed = may_own(authority, owner)
            .filter(|_| can_name(owner.as_str()))
            .ok_or(StoreError::NotFound("person"))?;
        let id = Uuid::new_v4().to_string();
        let storage = Arc::clone(self.store.storage());
        let stored = storage.put(&id, data.boxed(), max_bytes).await.map_err(storage_error);
        let stored = self.store.db().noted(stored)?;
        let now = self.store.now();
        let file = File {
            id: FileId::new(id),
            user: owner.clone(),
            name,
            content_type: Some(content_type),
            size: Some(stored.size),
            hash: None,
            created_at: now,
            updated_at: now,
        };
        let bytes = Unowned { storage, path: stored.path.clone(), kept: false };
        let insert = self.insert(&file, &stored, allowed)?;
        let store = self.store.clone();
        to_the_end(async move {
            let mut bytes = bytes;
            let inserted = store.db().execute(&insert).await;
            // Where nobody knows whether there is a row, bytes without one are better than one without bytes.
            bytes.kept =
                matches!(inserted, Ok(1..) | Err(StoreError::Timeout | StoreError::Unreachable { .. }));
            match inserted? {
                0 => Err(StoreError::NotFound("person")),
                _ => Ok(file),
            }
        })
        .await
    }

    /// A file and its bytes, if the authority reaches it.
    ///
    /// # Errors
    /// `Storage` where the row is there and the bytes are not.
    pub async fn open(
        &self,
        authority: &Authority,
        id: &FileId,
    ) -> Result<Option<(File, ByteStream)>, StoreError> {
        let Some(rows) = one(authority, Access::Read, id) else { return Ok(None) };
        let mut select = select();
        select.column(("file", "path")).and_where(rows);
        let found = self
            .store
            .reads()
            .fetch_optional(&mut select, |row| Ok((read(row)?, row.text_opt("path")?)))
            .await?;
        let Some((file, path)) = found else { return Ok(None) };
        let bytes = self.store.storage().open(&path.unwrap_or_default()).await.map_err(storage_error)?;
        Ok(Some((file, bytes)))
    }

    /// Deletes a file with its bytes; false where there is none of that id that the authority owns.
    pub async fn delete(&self, authority: &Authority, id: &FileId) -> Result<bool, StoreError> {
        let Some(rows) = one(authority, Access::Own, id) else { return Ok(false) };
        let store = self.store.clone();
        to_the_end(async move {
            let mut tx = store.db().begin().await?;
            let outcome = delete(&mut tx, rows).await;
            let Some(path) = transaction::end(tx, outcome).await? else { return Ok(false) };
            remove_bytes(&store, path).await;
            Ok(true)
        })
        .await
    }

    fn insert(
        &self,
        file: &File,
        stored: &StoredBytes,
        allowed: Expr,
    ) -> Result<InsertStatement, StoreError> {
        let backend = self.store.backend();
        let meta =
            json!({"name": file.name, "content_type": file.content_type, "size": stored.size, "data": {}});
        let values = Query::select()
            .exprs([
                Expr::val(file.id.as_str()),
                Expr::col(("user", "id")),
                Expr::val(file.name.as_str()),
                Expr::val(stored.path.as_str()),
                json_value(backend, "{}"),
                json_value(backend, meta.to_string()),
                Expr::val(file.created_at),
                Expr::val(file.updated_at),
            ])
            .from("user")
            .and_where(allowed)
            .take();
        let insert = Query::insert()
            .into_table("file")
            .columns(["id", "user_id", "filename", "path", "data", "meta", "created_at", "updated_at"])
            .select_from(values)
            .map_err(|error| StoreError::Invalid(error.to_string()))?
            .take();
        Ok(insert)
    }
}

/// Bytes that no row names yet; removed unless one does.
struct Unowned {
    storage: Arc<dyn FileStorage>,
    path: String,
    kept: bool,
}

impl Drop for Unowned {
    fn drop(&mut self) {
        if !self.kept {
            self.storage.remove_now(&self.path);
        }
    }
}

/// Runs something on a task of its own, which goes on when the caller goes away.
pub(crate) async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::spawn(work).await.unwrap_or_else(|error| Err(StoreError::Storage(io::Error::other(error))))
}

/// Removes bytes that no row names any more. Bytes that stay behind harm nobody, so this does not fail a deletion.
pub(crate) async fn remove_bytes(store: &Store, path: String) {
    if let Err(error) = store.storage().remove(&path).await {
        tracing::warn!(%error, "bytes of a deleted file are left behind");
    }
}

async fn delete(tx: &mut Tx, rows: Expr) -> Result<Option<String>, StoreError> {
    let mut select =
        Query::select().columns([("file", "id"), ("file", "path")]).from("file").and_where(rows).take();
    let found = tx
        .fetch_optional(select.lock_exclusive(), |row| Ok((row.text("id")?, row.text_opt("path")?)))
        .await?;
    let Some((id, path)) = found else { return Ok(None) };
    for table in ["chat_file", "knowledge_file"] {
        tx.execute(&Query::delete().from_table(table).and_where(Expr::col("file_id").eq(id.as_str())).take())
            .await?;
    }
    tx.execute(&Query::delete().from_table("file").and_where(Expr::col("id").eq(id.as_str())).take()).await?;
    Ok(Some(path.unwrap_or_default()))
}

fn one(authority: &Authority, access: Access, id: &FileId) -> Option<Expr> {
    let rows = visible(authority, access).filter(|_| can_name(id.as_str()))?;
    Some(Expr::col(("file", "id")).eq(id.as_str()).and(rows))
}

/// Everything about files that may be shown.
fn select() -> SelectStatement {
    let columns = ["id", "user_id", "filename", "meta", "hash", "created_at", "updated_at"];
    Query::select().columns(columns.map(|column| ("file", column))).from("file").take()
}

fn read(row: &Row<'_>) -> Result<File, StoreError> {
    let meta = row.json("meta")?;
    let name = row.text_opt("filename")?;
    Ok(File {
        id: FileId::new(row.text("id")?),
        user: UserId::new(row.text_opt("user_id")?.unwrap_or_default()),
        name: name.or_else(|| text(&meta, "name")).unwrap_or_default(),
        content_type: text(&meta, "content_type"),
        size: meta.get("size").and_then(Value::as_u64),
        hash: row.text_opt("hash")?,
        created_at: row.int_opt("created_at")?.unwrap_or(0),
        updated_at: row.int_opt("updated_at")?.unwrap_or(0),
    })
}

fn text(meta: &Value, field: &str) -> Option<String> {
    meta.get(field).and_then(Value::as_str).map(ToOwned::to_owned)
}

fn checked_name(name: &str) -> Result<String, StoreError> {
    let name = clean(name);
    if name.is_empty() || name.len() > 1024 || name.chars().any(char::is_control) {
        return Err(StoreError::Invalid(
            "a file's name needs 1 to 1024 bytes without control characters".to_owned(),
        ));
    }
    Ok(name.into_owned())
}

fn checked_type(content_type: &str) -> Result<String, StoreError> {
    let printable = content_type.bytes().all(|b| (b' '..=b'~').contains(&b));
    if !printable || content_type.len() > 255 || !content_type.contains('/') {
        return Err(StoreError::Invalid(
            "a file's type must be a media type such as `text/plain`".to_owned(),
        ));
    }
    Ok(content_type.to_owned())
}

fn storage_error(error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::FileTooLarge => StoreError::ByteLimit,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full,
        io::ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly("the file storage".to_owned()),
        _ => StoreError::Storage(error),
    }
}
