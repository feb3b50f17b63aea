//! `innkeeper plugin list` and `innkeeper plugin show`.

use anyhow::anyhow;
use innkeeper_model::PluginId;
use innkeeper_model::limits::Limits;
use innkeeper_model::permission::Risk;
use innkeeper_registry::{PluginView, RegistryError};
use innkeeper_server::PluginBody;
use serde_json::json;

use crate::output::{Output, cell, facts, lines, table};
use crate::stack::Stack;

/// Lists what is installed.
pub(super) fn list(stack: &Stack, output: &Output) -> anyhow::Result<()> {
    let plugins = stack.registry.list();
    let rows: Vec<Vec<String>> = plugins
        .iter()
        .map(|view| {
            vec![
                view.id.to_string(),
                cell(&view.version),
                state(view),
                view.kinds.join(","),
                cell(&view.name),
            ]
        })
        .collect();
    let data: Vec<PluginBody> = plugins.into_iter().map(PluginBody::from).collect();
    output.say(&json!({ "data": data }), || table(&["ID", "VERSION", "STATE", "KINDS", "NAME"], &rows))
}

/// Shows one plugin.
pub(super) fn one(stack: &Stack, id: &PluginId, output: &Output) -> anyhow::Result<()> {
    let view = stack.registry.show(id).ok_or_else(|| anyhow!(RegistryError::NotFound(id.clone())))?;
    say(view, output)
}

/// Says what a plugin is like.
pub(super) fn say(view: PluginView, output: &Output) -> anyhow::Result<()> {
    let text = described(&view);
    output.say(&PluginBody::from(view), || text)
}

fn state(view: &PluginView) -> String {
    json!(view.state).as_str().unwrap_or_default().to_owned()
}

/// Where filters and actions apply; the other kinds are called by name.
fn scope(view: &PluginView) -> String {
    let settings = &view.settings;
    if !view.manifest.kinds.filter && !view.manifest.kinds.action {
        "what calls it by name".to_owned()
    } else if settings.global {
        "every model".to_owned()
    } else if settings.models.is_empty() {
        format!("no model yet: innkeeper plugin enable {} --global", view.id)
    } else {
        cell(&settings.models.join(", "))
    }
}

fn described(view: &PluginView) -> String {
    let mut text = facts(&[
        ("plugin", format!("{} {}", view.id, cell(&view.version))),
        ("name", cell(&view.name)),
        ("about", lines(&view.description)),
        (
            "state",
            view.error
                .as_ref()
                .map_or_else(|| state(view), |error| format!("{}: {}", state(view), cell(error))),
        ),
        ("kinds", view.kinds.join(", ")),
        ("applies to", scope(view)),
        ("revision", format!("{} ({} bytes, {})", view.revision, view.size, view.digest)),
    ]);
    let tools: Vec<Vec<String>> = view
        .manifest
        .tools
        .iter()
        .map(|tool| vec![tool.name.clone(), cell(tool.description.lines().next().unwrap_or_default())])
        .collect();
    if !tools.is_empty() {
        text.push_str(&format!("\n{}", table(&["TOOL", "ABOUT"], &tools)));
    }
    let actions: Vec<Vec<String>> =
        view.manifest.actions.iter().map(|action| vec![action.id.clone(), cell(&action.name)]).collect();
    if !actions.is_empty() {
        text.push_str(&format!("\n{}", table(&["ACTION", "NAME"], &actions)));
    }
    let permissions: Vec<Vec<String>> =
        view.manifest.permissions.iter().map(|asked| permission(view, asked)).collect();
    if !permissions.is_empty() {
        text.push_str(&format!("\n{}", table(&["PERMISSION", "GRANTED", "RISK", "REASON"], &permissions)));
    }
    let limits: Vec<Vec<String>> = Limits::ALL
        .iter()
        .filter_map(|info| {
            Some(vec![info.name.to_owned(), view.limits.get(info.name)?.to_string(), info.unit.to_owned()])
        })
        .collect();
    text.push_str(&format!("\n{}", table(&["LIMIT", "VALUE", "UNIT"], &limits)));
    text
}

fn permission(view: &PluginView, asked: &innkeeper_model::manifest::PermissionRequest) -> Vec<String> {
    let granted = match view.grants.get(asked.name) {
        Some(grant) => format!(
            "{}{}",
            json!(grant.scope).as_str().unwrap_or_default(),
            if grant.unattended { ", unattended" } else { "" }
        ),
        None if asked.optional => "no (optional)".to_owned(),
        None => "no".to_owned(),
    };
    let risk = match asked.name.risk() {
        Risk::Low => "low",
        Risk::Data => "data",
        Risk::People => "people",
    };
    vec![asked.name.to_string(), granted, risk.to_owned(), cell(&asked.reason)]
}
