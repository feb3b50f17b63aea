//! Removing what has expired, scope by scope, each in a transaction of its own so that no plugin waits long.

use sea_query::{Expr, ExprTrait, Query};

use super::scope::Place;
use super::write::{clean, forget, lock_existing, purge};
use crate::error::StoreError;
use crate::pool::Tx;
use crate::store::Store;
use crate::transaction;

/// Kinds of scopes, as rows name them.
const SCOPES: [&str; 3] = ["user", "turn", "shared"];

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
        // Those that a newer program made are for that to sweep.
        .and_where(Expr::col("scope").is_in(SCOPES))
        .take();
    let places = store.db().fetch_all(&mut select, BATCH, |row| {
        let scope = row.text("scope")?;
        let scope = SCOPES.into_iter().find(|known| *known == scope);
        let scope = scope.ok_or_else(|| StoreError::corrupt("scope", "it is none of ours"))?;
        Ok(Place { plugin: row.text("plugin_id")?, scope, subject: row.text("subject")? })
    });
    places.await
}

async fn sweep_one(tx: &mut Tx, place: &Place, now: i64) -> Result<u64, StoreError> {
    if !lock_existing(tx, place).await? {
        // Another server swept it, or its person or plugin is gone; nobody sees entries without their scope.
        return purge(tx, place, "", now).await;
    }
    let gone = Query::delete()
        .from_table("innkeeper_kv_scope")
        .and_where(place.rows("innkeeper_kv_scope"))
        .and_where(Expr::col(("innkeeper_kv_scope", "expires_at")).lte(now))
        .take();
    // Somebody may have written again since it was looked up.
    if tx.execute(&gone).await? > 0 { forget(tx, place).await } else { clean(tx, place, now).await }
}
