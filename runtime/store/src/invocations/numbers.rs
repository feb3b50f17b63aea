//! Numbers of receipts. A server reserves a block of them and uses it up; the rest of a block that a crash has cut
//! off is never used, and that is how one sees that receipts may be missing there.

use std::sync::{Mutex, PoisonError};

use sea_query::{Expr, ExprTrait, Query};

use crate::counter::{self, RECEIPTS};
use crate::error::StoreError;
use crate::pool::Tx;
use crate::store::Store;

/// How many numbers are reserved at once, at least.
const BLOCK: i64 = 1000;

/// The block that this server has reserved: the next number, and the first that is not its any more.
#[derive(Debug, Default)]
pub(crate) struct Numbers(Mutex<(i64, i64)>);

impl Numbers {
    /// Takes `count` numbers out of the block; the first of them, if there are so many left.
    fn take(&self, count: i64) -> Option<i64> {
        let mut block = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (next, end) = *block;
        let after = next.checked_add(count).filter(|after| *after <= end)?;
        block.0 = after;
        Some(next)
    }

    fn refill(&self, next: i64, end: i64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (next, end);
    }

    fn drain(&self) -> (i64, i64) {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Numbers that a transaction may use, and a block that holds once it is committed.
pub(super) struct Taken {
    pub(super) first: i64,
    block: Option<(i64, i64)>,
}

/// Takes `count` numbers, from the block or from a new one.
pub(super) async fn take(store: &Store, tx: &mut Tx, count: i64) -> Result<Taken, StoreError> {
    if let Some(first) = store.numbers().take(count) {
        return Ok(Taken { first, block: None });
    }
    counter::add(tx, RECEIPTS, count.saturating_add(BLOCK)).await?;
    let end = tx.fetch_optional(&mut counter::select(RECEIPTS), |row| row.int("value")).await?;
    // Numbers begin at 1, so that 0 is before all of them.
    let end = end.unwrap_or(0).saturating_add(1);
    let rest = end.saturating_sub(BLOCK);
    Ok(Taken { first: rest.saturating_sub(count), block: Some((rest, end)) })
}

/// Makes a new block usable, after the transaction that reserved it.
pub(super) fn keep(store: &Store, taken: &Taken) {
    if let Some((next, end)) = taken.block {
        store.numbers().refill(next, end);
    }
}

pub(super) async fn release(store: &Store) -> Result<(), StoreError> {
    let (next, end) = store.numbers().drain();
    if next >= end {
        return Ok(());
    }
    // Only where no other server has reserved a block since.
    let update = Query::update()
        .table("innkeeper_counter")
        .value("value", next.saturating_sub(1))
        .and_where(Expr::col("name").eq(RECEIPTS))
        .and_where(Expr::col("value").eq(end.saturating_sub(1)))
        .take();
    store.db().execute(&update).await.map(|_| ())
}
