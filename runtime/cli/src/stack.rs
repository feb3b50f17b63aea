//! Puts the levels together, from the database up to dispatch, on the two runtimes that they need.

use std::time::Duration;

use anyhow::Context;
use innkeeper_dispatch::{Dispatch, DispatchOptions};
use innkeeper_model::time::Clock;
use innkeeper_registry::{LimitsConfig, Registry};
use innkeeper_sandbox::compile::worker_arguments;
use innkeeper_sandbox::{Compiler, EngineOptions, Sandbox, SandboxOptions};
use innkeeper_store::Store;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::config::Settings;
use crate::database;

/// How long a person who has left may take to come back to a question.
const RECONNECT_GRACE: Duration = Duration::from_secs(10);
/// How long a client may read nothing of its answer.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);
/// Instances for a command that runs one tool.
const FEW_INSTANCES: u32 = 64;

/// Sockets and timers on one runtime, guests on the other, where they cannot delay them.
pub(crate) struct Runtimes {
    pub(crate) main: Runtime,
    pub(crate) guests: Runtime,
}

impl Runtimes {
    /// Starts both.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let main = Builder::new_multi_thread()
            .worker_threads(cores.clamp(1, 4))
            .thread_name("main")
            .enable_all()
            .build();
        let guests =
            Builder::new_multi_thread().worker_threads(cores).thread_name("guests").enable_all().build();
        Ok(Self {
            main: main.context("threads cannot be started")?,
            guests: guests.context("threads cannot be started")?,
        })
    }

    /// Stops both without waiting for what still runs.
    pub(crate) fn stop(self) {
        self.guests.shutdown_background();
        self.main.shutdown_timeout(Duration::from_secs(1));
    }
}

/// A runtime for a command that only talks to the database.
pub(crate) fn small_runtime() -> anyhow::Result<Runtime> {
    Builder::new_current_thread().enable_all().build().context("threads cannot be started")
}

/// The levels below the server.
pub(crate) struct Stack {
    pub(crate) store: Store,
    pub(crate) registry: Registry,
    pub(crate) sandbox: Sandbox,
}

impl Stack {
    /// Opens the database, makes the sandbox, reads the installed plugins.
    pub(crate) async fn open(settings: &Settings, serves: bool) -> anyhow::Result<Self> {
        let store = database::store(settings).await?;
        if serves {
            let store = store.clone();
            tokio::spawn(async move { store.watch_shape().await });
        }
        let sandbox =
            Sandbox::new(sandbox_options(settings, serves)?).context("the sandbox cannot be made")?;
        let limits = LimitsConfig { defaults: settings.limits.clone(), ceilings: settings.ceilings.clone() };
        let registry = Registry::open(store.clone(), sandbox.clone(), limits, settings.component_max)
            .await
            .context("the installed plugins cannot be read")?;
        Ok(Self { store, registry, sandbox })
    }

    /// What runs turns. The present runtime is the one for sockets and timers.
    pub(crate) fn dispatch(&self, settings: &Settings, guests: Handle) -> anyhow::Result<Dispatch> {
        let options = DispatchOptions {
            registry: self.registry.clone(),
            store: self.store.clone(),
            sandbox: self.sandbox.clone(),
            providers: settings.providers.clone(),
            guests,
            keep_instances: true,
            ask_timeout: settings.ask_timeout,
            reconnect_grace: RECONNECT_GRACE,
            stall_timeout: STALL_TIMEOUT,
        };
        Dispatch::new(options).context("model providers cannot be set up")
    }
}

fn sandbox_options(settings: &Settings, serves: bool) -> anyhow::Result<SandboxOptions> {
    let program = std::env::current_exe().context("the path of this program cannot be told")?;
    let instances = if serves { settings.instances } else { settings.instances.min(FEW_INSTANCES) };
    let engine = EngineOptions { instances, stack: settings.stack, ..EngineOptions::default() };
    let mut arguments = vec!["compile-worker".to_owned()];
    arguments.extend(worker_arguments());
    Ok(SandboxOptions {
        engine,
        cache: Some(settings.data_dir.value.join("cache")),
        compiler: Compiler::Program { path: program, arguments },
        compile_timeout: settings.compile_timeout,
        component_max: usize::try_from(settings.component_max).unwrap_or(usize::MAX),
        limits: settings.limits.clone(),
        clock: Clock::System,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::Args;

    #[test]
    fn the_engine_has_the_stack_that_the_operator_sets() {
        let args = Args::try_parse_from(["innkeeper", "serve"]).unwrap();
        let variables = [("HOME", "/proc/nobody"), ("INNKEEPER__PLUGIN__STACK", "131072")];
        let settings =
            Settings::load(&args, variables.map(|(name, value)| (name.into(), value.into())).into());
        let options = sandbox_options(&settings.unwrap(), true).unwrap();
        assert_eq!(options.engine.stack, 131_072);
    }
}
