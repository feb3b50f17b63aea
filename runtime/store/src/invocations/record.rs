//! Recording a group of receipts in one transaction.

use std::collections::{BTreeMap, BTreeSet};

use innkeeper_model::receipt::Receipt;
use innkeeper_model::{PluginId, UserId};
use sea_query::{Expr, ExprTrait, OnConflict, Query};
use uuid::Uuid;

use super::{GROUP, numbers};
use crate::error::StoreError;
use crate::names::{can_name, clean};
use crate::pool::Tx;
use crate::store::Store;
use crate::transaction;

pub(super) async fn record(store: &Store, receipts: &[Receipt]) -> Result<(), StoreError> {
    if receipts.is_empty() {
        return Ok(());
    }
    let mut tx = store.db().begin().await?;
    let outcome = write(store, &mut tx, receipts).await;
    let taken = transaction::end(tx, outcome).await?;
    numbers::keep(store, &taken);
    Ok(())
}

async fn write(store: &Store, tx: &mut Tx, receipts: &[Receipt]) -> Result<numbers::Taken, StoreError> {
    let count =
        i64::try_from(receipts.len()).map_err(|_| StoreError::Invalid("too many receipts".to_owned()))?;
    let pseudonyms = pseudonyms(tx, receipts).await?;
    let taken = numbers::take(store, tx, count).await?;
    let mut sequence = taken.first;
    for group in receipts.chunks(GROUP) {
        let mut insert = Query::insert()
            .into_table("innkeeper_invocation")
            .columns([
                "sequence",
                "id",
                "turn",
                "parent",
                "plugin_id",
                "revision",
                "export",
                "pseudonym",
                "started_at",
                "outcome",
                "document",
                "background",
            ])
            .take();
        for receipt in group {
            let pseudonym = receipt.user.as_ref().and_then(|user| pseudonyms.get(user));
            insert
                .values(values(sequence, receipt, pseudonym)?)
                .map_err(|error| StoreError::Invalid(error.to_string()))?;
            sequence = sequence.saturating_add(1);
        }
        // A call has one receipt; the first one holds.
        insert.on_conflict(OnConflict::column("id").do_nothing_on(["id"]).to_owned());
        tx.execute(&insert).await?;
    }
    Ok(taken)
}

fn values(sequence: i64, receipt: &Receipt, pseudonym: Option<&String>) -> Result<[Expr; 12], StoreError> {
    let text = |error: serde_json::Error| StoreError::Invalid(error.to_string());
    let background = receipt.background.as_ref().map(serde_json::to_string).transpose().map_err(text)?;
    // The document never says who it was.
    let document =
        serde_json::to_string(&Receipt { user: None, background: None, ..receipt.clone() }).map_err(text)?;
    let plugin: &PluginId = &receipt.plugin;
    Ok([
        sequence.into(),
        cut(&receipt.id, 64).into(),
        cut(&receipt.turn, 255).into(),
        receipt.parent.as_deref().map(|parent| cut(parent, 64)).into(),
        plugin.as_str().into(),
        receipt.revision.into(),
        cut(&receipt.export, 64).into(),
        pseudonym.cloned().into(),
        receipt.started_at.into(),
        receipt.outcome.as_str().into(),
        document.into(),
        background.into(),
    ])
}

/// Text of at most so many characters: one odd receipt must not take its whole group with it.
fn cut(text: &str, max: usize) -> String {
    clean(text).chars().take(max).collect()
}

/// The pseudonyms of all people in the receipts, made where they are missing; three statements at most.
async fn pseudonyms(tx: &mut Tx, receipts: &[Receipt]) -> Result<BTreeMap<UserId, String>, StoreError> {
    let people: BTreeSet<&UserId> = receipts
        .iter()
        .filter_map(|receipt| receipt.user.as_ref())
        .filter(|user| can_name(user.as_str()))
        .collect();
    let mut known = lookup(tx, &people).await?;
    let missing: Vec<&UserId> = people.iter().copied().filter(|user| !known.contains_key(*user)).collect();
    if missing.is_empty() {
        return Ok(known);
    }
    for group in missing.chunks(GROUP) {
        let mut insert =
            Query::insert().into_table("innkeeper_pseudonym").columns(["user_id", "pseudonym"]).take();
        for user in group {
            let values = [user.as_str().into(), Uuid::new_v4().simple().to_string().into()];
            insert.values(values).map_err(|error| StoreError::Invalid(error.to_string()))?;
        }
        // Another server may have made one at this moment; the first one holds.
        insert.on_conflict(OnConflict::column("user_id").do_nothing_on(["user_id"]).to_owned());
        tx.execute(&insert).await?;
    }
    known.extend(lookup(tx, &missing.into_iter().collect()).await?);
    Ok(known)
}

async fn lookup(tx: &mut Tx, people: &BTreeSet<&UserId>) -> Result<BTreeMap<UserId, String>, StoreError> {
    let mut known = BTreeMap::new();
    let people: Vec<&str> = people.iter().map(|user| user.as_str()).collect();
    for group in people.chunks(GROUP) {
        let mut select = Query::select()
            .columns(["user_id", "pseudonym"])
            .from("innkeeper_pseudonym")
            .and_where(Expr::col("user_id").is_in(group.iter().copied()))
            .take();
        let found = tx.fetch_all(&mut select, GROUP as u64, |row| {
            Ok((UserId::new(row.text("user_id")?), row.text("pseudonym")?))
        });
        known.extend(found.await?);
    }
    Ok(known)
}
