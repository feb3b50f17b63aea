//! Plugins' settings by their schemas: the operator's, and each person's own. Secrets are written, never read.

use innkeeper_model::{PluginId, UserId};
use innkeeper_store::Store;
use serde_json::{Map, Value};

use crate::error::{RegistryError, SchemaError, ValueProblem};
use crate::registry::{Registry, finished};
use crate::schema::{Schema, Schemas};

/// Largest values, in bytes of JSON.
const VALUES_MAX: usize = 64 << 10;

/// Finds one of a manifest's schemas.
type Find = fn(&Schemas) -> Result<Option<&Schema>, SchemaError>;

impl Registry {
    /// The operator's values with defaults filled in; [`MASK`](crate::MASK) in place of secrets.
    ///
    /// # Errors
    /// `NotFound`, `Schema`.
    pub fn valves(&self, id: &PluginId) -> Result<Value, RegistryError> {
        let snapshot = self.snapshot();
        let entry = snapshot.entry(id)?;
        let values = entry.values.as_deref().cloned();
        Ok(entry
            .schemas
            .valves()?
            .map_or_else(nothing, |schema| schema.masked(values.unwrap_or_else(nothing))))
    }

    /// Sets the operator's values. The mask in place of a secret keeps the old one. Returns what `valves` would.
    ///
    /// # Errors
    /// `NotFound`, `Valves`, `Schema`, `Store`.
    pub async fn set_valves(&self, id: &PluginId, values: Value) -> Result<Value, RegistryError> {
        self.set(id, values, Schemas::valves, None).await?;
        self.valves(id)
    }

    /// A person's values with defaults filled in, secrets masked.
    ///
    /// # Errors
    /// `NotFound`, `Schema`, `Store`.
    pub async fn user_valves(&self, id: &PluginId, user: &UserId) -> Result<Value, RegistryError> {
        let snapshot = self.snapshot();
        let Some(schema) = snapshot.entry(id)?.schemas.user_valves()? else { return Ok(nothing()) };
        let values = self.0.store.valves().get_user(id, user).await?;
        Ok(schema.masked(values.unwrap_or_else(nothing)))
    }

    /// Sets a person's values. Returns what `user_valves` would.
    ///
    /// # Errors
    /// `NotFound`, `Valves`, `Schema`, `Store` (also where there is no such person).
    pub async fn set_user_valves(
        &self,
        id: &PluginId,
        user: &UserId,
        values: Value,
    ) -> Result<Value, RegistryError> {
        self.set(id, values, Schemas::user_valves, Some(user.clone())).await?;
        self.user_valves(id, user).await
    }

    async fn set(
        &self,
        id: &PluginId,
        values: Value,
        find: Find,
        user: Option<UserId>,
    ) -> Result<(), RegistryError> {
        let (registry, id) = (self.clone(), id.clone());
        self.run(async move {
            let mut book = registry.0.book.lock().await;
            let snapshot = registry.snapshot();
            let entry = snapshot.entry(&id)?;
            let store = &registry.0.store;
            let old = stored(store, &id, user.as_ref()).await?;
            let checked = check(find(&entry.schemas)?, values, old.as_ref());
            let values =
                checked.map_err(|problems| RegistryError::Valves { plugin: id.clone(), problems })?;
            match &user {
                Some(user) => store.valves().set_user(&id, user, &values).await?,
                None => store.valves().set(&id, &values).await?,
            }
            let loads = registry.0.refresh(&mut book, None).await?;
            drop(book);
            finished(loads).await;
            Ok(())
        })
        .await
    }
}

async fn stored(store: &Store, id: &PluginId, user: Option<&UserId>) -> Result<Option<Value>, RegistryError> {
    Ok(match user {
        Some(user) => store.valves().get_user(id, user).await?,
        None => store.valves().get(id).await?,
    })
}

/// What is to be stored: the values as they were given, with old secrets in place of masks. Defaults are filled in when they are used.
fn check(schema: Option<&Schema>, values: Value, old: Option<&Value>) -> Result<Value, Vec<ValueProblem>> {
    let problem = |message: String| Err(vec![ValueProblem::new("", message)]);
    if !values.is_object() {
        return problem("the values are not a JSON object; give them by name".to_owned());
    }
    let Some(schema) = schema else {
        return if values == nothing() {
            Ok(values)
        } else {
            problem("the plugin has no values to set".to_owned())
        };
    };
    let unknown = schema.unknown(&values, old);
    if !unknown.is_empty() {
        return Err(unknown);
    }
    let values = schema.unmasked(values, old)?;
    let size = values.to_string().len();
    if size > VALUES_MAX {
        return problem(format!("the values have {size} bytes; at most {VALUES_MAX} are allowed"));
    }
    schema.complete(values.clone())?;
    Ok(values)
}

fn nothing() -> Value {
    Value::Object(Map::new())
}
