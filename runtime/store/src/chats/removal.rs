//! Deleting chats with everything that belongs to them, without relying on the database's cascades:
//! SQLite has them only where foreign keys are on, and upstream never turns them on.

use sea_query::{DeleteStatement, Expr, ExprTrait, Query, SelectStatement};

use crate::error::StoreError;
use crate::pool::Tx;
use crate::store::Store;
use crate::transaction;

pub(super) async fn delete_one(store: &Store, rows: Expr) -> Result<bool, StoreError> {
    let mut tx = store.db().begin().await?;
    let outcome = delete_found(&mut tx, rows).await;
    transaction::end(tx, outcome).await
}

async fn delete_found(tx: &mut Tx, rows: Expr) -> Result<bool, StoreError> {
    let mut select = Query::select().column(("chat", "id")).from("chat").and_where(rows).take();
    let Some(id) = tx.fetch_optional(select.lock_exclusive(), |row| row.text("id")).await? else {
        return Ok(false);
    };
    delete_chats(tx, || Expr::col("id").eq(id.as_str())).await?;
    Ok(true)
}

/// Deletes the rows of `chat` for which `which` holds, and what belongs to them.
pub(crate) async fn delete_chats(tx: &mut Tx, which: impl Fn() -> Expr) -> Result<(), StoreError> {
    let chats = || Query::select().column("id").from("chat").and_where(which()).take();
    let shares = |column| {
        Query::select()
            .column(column)
            .from("shared_chat")
            .and_where(Expr::col("chat_id").in_subquery(chats()))
            .take()
    };
    let grants = Query::delete()
        .from_table("access_grant")
        .and_where(Expr::col("resource_type").eq("shared_chat"))
        .and_where(Expr::col("resource_id").in_subquery(shares("id")))
        .take();
    tx.execute(&grants).await?;
    for table in ["shared_chat", "chat_file", "chat_message"] {
        tx.execute(&of_chats(table, chats())).await?;
    }
    tx.execute(&Query::delete().from_table("chat").and_where(which()).take()).await?;
    Ok(())
}

fn of_chats(table: &'static str, chats: SelectStatement) -> DeleteStatement {
    Query::delete().from_table(table).and_where(Expr::col("chat_id").in_subquery(chats)).take()
}
