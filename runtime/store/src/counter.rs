//! Named counters in one table: the generation of the plugins, the numbers of receipts.

use sea_query::{Expr, ExprTrait, OnConflict, Query, SelectStatement};

use crate::error::StoreError;
use crate::pool::Tx;

/// Changes with everything that other servers must notice: plugins, grants, valves, roles, keys.
pub(crate) const GENERATION: &str = "generation";
/// The next number that no server has reserved for receipts.
pub(crate) const RECEIPTS: &str = "receipt";

/// Adds one to a counter. Last in its transaction, since all writers meet here.
pub(crate) async fn bump(tx: &mut Tx, name: &'static str) -> Result<(), StoreError> {
    add(tx, name, 1).await
}

/// Adds to a counter; the row stays locked to the end of the transaction.
pub(crate) async fn add(tx: &mut Tx, name: &'static str, by: i64) -> Result<(), StoreError> {
    let sum = Expr::col(("innkeeper_counter", "value")).add(by);
    let insert = Query::insert()
        .into_table("innkeeper_counter")
        .columns(["name", "value"])
        .values([name.into(), by.into()])
        .map_err(|error| StoreError::Invalid(error.to_string()))?
        .on_conflict(OnConflict::column("name").value("value", sum).to_owned())
        .take();
    tx.execute(&insert).await?;
    Ok(())
}

/// The statement that reads a counter as `value`.
pub(crate) fn select(name: &'static str) -> SelectStatement {
    Query::select().column("value").from("innkeeper_counter").and_where(Expr::col("name").eq(name)).take()
}
