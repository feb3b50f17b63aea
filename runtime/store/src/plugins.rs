//! Installed plugins: revisions with their components, what the operator decided and granted.
//! Every change moves the generation on in its own transaction, so that other servers notice it.

use innkeeper_model::PluginId;
use innkeeper_model::manifest::Manifest;
use innkeeper_model::permission::{Grant, Grants, Permission};
use innkeeper_model::plugin::{InstalledPlugin, PluginSettings};
use sea_query::{Expr, ExprTrait, OnConflict, Query};

use crate::error::StoreError;
use crate::pool::Tx;
use crate::store::Store;
use crate::{counter, transaction};

mod install;
mod read;

/// A component to install.
#[derive(Clone, Debug)]
pub struct NewRevision {
    /// What it says of itself; its id is the plugin's.
    pub manifest: Manifest,
    /// BLAKE3 of the component, 64 hexadecimal digits.
    pub digest: String,
    /// Bytes of the component.
    pub size: u64,
    /// The component.
    pub component: Vec<u8>,
}

/// What has the id of a component that is to be installed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Before<'a> {
    /// Nothing.
    Nothing,
    /// A plugin whose record this program cannot read, such as one of a newer program. If it is replaced, all of it ends:
    /// nobody can say what its grants and values were meant for.
    Unreadable {
        /// Its current revision.
        revision: i64,
    },
    /// A plugin.
    Plugin(&'a InstalledPlugin),
}

/// What an operator decides about a plugin while it is installed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// Its settings.
    pub settings: PluginSettings,
    /// All its grants.
    pub grants: Grants,
}

/// Installed plugins.
#[derive(Clone, Debug)]
pub struct Plugins {
    pub(crate) store: Store,
}

impl Plugins {
    /// Installs a component: as a new plugin, disabled and without grants, or as the next revision of one that is there.
    /// A component that this plugin had before becomes current again under its old number.
    /// One that takes the place of an unreadable plugin is as good as new.
    ///
    /// # Errors
    /// `Invalid` where digest or size are not those of the component.
    pub async fn install(&self, new: NewRevision) -> Result<InstalledPlugin, StoreError> {
        install::install(&self.store, new, |_| Ok(None)).await
    }

    /// Installs as `install` does, with what `decide` says in the same transaction: nobody ever sees the plugin without it.
    /// `decide` is given what had the id before; with `None` everything stays as it is.
    ///
    /// # Errors
    /// As `install`, and what `decide` says; nothing is installed then.
    pub async fn install_with<E: From<StoreError> + Send>(
        &self,
        new: NewRevision,
        decide: impl FnOnce(Before<'_>) -> Result<Option<Decision>, E> + Send,
    ) -> Result<InstalledPlugin, E> {
        install::install(&self.store, new, decide).await
    }

    /// All plugins, by id; two statements.
    pub async fn list(&self) -> Result<Vec<InstalledPlugin>, StoreError> {
        read::list(self.store.db()).await
    }

    /// One plugin.
    pub async fn get(&self, id: &PluginId) -> Result<Option<InstalledPlugin>, StoreError> {
        read::get(self.store.db(), id).await
    }

    /// The component of a revision.
    ///
    /// # Errors
    /// `Corrupt` where the bytes are not those that were installed.
    pub async fn component(&self, id: &PluginId, revision: i64) -> Result<Option<Vec<u8>>, StoreError> {
        read::component(self.store.db(), id, revision).await
    }

    /// Keeps what the operator decided.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn set_settings(&self, id: &PluginId, settings: &PluginSettings) -> Result<(), StoreError> {
        let text = serde_json::to_string(settings).map_err(|error| StoreError::Invalid(error.to_string()))?;
        let mut tx = self.store.db().begin().await?;
        let outcome = touch(&mut tx, id, self.store.now(), Some(text)).await;
        transaction::end(tx, outcome).await
    }

    /// Grants a permission, or changes its grant.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn set_grant(
        &self,
        id: &PluginId,
        permission: Permission,
        grant: &Grant,
    ) -> Result<(), StoreError> {
        let text = serde_json::to_string(grant).map_err(|error| StoreError::Invalid(error.to_string()))?;
        let mut tx = self.store.db().begin().await?;
        let outcome = set_grant(&mut tx, id, permission, text, self.store.now()).await;
        transaction::end(tx, outcome).await
    }

    /// Ends a grant; false where there is none.
    pub async fn revoke_grant(&self, id: &PluginId, permission: Permission) -> Result<bool, StoreError> {
        let delete = Query::delete()
            .from_table("innkeeper_grant")
            .and_where(Expr::col("plugin_id").eq(id.as_str()))
            .and_where(Expr::col("permission").eq(permission.as_str()))
            .take();
        let mut tx = self.store.db().begin().await?;
        let outcome = match tx.execute(&delete).await {
            Ok(0) => Ok(false),
            Ok(_) => touch(&mut tx, id, self.store.now(), None).await.map(|()| true),
            Err(error) => Err(error),
        };
        transaction::end(tx, outcome).await
    }

    /// Removes a plugin with its revisions, grants, settings and storage; false where there is none of that id.
    /// Receipts stay, and its numbers are not used again.
    pub async fn remove(&self, id: &PluginId) -> Result<bool, StoreError> {
        let mut tx = self.store.db().begin().await?;
        let outcome = install::remove(&mut tx, id).await;
        transaction::end(tx, outcome).await
    }

    /// A number that changes with every change of a plugin, a grant, valves, a role or a key. One cheap statement.
    pub async fn generation(&self) -> Result<i64, StoreError> {
        let mut select = counter::select(counter::GENERATION);
        Ok(self.store.db().fetch_optional(&mut select, |row| row.int("value")).await?.unwrap_or(0))
    }
}

/// Marks a plugin as changed, with new settings where there are some; its row stays locked.
async fn touch(tx: &mut Tx, id: &PluginId, now: i64, settings: Option<String>) -> Result<(), StoreError> {
    let mut update = Query::update()
        .table("innkeeper_plugin")
        .value("updated_at", now)
        .and_where(Expr::col("id").eq(id.as_str()))
        .take();
    if let Some(settings) = settings {
        update.value("settings", settings);
    }
    if tx.execute(&update).await? == 0 {
        return Err(StoreError::NotFound("plugin"));
    }
    counter::bump(tx, counter::GENERATION).await
}

async fn set_grant(
    tx: &mut Tx,
    id: &PluginId,
    permission: Permission,
    text: String,
    now: i64,
) -> Result<(), StoreError> {
    let insert = Query::insert()
        .into_table("innkeeper_grant")
        .columns(["plugin_id", "permission", "document"])
        .values([id.as_str().into(), permission.as_str().into(), text.into()])
        .map_err(|error| StoreError::Invalid(error.to_string()))?
        .on_conflict(OnConflict::columns(["plugin_id", "permission"]).update_column("document").to_owned())
        .take();
    // The plugin's row first: it may be removed at the same moment, and then takes its grants with it.
    touch(tx, id, now, None).await?;
    tx.execute(&insert).await?;
    Ok(())
}
