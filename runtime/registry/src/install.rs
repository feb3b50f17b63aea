//! Installing: a stranger's bytes become a plugin, all of it or nothing.

use std::sync::Arc;

use innkeeper_model::manifest::Manifest;
use innkeeper_model::permission::{Grants, Risk};
use innkeeper_model::plugin::{InstalledPlugin, PluginSettings};
use innkeeper_store::{Before, Decision, NewRevision};

use crate::error::RegistryError;
use crate::registry::{Fresh, Registry, finished};
use crate::schema::Schemas;
use crate::view::PluginView;

/// How to install a component.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InstallOptions {
    /// Grant what the manifest asks for, except what acts on people.
    pub grant_requested: bool,
    /// Make it the next revision of the plugin that has its id. Without this an id that is taken is an error:
    /// a stranger's component must not come by the grants and values of another by its name alone.
    /// Of a plugin that this program cannot read nothing is kept then.
    pub replace: bool,
}

impl Registry {
    /// Installs a component.
    ///
    /// A new plugin is enabled and has no grants. A further revision keeps settings and values, and those grants that it still asks for.
    ///
    /// # Errors
    /// `TooLarge`, `Load`, `Schema`: what is wrong with the component; `Duplicate`; `Store`. Nothing is installed then.
    pub async fn install(
        &self,
        bytes: Vec<u8>,
        options: InstallOptions,
    ) -> Result<PluginView, RegistryError> {
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
        self.run(async move { registry.commit(new, fresh, options).await }).await
    }

    async fn commit(
        &self,
        new: NewRevision,
        fresh: Fresh,
        options: InstallOptions,
    ) -> Result<PluginView, RegistryError> {
        let inner = &self.0;
        let id = new.manifest.id.clone();
        let mut book = inner.book.lock().await;
        let manifest = Arc::clone(&fresh.manifest);
        let digest = new.digest.clone();
        let decide = |before: Before<'_>| {
            let (before, revision) = match before {
                Before::Nothing => (None, None),
                Before::Unreadable { revision } => (None, Some(revision)),
                Before::Plugin(plugin) => (Some(plugin), Some(plugin.revision)),
            };
            if let Some(revision) = revision.filter(|_| !options.replace) {
                return Err(RegistryError::Duplicate { plugin: manifest.id.clone(), revision });
            }
            let decision = decision(&manifest, before, options.grant_requested);
            let same = |before: &InstalledPlugin| {
                before.digest == digest
                    && before.settings == decision.settings
                    && before.grants == decision.grants
            };
            // The same bytes again change nothing, and end no call.
            Ok((!before.is_some_and(same)).then_some(decision))
        };
        let installed = inner.store.plugins().install_with(new, decide).await?;
        let loads = inner.refresh(&mut book, Some(fresh)).await?;
        drop(book);
        finished(loads).await;
        tracing::info!(plugin = %id, revision = installed.revision, "installed a plugin");
        self.show(&id).ok_or(RegistryError::NotFound(id))
    }
}

/// What a revision may have from the start, given the plugin as it was. A new one is enabled.
/// Of its grants those stay that the revision before asked for too: nobody has decided about the others.
fn decision(manifest: &Manifest, before: Option<&InstalledPlugin>, grant_requested: bool) -> Decision {
    let Some(before) = before else {
        let settings = PluginSettings { enabled: true, ..PluginSettings::default() };
        return Decision { settings, grants: granted(manifest, Grants::default(), grant_requested) };
    };
    let asked = |manifest: &Manifest, name| manifest.permissions.iter().any(|request| request.name == name);
    let mut grants = before.grants.clone();
    grants.0.retain(|&name, _| asked(manifest, name) && asked(&before.manifest, name));
    Decision { settings: before.settings.clone(), grants: granted(manifest, grants, grant_requested) }
}

/// Adds what is asked for and acts on nobody.
fn granted(manifest: &Manifest, mut grants: Grants, grant_requested: bool) -> Grants {
    for request in manifest.permissions.iter().filter(|_| grant_requested) {
        if request.name.risk() != Risk::People {
            grants.0.entry(request.name).or_default();
        }
    }
    grants
}
