//! Deleting a person with all that is about them: theirs in the shared tables, ours about them, and the bytes of their files.
//! Receipts stay; the pseudonym in them stands for nobody afterwards.

use innkeeper_model::UserId;
use sea_query::{DeleteStatement, Expr, ExprTrait, Query};

use super::Users;
use crate::error::StoreError;
use crate::files::{remove_bytes, to_the_end};
use crate::names::can_name;
use crate::pool::Tx;
use crate::store::Store;
use crate::{chats, counter, transaction};

/// Tables whose rows belong to the person that a column names.
const OWNED: [(&str, &str); 9] = [
    ("memory", "user_id"),
    ("tag", "user_id"),
    ("folder", "user_id"),
    ("group_member", "user_id"),
    ("innkeeper_api_key", "user_id"),
    ("innkeeper_user_valves", "user_id"),
    ("innkeeper_pseudonym", "user_id"),
    ("auth", "id"),
    ("user", "id"),
];

impl Users {
    /// Deletes a person and all that is about them; false where there is nobody of that id.
    /// It runs to its end even if the caller goes away.
    pub async fn delete(&self, id: &UserId) -> Result<bool, StoreError> {
        if !can_name(id.as_str()) {
            return Ok(false);
        }
        let (store, id) = (self.store.clone(), id.clone());
        to_the_end(async move { delete(&store, &id).await }).await
    }
}

async fn delete(store: &Store, id: &UserId) -> Result<bool, StoreError> {
    let mut tx = store.db().begin().await?;
    let outcome = delete_rows(&mut tx, id).await;
    let Some(paths) = transaction::end(tx, outcome).await? else { return Ok(false) };
    for path in paths {
        remove_bytes(store, path).await;
    }
    Ok(true)
}

/// Deletes the rows; where the bytes of the person's files are.
async fn delete_rows(tx: &mut Tx, id: &UserId) -> Result<Option<Vec<String>>, StoreError> {
    let id = id.as_str();
    let mut person = Query::select().column("id").from("user").and_where(Expr::col("id").eq(id)).take();
    if tx.fetch_optional(person.lock_exclusive(), |_| Ok(())).await?.is_none() {
        return Ok(None);
    }
    let mut files = Query::select().column("path").from("file").and_where(Expr::col("user_id").eq(id)).take();
    let paths = tx.fetch_all(&mut files, u64::from(u32::MAX), |row| row.text_opt("path")).await?;
    chats::delete_chats(tx, || Expr::col("user_id").eq(id)).await?;
    for table in ["chat_file", "knowledge_file"] {
        let mine = Query::select().column("id").from("file").and_where(Expr::col("user_id").eq(id)).take();
        tx.execute(
            &Query::delete().from_table(table).and_where(Expr::col("file_id").in_subquery(mine)).take(),
        )
        .await?;
    }
    tx.execute(&of("file", "user_id", id)).await?;
    let mut grants = of("access_grant", "principal_id", id);
    tx.execute(grants.and_where(Expr::col("principal_type").eq("user"))).await?;
    // The scope first: whoever writes an entry of it holds its row.
    for table in ["innkeeper_kv_scope", "innkeeper_kv"] {
        tx.execute(of(table, "subject", id).and_where(Expr::col("scope").eq("user"))).await?;
    }
    for (table, column) in OWNED {
        tx.execute(&of(table, column, id)).await?;
    }
    counter::bump(tx, counter::GENERATION).await?;
    Ok(Some(paths.into_iter().flatten().collect()))
}

fn of(table: &'static str, column: &'static str, id: &str) -> DeleteStatement {
    Query::delete().from_table(table).and_where(Expr::col(column).eq(id)).take()
}
