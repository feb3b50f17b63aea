//! `innkeeper plugin install`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};
use innkeeper_model::permission::Grant;
use innkeeper_registry::InstallOptions;
use innkeeper_server::PluginBody;

use super::permission;
use crate::output::{Output, cell};
use crate::stack::Stack;

/// Installs a component.
pub(super) async fn run(
    stack: &Stack,
    file: &Path,
    options: InstallOptions,
    grants: &[String],
    max: u64,
    output: &Output,
) -> anyhow::Result<()> {
    // Looked at first, so that a word that makes no sense leaves nothing half-done.
    let grants = grants.iter().map(|name| permission(name)).collect::<anyhow::Result<Vec<_>>>()?;
    let bytes = read(file, max)?;
    let mut view = stack
        .registry
        .install(bytes, options)
        .await
        .with_context(|| format!("cannot install `{}`", file.display()))?;
    for permission in grants {
        view = stack.registry.grant(&view.id, permission, Grant::default()).await?;
    }
    let missing: Vec<String> = view.missing_permissions.iter().map(ToString::to_string).collect();
    let said = format!("installed `{}` {} as revision {}", view.id, cell(&view.version), view.revision);
    let id = view.id.clone();
    output.say(&PluginBody::from(view), || {
        let todo =
            missing.iter().map(|name| format!("\nit needs `{name}`: innkeeper plugin grant {id} {name}"));
        format!("{said}{}", todo.collect::<String>())
    })
}

/// A file that is no larger than allowed; no more of it is read.
fn read(path: &Path, max: u64) -> anyhow::Result<Vec<u8>> {
    let unreadable = || format!("cannot read `{}`", path.display());
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(unreadable)?;
    file.take(max.saturating_add(1)).read_to_end(&mut bytes).with_context(unreadable)?;
    if bytes.len() as u64 > max {
        bail!(
            "`{}` is larger than {max} bytes; the setting `plugin.component_max` allows no more",
            path.display()
        );
    }
    Ok(bytes)
}
