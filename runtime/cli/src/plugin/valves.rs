//! `innkeeper plugin valves`.

use anyhow::{Context, anyhow};
use innkeeper_model::PluginId;
use innkeeper_registry::RegistryError;
use serde_json::{Value, json};

use crate::output::{Output, cell, pretty};
use crate::person;
use crate::stack::Stack;

/// Shows or sets valves: the operator's, or a person's own.
pub(super) async fn run(
    stack: &Stack,
    id: &PluginId,
    set: Option<&str>,
    user: Option<&str>,
    output: &Output,
) -> anyhow::Result<()> {
    let registry = &stack.registry;
    let manifest = registry.show(id).ok_or_else(|| anyhow!(RegistryError::NotFound(id.clone())))?.manifest;
    let new: Option<Value> =
        set.map(serde_json::from_str).transpose().context("the values of `--set` are not JSON")?;
    let (schema, values) = match user {
        Some(named) => {
            let user = person::find(&stack.store, named).await?.id;
            let values = match new {
                Some(new) => registry.set_user_valves(id, &user, new).await.map_err(all_problems)?,
                None => registry.user_valves(id, &user).await?,
            };
            (manifest.user_valves.clone(), values)
        }
        None => {
            let values = match new {
                Some(new) => registry.set_valves(id, new).await.map_err(all_problems)?,
                None => registry.valves(id)?,
            };
            (manifest.valves.clone(), values)
        }
    };
    output.say(&json!({ "schema": schema, "values": values }), || pretty(&values))
}

/// Says everything that is wrong at once.
fn all_problems(error: RegistryError) -> anyhow::Error {
    let RegistryError::Valves { problems, .. } = &error else { return error.into() };
    let lines = problems.iter().map(|problem| {
        let place = if problem.path.is_empty() { "the whole" } else { &problem.path };
        format!("`{}`: {}", cell(place), cell(&problem.message))
    });
    anyhow!("the values do not fit the plugin's schema:\n  {}", lines.collect::<Vec<_>>().join("\n  "))
}
