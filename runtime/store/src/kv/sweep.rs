//! Removing what has expired, scope by scope, each in a transaction of its own so that no plugin waits long.

use sea_query::{Expr, ExprTrait, Query};

use super::scope::Place;
use super::write::{clean, forget, lock};
use crate::error::StoreError;
use crate::pool::Tx;
use crate::store::Store;
use crate::transaction;

/// Scopes that are looked up at once.
const BATCH: u64 = 100;

pub(super) async fn sweep(store: &Store) -> Result<u64, StoreError> {
    let now = store.now();
    let mut removed: u64 = 0;
    for table in ["innkeeper_kv_scope", "innkeeper_kv"] {
        loop {
            let places = expired(store, table, now).await?;
            if places.is_empty() {
                break;
            }
            for place in &places {
                let mut tx = store.db().begin().await?;
                let outcome = sweep_one(&mut tx, place, now).await;
                removed = removed.saturating_add(transaction::end(tx, outcome).await?);
            }
        }
    }
    Ok(removed)
}

/// Scopes that have expired, or have expired entries.
async fn expired(store: &Store, table: &'static str, now: i64) -> Result<Vec<Place>, StoreError> {
    let mut select = Query::select()
        .distinct()
        .columns(["plugin_id", "scope", "subject"])
        .from(table)
        .and_where(Expr::col("expires_at").lte(now))
        .take();
    let places = store.db().fetch_all(&mut select, BATCH, |row| {
        let scope = match row.text("scope")?.as_str() {
            "user" => "user",
            "turn" => "turn",
            _ => "shared",
        };
        Ok(Place { plugin: row.text("plugin_id")?, scope, subject: row.text("subject")? })
    });
    places.await
}

async fn sweep_one(tx: &mut Tx, place: &Place, now: i64) -> Result<u64, StoreError> {
    lock(tx, place).await?;
    let gone = Query::delete()
        .from_table("innkeeper_kv_scope")
        .and_where(place.rows("innkeeper_kv_scope"))
        .and_where(Expr::col(("innkeeper_kv_scope", "expires_at")).lte(now))
        .take();
    // Somebody may have written again since it was looked up.
    if tx.execute(&gone).await? > 0 { forget(tx, place).await } else { clean(tx, place, now).await }
}
