//! `innkeeper plugin grant`, `revoke`, `enable`, `disable` and `remove`.

use innkeeper_model::permission::{Grant, Scope};
use innkeeper_model::{Permission, PluginId};
use innkeeper_registry::PluginView;
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

/// Lets a plugin run.
pub(super) async fn enable(stack: &Stack, id: &PluginId, output: &Output) -> anyhow::Result<()> {
    let view = stack.registry.enable(id).await?;
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
