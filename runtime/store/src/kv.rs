//! Storage that belongs to a plugin. Every write is one transaction that locks the row of its scope first, so that
//! counting, comparing and the quota are decided once, however many servers write.
//!
//! Keys are bytes in the database: byte order and blanks at their ends are the same on all backends.
//! Entries that have expired are invisible at once and removed by `sweep`.

use innkeeper_model::kv::{KvEntry, KvQuota, KvScope};
use innkeeper_model::page::{Page, PageRequest};
use sea_query::{Expr, ExprTrait, JoinType, Order, Query, SelectStatement};

use crate::error::StoreError;
use crate::pool::known::{self, Known};
use crate::store::Store;
use crate::{cursor, transaction};

mod scope;
mod sweep;
mod write;

use scope::{Place, checked_key, checked_value, expiry};
use write::{Current, Write};

/// Storage that belongs to plugins.
#[derive(Clone, Debug)]
pub struct Kv {
    pub(crate) store: Store,
}

impl Kv {
    /// One entry; none where there is none or it has expired.
    ///
    /// # Errors
    /// `Invalid` for a malformed key or scope, as all methods here.
    pub async fn get(&self, scope: &KvScope, key: &str) -> Result<Option<KvEntry>, StoreError> {
        let place = Place::of(scope)?;
        checked_key(key)?;
        static READ: [Known; 3] = [const { Known::new() }; 3];
        let [user, turn, shared] = &READ;
        let known = match place.scope {
            "user" => user,
            "turn" => turn,
            _ => shared,
        };
        let make = || {
            let marked = Place { plugin: known::text(0), scope: place.scope, subject: known::text(1) };
            let mut select = visible(&marked, known::integer(2));
            select.and_where(Expr::col(("innkeeper_kv", "key")).eq(known::text(3).into_bytes())).take()
        };
        let arguments = [
            place.plugin.as_str().into(),
            place.subject.as_str().into(),
            self.store.now().into(),
            key.as_bytes().to_vec().into(),
        ];
        let entry = self.store.reads().fetch_known_optional(known, make, &arguments, |row| {
            Ok(KvEntry {
                key: key.to_owned(),
                value: row.bytes("value")?,
                version: row.int("version")?.cast_unsigned(),
                expires_at: row.int_opt("expires_at")?,
            })
        });
        entry.await
    }

    /// Writes an entry, for `ttl` seconds or for good; its version.
    ///
    /// # Errors
    /// `Quota`.
    pub async fn set(
        &self,
        scope: &KvScope,
        key: &str,
        value: &[u8],
        ttl: Option<u64>,
        quota: &KvQuota,
    ) -> Result<u64, StoreError> {
        checked_value(value)?;
        let write = Write { value: value.to_vec(), expires_at: expiry(self.store.now(), ttl)? };
        let (version, ()) = self.write(scope, key, quota, move |_| Ok((write, ()))).await?;
        Ok(version)
    }

    /// Writes an entry only if it has version `expected`, or with `None` only if there is none; its new version.
    ///
    /// # Errors
    /// `Conflict`, `Quota`.
    pub async fn put_if(
        &self,
        scope: &KvScope,
        key: &str,
        value: &[u8],
        expected: Option<u64>,
        ttl: Option<u64>,
        quota: &KvQuota,
    ) -> Result<u64, StoreError> {
        checked_value(value)?;
        let write = Write { value: value.to_vec(), expires_at: expiry(self.store.now(), ttl)? };
        let decide = move |current: Option<Current>| match current.map(|current| current.version) == expected
        {
            true => Ok((write, ())),
            false => Err(StoreError::Conflict("the entry".to_owned())),
        };
        let (version, ()) = self.write(scope, key, quota, decide).await?;
        Ok(version)
    }

    /// Adds to a counter; its new value. A counter that is not there starts at 0 and lives for `ttl` seconds from then on.
    ///
    /// # Errors
    /// `Invalid` for an entry that is no counter and beyond 64 bits, `Quota`.
    pub async fn increment(
        &self,
        scope: &KvScope,
        key: &str,
        by: i64,
        ttl: Option<u64>,
        quota: &KvQuota,
    ) -> Result<i64, StoreError> {
        let first = expiry(self.store.now(), ttl)?;
        let decide = move |current: Option<Current>| {
            let (old, expires_at) = match current {
                None => (0, first),
                Some(current) => (current.counter()?, current.expires_at),
            };
            let new = old
                .checked_add(by)
                .ok_or_else(|| StoreError::Invalid("the counter would pass 64 bits".to_owned()))?;
            Ok((Write { value: new.to_string().into_bytes(), expires_at }, new))
        };
        let (_, value) = self.write(scope, key, quota, decide).await?;
        Ok(value)
    }

    /// Deletes an entry; false where there is none.
    pub async fn delete(&self, scope: &KvScope, key: &str) -> Result<bool, StoreError> {
        let place = Place::of(scope)?;
        checked_key(key)?;
        let mut tx = self.store.db().begin().await?;
        let outcome = write::delete(&mut tx, &place, key, self.store.now()).await;
        transaction::end(tx, outcome).await
    }

    /// Keys that begin with `prefix`, in byte order.
    pub async fn keys(
        &self,
        scope: &KvScope,
        prefix: &str,
        page: &PageRequest,
    ) -> Result<Page<String>, StoreError> {
        let after: Option<String> = cursor::read(page)?;
        let place = Place::of(scope)?;
        let key = ("innkeeper_kv", "key");
        let mut select = visible(&place, self.store.now());
        select.order_by(key, Order::Asc);
        if !prefix.is_empty() {
            select
                .and_where(Expr::col(key).gte(prefix.as_bytes()))
                .and_where(Expr::col(key).lt(scope::after_prefix(prefix)));
        }
        if let Some(after) = after {
            select.and_where(Expr::col(key).gt(after.as_bytes()));
        }
        select.clear_selects().column(key);
        let found = self.store.reads().fetch_all(&mut select, cursor::limit(page), |row| {
            String::from_utf8(row.bytes("key")?).map_err(|error| StoreError::corrupt("key", error))
        });
        Ok(cursor::page(found.await?, page, Clone::clone))
    }

    /// Removes what has expired; how many entries that were. For a task that runs every few minutes.
    pub async fn sweep(&self) -> Result<u64, StoreError> {
        sweep::sweep(&self.store).await
    }

    async fn write<T: Send>(
        &self,
        scope: &KvScope,
        key: &str,
        quota: &KvQuota,
        decide: impl FnOnce(Option<Current>) -> Result<(Write, T), StoreError> + Send,
    ) -> Result<(u64, T), StoreError> {
        let place = Place::of(scope)?;
        checked_key(key)?;
        let clock = self.store.clock();
        let mut tx = self.store.db().begin().await?;
        let outcome = write::write(&mut tx, &place, key, quota, clock, decide).await;
        transaction::end(tx, outcome).await
    }
}

/// Entries of a scope that have not expired, nor has their scope.
fn visible(place: &Place, now: i64) -> SelectStatement {
    let alive = |table: &'static str| {
        Expr::col((table, "expires_at")).is_null().or(Expr::col((table, "expires_at")).gt(now))
    };
    Query::select()
        .columns(["value", "version", "expires_at"].map(|column| ("innkeeper_kv", column)))
        .from("innkeeper_kv")
        .join(JoinType::InnerJoin, "innkeeper_kv_scope", scope::same_scope())
        .and_where(place.rows("innkeeper_kv"))
        .and_where(alive("innkeeper_kv"))
        .and_where(alive("innkeeper_kv_scope"))
        .take()
}
