//! Plugins' settings: the operator's in the plugin's row, each person's in a row of their own.
//! Whether they fit the plugin's schema is for the registry to say.

use innkeeper_model::{PluginId, UserId};
use sea_query::{Expr, ExprTrait, OnConflict, Query};
use serde_json::Value;

use crate::error::StoreError;
use crate::names::{can_name, clean_json};
use crate::pool::Tx;
use crate::store::Store;
use crate::{counter, transaction};

/// Plugins' settings.
#[derive(Clone, Debug)]
pub struct Valves {
    pub(crate) store: Store,
}

impl Valves {
    /// What the operator set; none where nothing was set or there is no such plugin.
    pub async fn get(&self, plugin: &PluginId) -> Result<Option<Value>, StoreError> {
        let mut select = Query::select()
            .column("valves")
            .from("innkeeper_plugin")
            .and_where(Expr::col("id").eq(plugin.as_str()))
            .take();
        let found = self.store.db().fetch_optional(&mut select, |row| row.json("valves")).await?;
        Ok(found.filter(|value| !value.is_null()))
    }

    /// Sets the operator's values.
    ///
    /// # Errors
    /// `NotFound` where there is no such plugin.
    pub async fn set(&self, plugin: &PluginId, values: &Value) -> Result<(), StoreError> {
        let update = Query::update()
            .table("innkeeper_plugin")
            .value("valves", text(values))
            .value("updated_at", self.store.now())
            .and_where(Expr::col("id").eq(plugin.as_str()))
            .take();
        let mut tx = self.store.db().begin().await?;
        let outcome = match tx.execute(&update).await {
            Ok(0) => Err(StoreError::NotFound("plugin")),
            Ok(_) => counter::bump(&mut tx, counter::GENERATION).await,
            Err(error) => Err(error),
        };
        transaction::end(tx, outcome).await
    }

    /// What a person set; none where nothing was set.
    pub async fn get_user(&self, plugin: &PluginId, user: &UserId) -> Result<Option<Value>, StoreError> {
        if !can_name(user.as_str()) {
            return Ok(None);
        }
        let mut select = Query::select()
            .column("document")
            .from("innkeeper_user_valves")
            .and_where(Expr::col("plugin_id").eq(plugin.as_str()))
            .and_where(Expr::col("user_id").eq(user.as_str()))
            .take();
        let found = self.store.db().fetch_optional(&mut select, |row| row.json("document")).await?;
        Ok(found.filter(|value| !value.is_null()))
    }

    /// Sets a person's values.
    ///
    /// # Errors
    /// `NotFound` where there is no such plugin or person.
    pub async fn set_user(&self, plugin: &PluginId, user: &UserId, values: &Value) -> Result<(), StoreError> {
        if !can_name(user.as_str()) {
            return Err(StoreError::NotFound("person"));
        }
        let mut tx = self.store.db().begin().await?;
        let outcome = set_user(&mut tx, plugin, user, values).await;
        transaction::end(tx, outcome).await
    }
}

async fn set_user(tx: &mut Tx, plugin: &PluginId, user: &UserId, values: &Value) -> Result<(), StoreError> {
    let known = |table: &'static str, id: &str| {
        Query::select().column("id").from(table).and_where(Expr::col("id").eq(id)).take()
    };
    for (table, id, what) in
        [("innkeeper_plugin", plugin.as_str(), "plugin"), ("user", user.as_str(), "person")]
    {
        if tx.fetch_optional(&mut known(table, id), |_| Ok(())).await?.is_none() {
            return Err(StoreError::NotFound(what));
        }
    }
    let insert = Query::insert()
        .into_table("innkeeper_user_valves")
        .columns(["plugin_id", "user_id", "document"])
        .values([plugin.as_str().into(), user.as_str().into(), text(values).into()])
        .map_err(|error| StoreError::Invalid(error.to_string()))?
        .on_conflict(OnConflict::columns(["plugin_id", "user_id"]).update_column("document").to_owned())
        .take();
    tx.execute(&insert).await?;
    counter::bump(tx, counter::GENERATION).await
}

fn text(values: &Value) -> String {
    let mut values = values.clone();
    clean_json(&mut values);
    values.to_string()
}
