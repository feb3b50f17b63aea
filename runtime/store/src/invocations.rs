//! Receipts. They name people by pseudonyms, whose mapping goes when a person is deleted.
//!
//! Numbers are reserved in blocks, so that what a server lost in a crash shows as a gap in them.

use innkeeper_model::page::{Page, PageRequest};
use innkeeper_model::receipt::Receipt;
use innkeeper_model::{PluginId, UserId};
use sea_query::{Expr, ExprTrait, JoinType, Order, Query, SelectStatement};

use crate::error::StoreError;
use crate::names::can_name;
use crate::pool::{Row, Tx};
use crate::store::Store;
use crate::{cursor, transaction};

mod numbers;
mod record;

pub(crate) use numbers::Numbers;

/// Most receipts that are recorded in one statement: SQLite and PostgreSQL bound the number of values.
const GROUP: usize = 500;

/// A receipt as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredReceipt {
    /// Its number; a gap means that receipts were lost, or pruned.
    pub sequence: i64,
    /// The receipt. Its user is none once that person was deleted.
    pub receipt: Receipt,
}

/// Which receipts to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiptFilter {
    /// Only for this person.
    pub user: Option<UserId>,
    /// Only of this plugin.
    pub plugin: Option<PluginId>,
    /// Only with this outcome, as `Outcome::as_str` has it.
    pub outcome: Option<String>,
    /// Only of this turn.
    pub turn: Option<String>,
}

/// Receipts.
#[derive(Clone, Debug)]
pub struct Invocations {
    pub(crate) store: Store,
}

impl Invocations {
    /// Keeps receipts: all or none. Their numbers follow the order given.
    pub async fn record(&self, receipts: &[Receipt]) -> Result<(), StoreError> {
        record::record(&self.store, receipts).await
    }

    /// One receipt by the id of its call.
    pub async fn get(&self, id: &str) -> Result<Option<StoredReceipt>, StoreError> {
        if !can_name(id) {
            return Ok(None);
        }
        let mut select = select();
        select.and_where(Expr::col(("innkeeper_invocation", "id")).eq(id));
        self.store.db().fetch_optional(&mut select, read).await
    }

    /// Receipts, newest first.
    pub async fn list(
        &self,
        filter: &ReceiptFilter,
        page: &PageRequest,
    ) -> Result<Page<StoredReceipt>, StoreError> {
        let before: Option<i64> = cursor::read(page)?;
        let asked =
            [filter.user.as_ref().map(UserId::as_str), filter.outcome.as_deref(), filter.turn.as_deref()];
        if !asked.into_iter().flatten().all(can_name) {
            return Ok(Page { items: Vec::new(), next: None });
        }
        let column = |name: &'static str| Expr::col(("innkeeper_invocation", name));
        let mut select = select();
        select.order_by(("innkeeper_invocation", "sequence"), Order::Desc);
        if let Some(user) = &filter.user {
            select.and_where(Expr::col(("innkeeper_pseudonym", "user_id")).eq(user.as_str()));
        }
        if let Some(plugin) = &filter.plugin {
            select.and_where(column("plugin_id").eq(plugin.as_str()));
        }
        for (name, wanted) in [("outcome", &filter.outcome), ("turn", &filter.turn)] {
            if let Some(wanted) = wanted {
                select.and_where(column(name).eq(wanted.as_str()));
            }
        }
        if let Some(before) = before {
            select.and_where(column("sequence").lt(before));
        }
        let found = self.store.db().fetch_all(&mut select, cursor::limit(page), read).await?;
        Ok(cursor::page(found, page, |stored| stored.sequence))
    }

    /// Removes receipts that began more than `max_age` seconds ago, and the oldest beyond `max_rows`; how many.
    pub async fn prune(&self, max_age: i64, max_rows: u64) -> Result<u64, StoreError> {
        let mut tx = self.store.db().begin().await?;
        let outcome = self.prune_in(&mut tx, max_age, max_rows).await;
        transaction::end(tx, outcome).await
    }

    async fn prune_in(&self, tx: &mut Tx, max_age: i64, max_rows: u64) -> Result<u64, StoreError> {
        let oldest = self.store.now().saturating_sub(Ord::max(max_age, 0)).saturating_mul(1_000_000_000);
        let old = Query::delete()
            .from_table("innkeeper_invocation")
            .and_where(Expr::col("started_at").lt(oldest))
            .take();
        let mut removed = tx.execute(&old).await?;
        let mut first_beyond = Query::select()
            .column("sequence")
            .from("innkeeper_invocation")
            .order_by("sequence", Order::Desc)
            .offset(max_rows)
            .take();
        if let Some(last) = tx.fetch_optional(&mut first_beyond, |row| row.int("sequence")).await? {
            let beyond = Query::delete()
                .from_table("innkeeper_invocation")
                .and_where(Expr::col("sequence").lte(last))
                .take();
            removed = removed.saturating_add(tx.execute(&beyond).await?);
        }
        Ok(removed)
    }

    /// Gives back the numbers that this server has reserved and not used. At an orderly stop, so that only a crash
    /// leaves a gap.
    pub async fn release(&self) -> Result<(), StoreError> {
        numbers::release(&self.store).await
    }
}

fn select() -> SelectStatement {
    let mapping =
        Expr::col(("innkeeper_pseudonym", "pseudonym")).equals(("innkeeper_invocation", "pseudonym"));
    Query::select()
        .columns(["sequence", "document", "background"].map(|column| ("innkeeper_invocation", column)))
        .column(("innkeeper_pseudonym", "user_id"))
        .from("innkeeper_invocation")
        .join(JoinType::LeftJoin, "innkeeper_pseudonym", mapping)
        .take()
}

fn read(row: &Row<'_>) -> Result<StoredReceipt, StoreError> {
    let corrupt = |error| StoreError::corrupt("receipt", error);
    let mut receipt: Receipt = serde_json::from_str(&row.text("document")?).map_err(corrupt)?;
    let background =
        row.text_opt("background")?.map(|text| serde_json::from_str(&text)).transpose().map_err(corrupt)?;
    receipt.user = row.text_opt("user_id")?.map(UserId::new);
    receipt.background = background;
    Ok(StoredReceipt { sequence: row.int("sequence")?, receipt })
}
