//! Installing and removing, each in one transaction. Numbers of revisions outlive the plugin, so that none is used twice;
//! everything else ends with it, and is cleared once more before the same id is installed again.

use innkeeper_model::PluginId;
use innkeeper_model::plugin::{InstalledPlugin, PluginSettings};
use sea_query::{Expr, ExprTrait, OnConflict, Query};

use super::{Before, Decision, NewRevision, read};
use crate::error::StoreError;
use crate::pool::Tx;
use crate::store::Store;
use crate::{counter, transaction};

/// Bytes of a component in one row, below what MySQL takes in one packet by default.
const PIECE: usize = 1 << 20;

/// Tables whose rows end with a plugin. Scopes before their entries: whoever writes an entry holds its scope's row.
const OWNED: [&str; 7] = [
    "innkeeper_grant",
    "innkeeper_user_valves",
    "innkeeper_kv_scope",
    "innkeeper_kv",
    "innkeeper_plugin_component",
    "innkeeper_plugin_revision",
    "innkeeper_plugin",
];

pub(super) async fn install<E: From<StoreError> + Send>(
    store: &Store,
    new: NewRevision,
    decide: impl FnOnce(Before<'_>) -> Result<Option<Decision>, E> + Send,
) -> Result<InstalledPlugin, E> {
    if new.component.len() as u64 != new.size || blake3::hash(&new.component).to_hex().as_str() != new.digest
    {
        return Err(StoreError::Invalid("digest and size are not those of the component".to_owned()).into());
    }
    let manifest =
        serde_json::to_string(&new.manifest).map_err(|error| StoreError::Invalid(error.to_string()))?;
    let mut tx = store.db().begin().await?;
    let outcome = write(&mut tx, store.now(), &new, manifest, decide).await;
    transaction::end(tx, outcome).await
}

async fn write<E: From<StoreError>>(
    tx: &mut Tx,
    now: i64,
    new: &NewRevision,
    manifest: String,
    decide: impl FnOnce(Before<'_>) -> Result<Option<Decision>, E> + Send,
) -> Result<InstalledPlugin, E> {
    let id = &new.manifest.id;
    let last = lock(tx, id).await?;
    let there = current(tx, id).await?;
    let readable = read::find_in(tx, id).await?;
    let decision = decide(match (there, &readable) {
        (None, _) => Before::Nothing,
        (Some(revision), None) => Before::Unreadable { revision },
        (Some(_), Some(plugin)) => Before::Plugin(plugin),
    })?;
    let current = there.filter(|_| readable.is_some());
    if current.is_none() {
        clear(tx, id).await?;
    }
    let revision = match known(tx, id, &new.digest).await? {
        Some(revision) => revision,
        None => {
            let revision = last.saturating_add(1);
            make_revision(tx, now, revision, new, manifest).await?;
            revision
        }
    };
    match current {
        Some(current) if current == revision && decision.is_none() => {
            return Ok(read::get_in(tx, id).await?);
        }
        Some(_) => {
            let update = Query::update()
                .table("innkeeper_plugin")
                .values([("revision", revision.into()), ("updated_at", now.into())])
                .and_where(Expr::col("id").eq(id.as_str()))
                .take();
            tx.execute(&update).await?;
        }
        None => make_plugin(tx, now, id, revision).await?,
    }
    if let Some(decision) = decision {
        keep_decision(tx, id, &decision).await?;
    }
    counter::bump(tx, counter::GENERATION).await?;
    Ok(read::get_in(tx, id).await?)
}

async fn keep_decision(tx: &mut Tx, id: &PluginId, decision: &Decision) -> Result<(), StoreError> {
    let text = |error: serde_json::Error| StoreError::Invalid(error.to_string());
    let update = Query::update()
        .table("innkeeper_plugin")
        .value("settings", serde_json::to_string(&decision.settings).map_err(text)?)
        .and_where(Expr::col("id").eq(id.as_str()))
        .take();
    tx.execute(&update).await?;
    let old = Query::delete()
        .from_table("innkeeper_grant")
        .and_where(Expr::col("plugin_id").eq(id.as_str()))
        .take();
    tx.execute(&old).await?;
    if decision.grants.0.is_empty() {
        return Ok(());
    }
    let mut insert =
        Query::insert().into_table("innkeeper_grant").columns(["plugin_id", "permission", "document"]).take();
    for (permission, grant) in &decision.grants.0 {
        let document = serde_json::to_string(grant).map_err(text)?;
        let values = [id.as_str().into(), permission.as_str().into(), document.into()];
        insert.values(values).map_err(|error| StoreError::Invalid(error.to_string()))?;
    }
    tx.execute(&insert).await?;
    Ok(())
}

pub(super) async fn remove(tx: &mut Tx, id: &PluginId) -> Result<bool, StoreError> {
    lock(tx, id).await?;
    if current(tx, id).await?.is_none() {
        return Ok(false);
    }
    clear(tx, id).await?;
    counter::bump(tx, counter::GENERATION).await?;
    Ok(true)
}

/// Locks an id against other servers that install or remove it; the last number that was given out.
async fn lock(tx: &mut Tx, id: &PluginId) -> Result<i64, StoreError> {
    let table = "innkeeper_plugin_sequence";
    let insert = Query::insert()
        .into_table(table)
        .columns(["plugin_id", "last_revision"])
        .values([id.as_str().into(), 0_i64.into()])
        .map_err(|error| StoreError::Invalid(error.to_string()))?
        .on_conflict(
            OnConflict::column("plugin_id")
                .value("last_revision", Expr::col((table, "last_revision")))
                .to_owned(),
        )
        .take();
    tx.execute(&insert).await?;
    let mut select = Query::select()
        .column("last_revision")
        .from(table)
        .and_where(Expr::col("plugin_id").eq(id.as_str()))
        .take();
    Ok(tx.fetch_optional(&mut select, |row| row.int("last_revision")).await?.unwrap_or(0))
}

async fn current(tx: &mut Tx, id: &PluginId) -> Result<Option<i64>, StoreError> {
    let mut select = Query::select()
        .column("revision")
        .from("innkeeper_plugin")
        .and_where(Expr::col("id").eq(id.as_str()))
        .take();
    tx.fetch_optional(&mut select, |row| row.int("revision")).await
}

async fn known(tx: &mut Tx, id: &PluginId, digest: &str) -> Result<Option<i64>, StoreError> {
    let mut select = Query::select()
        .column("revision")
        .from("innkeeper_plugin_revision")
        .and_where(Expr::col("plugin_id").eq(id.as_str()))
        .and_where(Expr::col("digest").eq(digest))
        .take();
    tx.fetch_optional(&mut select, |row| row.int("revision")).await
}

async fn clear(tx: &mut Tx, id: &PluginId) -> Result<(), StoreError> {
    for table in OWNED {
        let column = if table == "innkeeper_plugin" { "id" } else { "plugin_id" };
        tx.execute(&Query::delete().from_table(table).and_where(Expr::col(column).eq(id.as_str())).take())
            .await?;
    }
    Ok(())
}

async fn make_revision(
    tx: &mut Tx,
    now: i64,
    revision: i64,
    new: &NewRevision,
    manifest: String,
) -> Result<(), StoreError> {
    let id = new.manifest.id.as_str();
    let size =
        i64::try_from(new.size).map_err(|_| StoreError::Invalid("the component is too large".to_owned()))?;
    let update = Query::update()
        .table("innkeeper_plugin_sequence")
        .value("last_revision", revision)
        .and_where(Expr::col("plugin_id").eq(id))
        .take();
    tx.execute(&update).await?;
    let insert = Query::insert()
        .into_table("innkeeper_plugin_revision")
        .columns(["plugin_id", "revision", "digest", "size", "manifest", "created_at"])
        .values([
            id.into(),
            revision.into(),
            new.digest.as_str().into(),
            size.into(),
            manifest.into(),
            now.into(),
        ])
        .map_err(|error| StoreError::Invalid(error.to_string()))?
        .take();
    tx.execute(&insert).await?;
    // An empty component has one empty piece.
    let pieces = new.component.chunks(PIECE).chain(new.component.is_empty().then_some(&[][..]));
    for (position, bytes) in (0_i64..).zip(pieces) {
        let insert = Query::insert()
            .into_table("innkeeper_plugin_component")
            .columns(["plugin_id", "revision", "position", "bytes"])
            .values([id.into(), revision.into(), position.into(), bytes.to_vec().into()])
            .map_err(|error| StoreError::Invalid(error.to_string()))?
            .take();
        tx.execute(&insert).await?;
    }
    Ok(())
}

async fn make_plugin(tx: &mut Tx, now: i64, id: &PluginId, revision: i64) -> Result<(), StoreError> {
    let settings = serde_json::to_string(&PluginSettings::default())
        .map_err(|error| StoreError::Invalid(error.to_string()))?;
    let insert = Query::insert()
        .into_table("innkeeper_plugin")
        .columns(["id", "revision", "settings", "installed_at", "updated_at"])
        .values([id.as_str().into(), revision.into(), settings.into(), now.into(), now.into()])
        .map_err(|error| StoreError::Invalid(error.to_string()))?
        .take();
    tx.execute(&insert).await?;
    Ok(())
}
