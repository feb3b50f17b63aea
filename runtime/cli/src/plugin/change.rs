//! `innkeeper plugin grant`, `revoke`, `enable`, `disable` and `remove`.

use anyhow::anyhow;
use innkeeper_model::permission::{Grant, Scope};
use innkeeper_model::plugin::{OnFailure, PluginSettings};
use innkeeper_model::{Permission, PluginId};
use innkeeper_registry::{PluginView, RegistryError};
use innkeeper_server::PluginBody;
use serde_json::json;

use crate::output::{Output, cell};
use crate::stack::Stack;

/// Grants a permission.
pub(super) async fn grant(
    stack: &Stack,
    id: &PluginId,
    permission: Permission,
    (scope, unattended, event_types): (Scope, bool, Vec<String>),
    output: &Output,
) -> anyhow::Result<()> {
    let view = stack.registry.grant(id, permission, Grant { scope, unattended, event_types }).await?;
    said(view, format!("granted `{permission}` to `{id}`: it {}", permission.about()), output)
}

/// Takes a permission back.
pub(super) async fn revoke(
    stack: &Stack,
    id: &PluginId,
    permission: Permission,
    output: &Output,
) -> anyhow::Result<()> {
    let view = stack.registry.revoke(id, permission).await?;
    said(
        view,
        format!("revoked `{permission}` from `{id}`; a running server notices within two seconds"),
        output,
    )
}

/// What is said when a plugin is enabled; what is left out stays as it is.
pub(super) struct Wishes {
    pub(super) global: bool,
    pub(super) models: Vec<String>,
    pub(super) on_failure: Option<OnFailure>,
    pub(super) priority: Option<i32>,
}

impl Wishes {
    fn apply(self, settings: &mut PluginSettings) {
        settings.enabled = true;
        if self.global || !self.models.is_empty() {
            settings.global = self.global;
            settings.models = self.models;
        }
        settings.on_failure = self.on_failure.unwrap_or(settings.on_failure);
        settings.priority = self.priority.or(settings.priority);
    }
}

/// Lets a plugin run.
pub(super) async fn enable(
    stack: &Stack,
    id: &PluginId,
    wishes: Wishes,
    output: &Output,
) -> anyhow::Result<()> {
    let found = stack.registry.show(id).ok_or_else(|| anyhow!(RegistryError::NotFound(id.clone())))?;
    let mut settings = found.settings;
    wishes.apply(&mut settings);
    let view = stack.registry.set_settings(id, settings).await?;
    let problem =
        view.error.as_ref().map(|error| format!(", but it cannot run: {}", cell(error))).unwrap_or_default();
    said(view, format!("enabled `{id}`{problem}"), output)
}

/// Stops a plugin.
pub(super) async fn disable(stack: &Stack, id: &PluginId, output: &Output) -> anyhow::Result<()> {
    let view = stack.registry.disable(id).await?;
    said(view, format!("disabled `{id}`; a running server notices within two seconds"), output)
}

/// Removes a plugin.
pub(super) async fn remove(stack: &Stack, id: &PluginId, output: &Output) -> anyhow::Result<()> {
    stack.registry.remove(id).await?;
    output.say(&json!({ "removed": id }), || format!("removed `{id}` with its grants, valves and data"))
}

fn said(view: PluginView, text: String, output: &Output) -> anyhow::Result<()> {
    output.say(&PluginBody::from(view), || text)
}
