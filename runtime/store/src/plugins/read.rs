//! Reading installed plugins: one statement for the plugins with their current revisions, one for all grants.

use std::collections::HashMap;

use innkeeper_model::PluginId;
use innkeeper_model::permission::{Grant, Grants, Permission};
use innkeeper_model::plugin::InstalledPlugin;
use sea_query::{Expr, ExprTrait, JoinType, Order, Query, SelectStatement};
use serde::de::DeserializeOwned;

use crate::error::StoreError;
use crate::pool::{Db, Row, Tx};

/// More plugins than anybody installs.
const PLUGINS_MAX: u64 = 100_000;
/// All that they can have been granted.
const GRANTS_MAX: u64 = PLUGINS_MAX * Permission::ALL.len() as u64;

pub(super) async fn list(db: &Db) -> Result<Vec<InstalledPlugin>, StoreError> {
    let plugins = db.fetch_all(&mut plugins(None), PLUGINS_MAX, readable).await?;
    let grants = db.fetch_all(&mut grants(None), GRANTS_MAX, grant).await?;
    Ok(together(plugins.into_iter().flatten().collect(), grants))
}

pub(super) async fn get(db: &Db, id: &PluginId) -> Result<Option<InstalledPlugin>, StoreError> {
    let Some(plugin) = db.fetch_optional(&mut plugins(Some(id)), plugin).await? else { return Ok(None) };
    let grants = db.fetch_all(&mut grants(Some(id)), PLUGINS_MAX, grant).await?;
    Ok(together(vec![plugin], grants).pop())
}

/// As `get`, of what this transaction has written.
pub(super) async fn get_in(tx: &mut Tx, id: &PluginId) -> Result<InstalledPlugin, StoreError> {
    find_in(tx, id).await?.ok_or(StoreError::NotFound("plugin"))
}

/// As `get`, in a transaction; none also for a plugin that cannot be read.
pub(super) async fn find_in(tx: &mut Tx, id: &PluginId) -> Result<Option<InstalledPlugin>, StoreError> {
    let Some(plugin) = tx.fetch_optional(&mut plugins(Some(id)), readable).await?.flatten() else {
        return Ok(None);
    };
    let grants = tx.fetch_all(&mut grants(Some(id)), PLUGINS_MAX, grant).await?;
    Ok(together(vec![plugin], grants).pop())
}

pub(super) async fn component(db: &Db, id: &PluginId, revision: i64) -> Result<Option<Vec<u8>>, StoreError> {
    let (part, whole) = ("innkeeper_plugin_component", "innkeeper_plugin_revision");
    let same = Expr::col((whole, "plugin_id"))
        .equals((part, "plugin_id"))
        .and(Expr::col((whole, "revision")).equals((part, "revision")));
    let mut select = Query::select()
        .columns([(part, "bytes"), (part, "position")])
        .column((whole, "digest"))
        .from(part)
        .join(JoinType::InnerJoin, whole, same)
        .and_where(Expr::col((part, "plugin_id")).eq(id.as_str()))
        .and_where(Expr::col((part, "revision")).eq(revision))
        .order_by((part, "position"), Order::Asc)
        .take();
    let pieces =
        db.fetch_all(&mut select, PLUGINS_MAX, |row| Ok((row.bytes("bytes")?, row.text("digest")?))).await?;
    let Some(digest) = pieces.first().map(|(_, digest)| digest.clone()) else { return Ok(None) };
    let component = pieces.into_iter().map(|(bytes, _)| bytes).collect::<Vec<_>>().concat();
    if blake3::hash(&component).to_hex().as_str() != digest {
        return Err(StoreError::corrupt(
            format!("component of plugin `{id}`"),
            "its digest is not that of what was installed",
        ));
    }
    Ok(Some(component))
}

fn plugins(id: Option<&PluginId>) -> SelectStatement {
    let (plugin, revision) = ("innkeeper_plugin", "innkeeper_plugin_revision");
    let current = Expr::col((revision, "plugin_id"))
        .equals((plugin, "id"))
        .and(Expr::col((revision, "revision")).equals((plugin, "revision")));
    let mut select = Query::select()
        .columns(["id", "revision", "settings", "installed_at", "updated_at"].map(|column| (plugin, column)))
        .columns(["digest", "size", "manifest"].map(|column| (revision, column)))
        .from(plugin)
        .join(JoinType::InnerJoin, revision, current)
        .order_by((plugin, "id"), Order::Asc)
        .take();
    if let Some(id) = id {
        select.and_where(Expr::col((plugin, "id")).eq(id.as_str()));
    }
    select
}

fn grants(id: Option<&PluginId>) -> SelectStatement {
    let mut select =
        Query::select().columns(["plugin_id", "permission", "document"]).from("innkeeper_grant").take();
    if let Some(id) = id {
        select.and_where(Expr::col("plugin_id").eq(id.as_str()));
    }
    select
}

/// A plugin of a list. One that a newer program installed in a way that this one does not know must not hide the others.
fn readable(row: &Row<'_>) -> Result<Option<InstalledPlugin>, StoreError> {
    match plugin(row) {
        Err(StoreError::Corrupt { what, reason }) => {
            let id = row.text("id")?;
            tracing::warn!(plugin = %id.escape_default(), what, reason, "an installed plugin cannot be read; it is left out");
            Ok(None)
        }
        other => other.map(Some),
    }
}

fn plugin(row: &Row<'_>) -> Result<InstalledPlugin, StoreError> {
    Ok(InstalledPlugin {
        id: PluginId::parse(&row.text("id")?).map_err(|error| StoreError::corrupt("plugin id", error))?,
        revision: row.int("revision")?,
        digest: row.text("digest")?,
        size: u64::try_from(row.int("size")?).unwrap_or(0),
        manifest: document(row, "manifest")?,
        settings: document(row, "settings")?,
        grants: Grants::default(),
        installed_at: row.int("installed_at")?,
        updated_at: row.int("updated_at")?,
    })
}

/// A grant; none for a permission that a newer program granted and this one does not know.
fn grant(row: &Row<'_>) -> Result<Option<(String, Permission, Grant)>, StoreError> {
    let Some(permission) = Permission::parse(&row.text("permission")?) else { return Ok(None) };
    Ok(Some((row.text("plugin_id")?, permission, document(row, "document")?)))
}

fn document<T: DeserializeOwned>(row: &Row<'_>, column: &'static str) -> Result<T, StoreError> {
    serde_json::from_str(&row.text(column)?).map_err(|error| StoreError::corrupt(column, error))
}

fn together(
    mut plugins: Vec<InstalledPlugin>,
    grants: Vec<Option<(String, Permission, Grant)>>,
) -> Vec<InstalledPlugin> {
    let mut by_plugin: HashMap<String, Grants> = HashMap::new();
    for (plugin, permission, grant) in grants.into_iter().flatten() {
        by_plugin.entry(plugin).or_default().0.insert(permission, grant);
    }
    for plugin in &mut plugins {
        plugin.grants = by_plugin.remove(plugin.id.as_str()).unwrap_or_default();
    }
    plugins
}
