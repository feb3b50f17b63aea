//! What an operator changes about an installed plugin. Each change holds here before its method returns.

use innkeeper_model::PluginId;
use innkeeper_model::limits::Limits;
use innkeeper_model::permission::{Grant, Permission};
use innkeeper_model::plugin::{InstalledPlugin, OnFailure, PluginSettings};
use innkeeper_store::Plugins;

use crate::error::{RegistryError, shown};
use crate::registry::{Registry, finished};
use crate::view::PluginView;

/// Models that a plugin can be put on, and bytes of a model's name.
const MODELS_MAX: usize = 1_000;
const MODEL_BYTES: usize = 256;
/// Types that a grant of `events.other` can list, and bytes of one.
const EVENT_TYPES_MAX: usize = 100;
const EVENT_TYPE_BYTES: usize = 128;

impl Registry {
    /// Turns a plugin on and loads it. One that does not load is on all the same, and its state says what is wrong.
    ///
    /// # Errors
    /// `NotFound`, `Store`.
    pub async fn enable(&self, id: &PluginId) -> Result<PluginView, RegistryError> {
        self.change(id, |plugins, old| async move {
            let settings = PluginSettings { enabled: true, ..old.settings };
            Ok(plugins.set_settings(&old.id, &settings).await?)
        })
        .await
    }

    /// Turns a plugin off and ends its calls.
    ///
    /// # Errors
    /// `NotFound`, `Store`.
    pub async fn disable(&self, id: &PluginId) -> Result<PluginView, RegistryError> {
        self.change(id, |plugins, old| async move {
            let settings = PluginSettings { enabled: false, ..old.settings };
            Ok(plugins.set_settings(&old.id, &settings).await?)
        })
        .await
    }

    /// Removes a plugin with its grants, values and storage, and ends its calls. The same id starts from nothing when it is installed again.
    ///
    /// # Errors
    /// `NotFound`, `Store`.
    pub async fn remove(&self, id: &PluginId) -> Result<(), RegistryError> {
        let (registry, id) = (self.clone(), id.clone());
        self.run(async move {
            let mut book = registry.0.book.lock().await;
            if !registry.0.store.plugins().remove(&id).await? {
                return Err(RegistryError::NotFound(id));
            }
            let loads = registry.0.refresh(&mut book, None).await?;
            drop(book);
            finished(loads).await;
            tracing::info!(plugin = %id, "removed a plugin");
            Ok(())
        })
        .await
    }

    /// Grants a permission, or changes its grant.
    ///
    /// # Errors
    /// `NotFound`, `NotRequested`, `Grant`, `Store`.
    pub async fn grant(
        &self,
        id: &PluginId,
        permission: Permission,
        grant: Grant,
    ) -> Result<PluginView, RegistryError> {
        check_grant(permission, &grant)?;
        self.change(id, move |plugins, old| async move {
            if !old.manifest.permissions.iter().any(|request| request.name == permission) {
                return Err(RegistryError::NotRequested { plugin: old.id, permission });
            }
            Ok(plugins.set_grant(&old.id, permission, &grant).await?)
        })
        .await
    }

    /// Ends a grant, also for running calls. One that there is not is ended already.
    ///
    /// # Errors
    /// `NotFound`, `Store`.
    pub async fn revoke(&self, id: &PluginId, permission: Permission) -> Result<PluginView, RegistryError> {
        self.change(id, move |plugins, old| async move {
            plugins.revoke_grant(&old.id, permission).await?;
            Ok(())
        })
        .await
    }

    /// Replaces what the operator decided about a plugin.
    ///
    /// # Errors
    /// `NotFound`, `Settings`, `Limit`, `Store`.
    pub async fn set_settings(
        &self,
        id: &PluginId,
        settings: PluginSettings,
    ) -> Result<PluginView, RegistryError> {
        check_settings(&settings)?;
        Limits::default().with(&settings.limits, &self.0.limits.ceilings)?;
        self.change(id, |plugins, old| async move {
            let guard = old.manifest.filter.as_ref().is_some_and(|filter| filter.guard);
            if guard && settings.on_failure != OnFailure::Closed {
                let problem =
                    format!("plugin `{}` is a guard; `on_failure` of a guard is always `closed`", old.id);
                return Err(RegistryError::Settings(problem));
            }
            Ok(plugins.set_settings(&old.id, &settings).await?)
        })
        .await
    }

    /// Changes one plugin in the store and takes the change over.
    async fn change<F, O>(&self, id: &PluginId, change: F) -> Result<PluginView, RegistryError>
    where
        F: FnOnce(Plugins, InstalledPlugin) -> O + Send + 'static,
        O: Future<Output = Result<(), RegistryError>> + Send,
    {
        let (registry, id) = (self.clone(), id.clone());
        self.run(async move {
            let mut book = registry.0.book.lock().await;
            let plugins = registry.0.store.plugins();
            let old = plugins.get(&id).await?.ok_or_else(|| RegistryError::NotFound(id.clone()))?;
            change(plugins, old).await?;
            let loads = registry.0.refresh(&mut book, None).await?;
            drop(book);
            finished(loads).await;
            registry.show(&id).ok_or(RegistryError::NotFound(id))
        })
        .await
    }
}

fn check_grant(permission: Permission, grant: &Grant) -> Result<(), RegistryError> {
    let wrong = |problem: String| Err(RegistryError::Grant { permission, problem });
    let types = &grant.event_types;
    if permission != Permission::EventsOther {
        let problem = "`event_types` belongs to `events.other` alone; leave it out";
        return if types.is_empty() { Ok(()) } else { wrong(problem.to_owned()) };
    }
    if types.is_empty() {
        return wrong(
            "it allows nothing without `event_types`; list the types that the plugin may send".to_owned(),
        );
    }
    if types.len() > EVENT_TYPES_MAX {
        return wrong(format!(
            "`event_types` has {} items; at most {EVENT_TYPES_MAX} are allowed",
            types.len()
        ));
    }
    let bad = |kind: &&String| {
        kind.is_empty() || kind.len() > EVENT_TYPE_BYTES || kind.chars().any(char::is_control)
    };
    if let Some(kind) = types.iter().find(bad) {
        return wrong(format!(
            "`event_types` has `{}`; a type has 1 to {EVENT_TYPE_BYTES} bytes",
            shown(kind)
        ));
    }
    let script = |kind: &&String| kind.trim().to_ascii_lowercase().starts_with("execute");
    if let Some(kind) = types.iter().find(script) {
        return wrong(format!("type `{}` runs script; it needs `events.script`", shown(kind)));
    }
    Ok(())
}

fn check_settings(settings: &PluginSettings) -> Result<(), RegistryError> {
    let models = &settings.models;
    if models.len() > MODELS_MAX {
        let problem = format!("`models` has {} items; at most {MODELS_MAX} are allowed", models.len());
        return Err(RegistryError::Settings(problem));
    }
    let bad = |model: &&String| {
        model.is_empty() || model.len() > MODEL_BYTES || model.chars().any(char::is_control)
    };
    match models.iter().find(bad) {
        None => Ok(()),
        Some(model) => {
            let problem =
                format!("`models` has `{}`; a model's name has 1 to {MODEL_BYTES} bytes", shown(model));
            Err(RegistryError::Settings(problem))
        }
    }
}
