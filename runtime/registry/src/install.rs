//! Installing: a stranger's bytes become a plugin, all of it or nothing.

use std::sync::Arc;

use innkeeper_model::permission::{Grant, Risk};
use innkeeper_model::plugin::{InstalledPlugin, PluginSettings};
use innkeeper_store::NewRevision;

use crate::error::RegistryError;
use crate::registry::{Fresh, Registry, finished};
use crate::schema::Schemas;
use crate::view::PluginView;

impl Registry {
    /// Installs a component, as a new plugin or as the next revision of one that is there.
    ///
    /// A new plugin is enabled and has no grants. A further revision keeps settings and values, and those grants that it still asks for.
    /// `grant_requested` also grants what the manifest asks for, except what acts on people.
    ///
    /// # Errors
    /// `TooLarge`, `Load`, `Schema`: what is wrong with the component; `Store`. Nothing is installed then.
    pub async fn install(&self, bytes: Vec<u8>, grant_requested: bool) -> Result<PluginView, RegistryError> {
        let size = bytes.len() as u64;
        let max = self.0.component_max;
        if size > max {
            return Err(RegistryError::TooLarge { size, max });
        }
        let loaded = self.0.sandbox.load(&bytes).await?;
        let manifest = Arc::new(self.0.sandbox.describe(&loaded).await?);
        let schemas = Arc::new(Schemas::of(Arc::clone(&manifest)));
        let checked = tokio::task::spawn_blocking({
            let schemas = Arc::clone(&schemas);
            move || schemas.check()
        });
        checked.await.map_err(|_| RegistryError::Internal)??;
        let new = NewRevision {
            manifest: manifest.as_ref().clone(),
            digest: loaded.digest.clone(),
            size,
            component: bytes,
        };
        let fresh = Fresh { plugin: manifest.id.clone(), loaded, schemas, manifest };
        let registry = self.clone();
        self.run(async move { registry.commit(new, fresh, grant_requested).await }).await
    }

    async fn commit(
        &self,
        new: NewRevision,
        fresh: Fresh,
        grant_requested: bool,
    ) -> Result<PluginView, RegistryError> {
        let inner = &self.0;
        let id = new.manifest.id.clone();
        let mut book = inner.book.lock().await;
        let known = inner.store.plugins().get(&id).await?;
        let installed = inner.store.plugins().install(new).await?;
        if let Err(error) = self.settle(&installed, known.is_none(), grant_requested).await {
            if known.is_none() {
                // Nobody has seen it yet; it may not stay behind half made.
                if let Err(error) = inner.store.plugins().remove(&id).await {
                    tracing::error!(plugin = %id, %error, "a plugin that could not be installed could not be removed; it is disabled");
                }
            }
            return Err(error);
        }
        let loads = inner.refresh(&mut book, Some(fresh)).await?;
        drop(book);
        finished(loads).await;
        tracing::info!(plugin = %id, revision = installed.revision, "installed a plugin");
        self.show(&id).ok_or(RegistryError::NotFound(id))
    }

    /// Gives a revision what it may have from the start. A new plugin is enabled last.
    async fn settle(
        &self,
        installed: &InstalledPlugin,
        new: bool,
        grant_requested: bool,
    ) -> Result<(), RegistryError> {
        let plugins = self.0.store.plugins();
        let requested = &installed.manifest.permissions;
        for &permission in installed.grants.0.keys() {
            if !requested.iter().any(|request| request.name == permission) {
                plugins.revoke_grant(&installed.id, permission).await?;
            }
        }
        for request in requested.iter().filter(|_| grant_requested) {
            if request.name.risk() != Risk::People && installed.grants.get(request.name).is_none() {
                plugins.set_grant(&installed.id, request.name, &Grant::default()).await?;
            }
        }
        if new {
            let settings = PluginSettings { enabled: true, ..installed.settings.clone() };
            plugins.set_settings(&installed.id, &settings).await?;
        }
        Ok(())
    }
}
