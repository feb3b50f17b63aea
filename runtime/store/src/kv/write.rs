//! One write: lock the scope, look at the entry, decide, check the quota, write, count.

use innkeeper_model::kv::KvQuota;
use innkeeper_model::time::Clock;
use sea_query::{Expr, ExprTrait, Func, JoinType, OnConflict, Query};

use super::scope::{Place, same_scope};
use crate::error::StoreError;
use crate::pool::{Tx, bigint};

/// Longest text of a counter: a sign and 19 digits.
const COUNTER_MAX: usize = 20;

/// An entry that is there and has not expired.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) version: u64,
    pub(super) expires_at: Option<i64>,
    /// Its bytes, where they are few enough to be a counter.
    short: Option<Vec<u8>>,
}

/// What to write.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) value: Vec<u8>,
    pub(super) expires_at: Option<i64>,
}

/// What a scope holds, expired entries that nobody has swept included.
#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    entries: i64,
    bytes: i64,
    sequence: i64,
}

/// A scope and the entry of one key in it.
#[derive(Default)]
struct Found {
    usage: Usage,
    scope_expired: bool,
    /// Bytes that the entry is counted with.
    counted: Option<i64>,
    current: Option<Current>,
}

impl Current {
    pub(super) fn counter(&self) -> Result<i64, StoreError> {
        let text = self.short.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok());
        let number = text.and_then(|text| text.parse().ok());
        number.ok_or_else(|| StoreError::Invalid("the entry is not a counter".to_owned()))
    }
}

pub(super) async fn write<T: Send>(
    tx: &mut Tx,
    place: &Place,
    key: &str,
    quota: &KvQuota,
    clock: &Clock,
    decide: impl FnOnce(Option<Current>) -> Result<(Write, T), StoreError> + Send,
) -> Result<(u64, T), StoreError> {
    let now = clock.seconds();
    lock(tx, place).await?;
    let mut found = find(tx, place, key, now).await?.unwrap_or_default();
    if found.scope_expired {
        forget(tx, place).await?;
        found.forget();
    }
    let (write, value) = decide(found.current)?;
    // Never twice the same, not even when the entry or its scope was gone in between.
    let version = Ord::max(clock.nanos(), found.usage.sequence.saturating_add(1));
    let size = size_of_entry(key, write.value.len());
    let mut usage = found.usage.with(found.counted, size);
    if !usage.fits(quota) && purge(tx, place, key, now).await? > 0 {
        usage = recount(tx, place).await?.with(found.counted, size);
    }
    usage.check(quota)?;
    usage.sequence = version;
    put(tx, place, key, write, version).await?;
    store_usage(tx, place, usage, place.expires_at(now)).await?;
    Ok((version.cast_unsigned(), value))
}

pub(super) async fn delete(tx: &mut Tx, place: &Place, key: &str, now: i64) -> Result<bool, StoreError> {
    if !lock_existing(tx, place).await? {
        return Ok(false);
    }
    let Some(found) = find(tx, place, key, now).await? else { return Ok(false) };
    if found.scope_expired {
        // What follows would begin its life anew, and that of all entries in it.
        forget(tx, place).await?;
        return Ok(false);
    }
    let Some(counted) = found.counted else { return Ok(false) };
    let delete = Query::delete()
        .from_table("innkeeper_kv")
        .and_where(place.rows("innkeeper_kv"))
        .and_where(Expr::col(("innkeeper_kv", "key")).eq(key.as_bytes()))
        .take();
    tx.execute(&delete).await?;
    store_usage(tx, place, found.usage.without(counted), place.expires_at(now)).await?;
    Ok(found.current.is_some())
}

/// Locks a scope's row; whether there is one.
pub(super) async fn lock_existing(tx: &mut Tx, place: &Place) -> Result<bool, StoreError> {
    let lock = Query::update()
        .table("innkeeper_kv_scope")
        .value("sequence", Expr::col("sequence"))
        .and_where(place.rows("innkeeper_kv_scope"))
        .take();
    Ok(tx.execute(&lock).await? > 0)
}

/// Locks a scope's row, made where it is missing.
async fn lock(tx: &mut Tx, place: &Place) -> Result<(), StoreError> {
    let table = "innkeeper_kv_scope";
    let insert = Query::insert()
        .into_table(table)
        .columns(["plugin_id", "scope", "subject", "entries", "bytes", "sequence"])
        .values([
            place.plugin.as_str().into(),
            place.scope.into(),
            place.subject.as_str().into(),
            0_i64.into(),
            0_i64.into(),
            0_i64.into(),
        ])
        .map_err(|error| StoreError::Invalid(error.to_string()))?
        .on_conflict(
            OnConflict::columns(["plugin_id", "scope", "subject"])
                .value("sequence", Expr::col((table, "sequence")))
                .to_owned(),
        )
        .take();
    tx.execute(&insert).await?;
    Ok(())
}

/// Removes expired entries of a scope and counts what is left; how many were removed.
pub(super) async fn clean(tx: &mut Tx, place: &Place, now: i64) -> Result<u64, StoreError> {
    let removed = purge(tx, place, "", now).await?;
    let counted = recount(tx, place).await?;
    let update = Query::update()
        .table("innkeeper_kv_scope")
        .values([("entries", counted.entries.into()), ("bytes", counted.bytes.into())])
        .and_where(place.rows("innkeeper_kv_scope"))
        .take();
    tx.execute(&update).await?;
    Ok(removed)
}

/// Removes all entries of a scope.
pub(super) async fn forget(tx: &mut Tx, place: &Place) -> Result<u64, StoreError> {
    tx.execute(&Query::delete().from_table("innkeeper_kv").and_where(place.rows("innkeeper_kv")).take()).await
}

async fn find(tx: &mut Tx, place: &Place, key: &str, now: i64) -> Result<Option<Found>, StoreError> {
    let (scope, entry) = ("innkeeper_kv_scope", "innkeeper_kv");
    let length = || Expr::expr(Func::cust("length").arg(Expr::col((entry, "value"))));
    let short =
        Expr::case(length().lte(COUNTER_MAX as i64), Expr::col((entry, "value"))).finally(Expr::null());
    let mut select = Query::select()
        .columns(["entries", "bytes", "sequence"].map(|column| (scope, column)))
        .expr_as(Expr::col((scope, "expires_at")), "scope_expires_at")
        .column((entry, "version"))
        .column((entry, "expires_at"))
        .expr_as(length(), "value_length")
        .expr_as(short, "short_value")
        .from(scope)
        .join(JoinType::LeftJoin, entry, same_scope().and(Expr::col((entry, "key")).eq(key.as_bytes())))
        .and_where(place.rows(scope))
        .take();
    let expired = |at: Option<i64>| at.is_some_and(|at| at <= now);
    tx.fetch_optional(&mut select, |row| {
        let expires_at = row.int_opt("expires_at")?;
        let version = row.int_opt("version")?;
        let length = row.int_opt("value_length")?;
        let short = row.bytes_opt("short_value")?;
        Ok(Found {
            usage: Usage {
                entries: row.int("entries")?,
                bytes: row.int("bytes")?,
                sequence: row.int("sequence")?,
            },
            scope_expired: expired(row.int_opt("scope_expires_at")?),
            counted: length.map(|length| length.saturating_add(key.len() as i64)),
            current: version.filter(|_| !expired(expires_at)).map(|version| Current {
                version: version.cast_unsigned(),
                expires_at,
                short,
            }),
        })
    })
    .await
}

async fn put(tx: &mut Tx, place: &Place, key: &str, write: Write, version: i64) -> Result<(), StoreError> {
    let insert = Query::insert()
        .into_table("innkeeper_kv")
        .columns(["plugin_id", "scope", "subject", "key", "value", "version", "expires_at"])
        .values([
            place.plugin.as_str().into(),
            place.scope.into(),
            place.subject.as_str().into(),
            key.as_bytes().to_vec().into(),
            write.value.into(),
            version.into(),
            write.expires_at.into(),
        ])
        .map_err(|error| StoreError::Invalid(error.to_string()))?
        .on_conflict(
            OnConflict::columns(["plugin_id", "scope", "subject", "key"])
                .update_columns(["value", "version", "expires_at"])
                .to_owned(),
        )
        .take();
    tx.execute(&insert).await?;
    Ok(())
}

async fn store_usage(
    tx: &mut Tx,
    place: &Place,
    usage: Usage,
    expires_at: Option<i64>,
) -> Result<(), StoreError> {
    let update = Query::update()
        .table("innkeeper_kv_scope")
        .values([
            ("entries", usage.entries.into()),
            ("bytes", usage.bytes.into()),
            ("sequence", usage.sequence.into()),
            ("expires_at", expires_at.into()),
        ])
        .and_where(place.rows("innkeeper_kv_scope"))
        .take();
    tx.execute(&update).await?;
    Ok(())
}

/// Removes expired entries except the one of `key`, which is about to be written.
pub(super) async fn purge(tx: &mut Tx, place: &Place, key: &str, now: i64) -> Result<u64, StoreError> {
    let delete = Query::delete()
        .from_table("innkeeper_kv")
        .and_where(place.rows("innkeeper_kv"))
        .and_where(Expr::col(("innkeeper_kv", "expires_at")).lte(now))
        .and_where(Expr::col(("innkeeper_kv", "key")).ne(key.as_bytes()))
        .take();
    tx.execute(&delete).await
}

async fn recount(tx: &mut Tx, place: &Place) -> Result<Usage, StoreError> {
    let length = |column| Expr::expr(Func::cust("length").arg(Expr::col(("innkeeper_kv", column))));
    let bytes = Expr::expr(Func::coalesce([length("key").add(length("value")).sum(), Expr::val(0_i64)]));
    let backend = tx.backend();
    let mut select = Query::select()
        .expr_as(bigint(backend, Expr::col(("innkeeper_kv", "key")).count()), "entries")
        .expr_as(bigint(backend, bytes), "bytes")
        .from("innkeeper_kv")
        .and_where(place.rows("innkeeper_kv"))
        .take();
    let counted = tx.fetch_optional(&mut select, |row| {
        Ok(Usage { entries: row.int("entries")?, bytes: row.int("bytes")?, sequence: 0 })
    });
    Ok(counted.await?.unwrap_or_default())
}

fn size_of_entry(key: &str, value: usize) -> i64 {
    i64::try_from(key.len().saturating_add(value)).unwrap_or(i64::MAX)
}

impl Found {
    /// As it is once the scope's entries are gone.
    fn forget(&mut self) {
        self.usage = Usage { sequence: self.usage.sequence, ..Usage::default() };
        self.counted = None;
        self.current = None;
    }
}

impl Usage {
    /// With an entry of `size` bytes in the place of one that is counted with `old`.
    fn with(self, old: Option<i64>, size: i64) -> Self {
        let before = old.map_or(self, |old| self.without(old));
        Self { entries: before.entries.saturating_add(1), bytes: before.bytes.saturating_add(size), ..before }
    }

    fn without(self, size: i64) -> Self {
        Self {
            entries: Ord::max(self.entries.saturating_sub(1), 0),
            bytes: Ord::max(self.bytes.saturating_sub(size), 0),
            ..self
        }
    }

    fn fits(self, quota: &KvQuota) -> bool {
        self.check(quota).is_ok()
    }

    fn check(self, quota: &KvQuota) -> Result<(), StoreError> {
        if self.entries.cast_unsigned() > quota.entries {
            return Err(StoreError::Quota("kv-entries"));
        }
        if self.bytes.cast_unsigned() > quota.bytes {
            return Err(StoreError::Quota("kv-bytes"));
        }
        Ok(())
    }
}
