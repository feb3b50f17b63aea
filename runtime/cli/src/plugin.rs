//! `innkeeper plugin`: works on the database itself, beside a server that runs or without one.

mod call;
mod change;
mod install;
mod show;
mod valves;

use anyhow::anyhow;
use innkeeper_model::{Permission, PluginId};
use innkeeper_registry::InstallOptions;

use crate::args::Plugin;
use crate::config::Settings;
use crate::data_dir;
use crate::output::{Output, cell};
use crate::stack::{Runtimes, Stack};

/// Runs a command.
pub(crate) fn run(command: Plugin, settings: &Settings, output: &Output) -> anyhow::Result<()> {
    data_dir::prepare(&settings.data_dir)?;
    let runtimes = Runtimes::start()?;
    let ran = runtimes.main.block_on(async {
        let stack = Stack::open(settings, false).await?;
        let ran = one(command, settings, output, &stack, runtimes.guests.handle().clone()).await;
        stack.store.pool().close().await;
        ran
    });
    runtimes.stop();
    ran
}

async fn one(
    command: Plugin,
    settings: &Settings,
    output: &Output,
    stack: &Stack,
    guests: tokio::runtime::Handle,
) -> anyhow::Result<()> {
    match command {
        Plugin::Install { file, grant_requested, replace, grant } => {
            let options = InstallOptions { grant_requested, replace };
            install::run(stack, &file, options, &grant, settings.component_max, output).await
        }
        Plugin::List => show::list(stack, output),
        Plugin::Show { plugin } => show::one(stack, &id(&plugin)?, output),
        Plugin::Grant { plugin, permission: name, scope, unattended, event_type } => {
            change::grant(
                stack,
                &id(&plugin)?,
                permission(&name)?,
                (scope.into(), unattended, event_type),
                output,
            )
            .await
        }
        Plugin::Revoke { plugin, permission: name } => {
            change::revoke(stack, &id(&plugin)?, permission(&name)?, output).await
        }
        Plugin::Enable { plugin, global, model, on_failure, priority } => {
            let wishes =
                change::Wishes { global, models: model, on_failure: on_failure.map(Into::into), priority };
            change::enable(stack, &id(&plugin)?, wishes, output).await
        }
        Plugin::Disable { plugin } => change::disable(stack, &id(&plugin)?, output).await,
        Plugin::Remove { plugin } => change::remove(stack, &id(&plugin)?, output).await,
        Plugin::Valves { plugin, set, user } => {
            valves::run(stack, &id(&plugin)?, set.as_deref(), user.as_deref(), output).await
        }
        Plugin::Call { plugin, tool, args, user } => {
            let dispatch = stack.dispatch(settings, guests)?;
            let order = call::Order { plugin: id(&plugin)?, tool, arguments: &args, user: user.as_deref() };
            call::run(stack, &dispatch, order, output).await
        }
    }
}

fn id(text: &str) -> anyhow::Result<PluginId> {
    Ok(PluginId::parse(text)?)
}

fn permission(name: &str) -> anyhow::Result<Permission> {
    Permission::parse(name).ok_or_else(|| {
        let known =
            Permission::ALL.iter().map(|permission| permission.as_str()).collect::<Vec<_>>().join(", ");
        anyhow!("unknown permission `{}`; there are {known}", cell(name))
    })
}
