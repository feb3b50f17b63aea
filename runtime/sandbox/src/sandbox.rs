//! The sandbox of a process: one engine, one linker, one compiler, one count of instances.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use innkeeper_host::turn::{Blobs, ChildRequest, Children, Events, TurnContext};
use innkeeper_host::{CallSetup, LiveGrants, Phase, State, Turn, linker};
use innkeeper_model::event::WireEvent;
use innkeeper_model::id::PLUGIN_ID_MAX;
use innkeeper_model::limits::Limits;
use innkeeper_model::manifest::{Kinds, Manifest};
use innkeeper_model::permission::Grants;
use innkeeper_model::receipt::Receipt;
use innkeeper_model::time::Clock;
use innkeeper_model::{Error, PluginId, Principal, UserId};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

use crate::admission::{Admission, Permit};
use crate::cache::Cache;
use crate::compile::{Compile, Compiler};
use crate::engine::{EngineOptions, engine};
use crate::error::{CallError, LoadError};
use crate::exports::{Exports, does_not_fit};
use crate::inspect::{COMPONENT_MAX, InspectError, inspect};
use crate::invocation::{Budget, Invocation};
use crate::plugin::LoadedPlugin;

/// How the sandbox is made.
#[derive(Clone, Debug)]
pub struct SandboxOptions {
    /// The engine.
    pub engine: EngineOptions,
    /// Directory for machine code; without one every start compiles anew.
    pub cache: Option<PathBuf>,
    /// Where the compiler runs.
    pub compiler: Compiler,
    /// How long it may take.
    pub compile_timeout: Duration,
    /// Largest component, in bytes.
    pub component_max: usize,
    /// The server's own limits: queue, and those of `describe`.
    pub limits: Limits,
    /// The time of day, for receipts.
    pub clock: Clock,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            engine: EngineOptions::default(),
            cache: None,
            compiler: Compiler::InProcess,
            compile_timeout: Duration::from_secs(120),
            component_max: COMPONENT_MAX,
            limits: Limits::default(),
            clock: Clock::System,
        }
    }
}

/// The sandbox of a process. Cheap to clone.
#[derive(Clone)]
pub struct Sandbox(Arc<Inner>);

struct Inner {
    engine: Engine,
    linker: Linker<State>,
    compile: Compile,
    admission: Admission,
    limits: Arc<Limits>,
    component_max: usize,
    inspecting: Arc<Semaphore>,
    clock: Clock,
    max_memory: u64,
}

impl Sandbox {
    /// Makes the engine and the linker, and opens the cache.
    pub fn new(options: SandboxOptions) -> Result<Self, LoadError> {
        let engine = engine(&options.engine).map_err(does_not_fit)?;
        let linker = linker(&engine).map_err(does_not_fit)?;
        let cache = options.cache.map(|directory| Cache::open(&directory, &engine)).transpose()?;
        Ok(Self(Arc::new(Inner {
            compile: Compile::new(options.compiler, options.compile_timeout, cache),
            admission: Admission::new(options.engine.instances),
            limits: Arc::new(options.limits),
            component_max: options.component_max,
            inspecting: Arc::new(Semaphore::new(1)),
            max_memory: options.engine.max_memory as u64,
            clock: options.clock,
            engine,
            linker,
        })))
    }

    /// Compiles (or takes from the cache) and links a component. No code of it runs.
    pub async fn load(&self, bytes: &[u8]) -> Result<Arc<LoadedPlugin>, LoadError> {
        let max = self.0.component_max;
        // One at a time, so that uploads cannot take all threads for what blocks. The semaphore is never closed.
        let turn = Arc::clone(&self.0.inspecting).acquire_owned().await;
        let inspected = {
            let bytes = bytes.to_vec();
            tokio::task::spawn_blocking(move || {
                let _turn = turn;
                inspect(&bytes, max)
            })
            .await
        };
        let inspection = inspected.map_err(|_| InspectError::Malformed {
            offset: 0,
            problem: "the component could not be looked at".to_owned(),
        })??;
        let component = self.0.compile.component(&self.0.engine, &inspection.digest, bytes).await?;
        self.link(&component, inspection.digest, inspection.kinds)
    }

    /// Links a component that was inspected when it was installed, if its machine code is in the cache.
    pub async fn load_cached(&self, digest: &str, kinds: Kinds) -> Option<Arc<LoadedPlugin>> {
        let component = self.0.compile.cached(&self.0.engine, digest).await?;
        match self.link(&component, digest.to_owned(), kinds) {
            Ok(plugin) => Some(plugin),
            Err(error) => {
                tracing::warn!(%error, digest, "cached machine code does not link");
                None
            }
        }
    }

    fn link(
        &self,
        component: &Component,
        digest: String,
        kinds: Kinds,
    ) -> Result<Arc<LoadedPlugin>, LoadError> {
        let pre = self.0.linker.instantiate_pre(component).map_err(does_not_fit)?;
        let exports = Exports::find(&pre, kinds)?;
        Ok(Arc::new(LoadedPlugin { kinds, digest, pre, exports }))
    }

    /// Asks a plugin to describe itself, in a store whose imports do not answer, and checks what it says.
    pub async fn describe(&self, plugin: &Arc<LoadedPlugin>) -> Result<Manifest, LoadError> {
        let limits = &self.0.limits;
        let budget = Budget {
            fuel: limits.describe_fuel,
            active: Duration::from_millis(limits.describe),
            waiting: Duration::ZERO,
            lent: None,
        };
        // It has no name yet, and takes no place from one that has.
        let mut nobody = format!("describe-{}", plugin.digest);
        nobody.truncate(PLUGIN_ID_MAX);
        let nobody = PluginId::parse(&nobody).map_err(innkeeper_model::manifest::ManifestError::from)?;
        let permit = self.0.admission.chain(&[(nobody.clone(), Arc::clone(limits))], None, limits).await?;
        let permit = permit.into_iter().next().ok_or(CallError::Internal)?;
        let setup = CallSetup {
            id: String::new(),
            parent: None,
            plugin: nobody,
            revision: 0,
            phase: Phase::Describe,
            turn: Arc::new(nowhere()),
            grants: Arc::new(LiveGrants::new(Grants::default())),
            limits: Arc::clone(limits),
            depth: 0,
            valves: "{}".into(),
            user_valves: "{}".into(),
        };
        let max_memory = self.0.max_memory;
        let made = Invocation::new(Arc::clone(plugin), setup, budget, permit, 0, max_memory).await;
        let described = match made {
            Ok(mut instance) => {
                instance.check_exports()?;
                instance.describe().await
            }
            Err((error, _)) => Err(error),
        };
        let raw = described.map_err(|error| match error {
            CallError::Limit("fuel") => CallError::Limit("describe-fuel"),
            CallError::Limit("active") => CallError::Limit("describe"),
            error => error,
        })?;
        Ok(raw.check(plugin.kinds)?)
    }

    /// Slots for all plugins of a turn, at once; waits in the queue.
    pub async fn admit(
        &self,
        plugins: &[(PluginId, Arc<Limits>)],
        user: Option<&UserId>,
    ) -> Result<Vec<Permit>, CallError> {
        self.0.admission.chain(plugins, user, &self.0.limits).await
    }

    /// A slot for a child, now or not at all.
    pub fn admit_child(
        &self,
        plugin: &PluginId,
        user: Option<&UserId>,
        limits: &Limits,
    ) -> Result<Permit, CallError> {
        self.0.admission.child(plugin, user, limits)
    }

    /// Makes an instance for a call.
    pub async fn instantiate(
        &self,
        plugin: &Arc<LoadedPlugin>,
        setup: CallSetup,
        budget: Budget,
        permit: Permit,
    ) -> Result<Invocation, (CallError, Receipt)> {
        let (now, max_memory) = (self.0.clock.nanos(), self.0.max_memory);
        Invocation::new(Arc::clone(plugin), setup, budget, permit, now, max_memory).await
    }

    /// Instances that could be admitted at once.
    pub fn free_instances(&self) -> usize {
        self.0.admission.free()
    }
}

/// A turn without a chat, a person, or a way out.
fn nowhere() -> Turn {
    Turn {
        id: String::new(),
        principal: Principal::Service,
        chat: None,
        message: None,
        locale: None,
        context: TurnContext::default(),
        blobs: Blobs::default(),
        events: Arc::new(Nowhere),
        children: Arc::new(Nowhere),
        cancel: CancellationToken::new(),
    }
}

struct Nowhere;

impl Events for Nowhere {
    fn emit(&self, _: WireEvent) -> futures::future::BoxFuture<'_, Result<(), Error>> {
        Box::pin(std::future::ready(Err(Error::unavailable("there is nobody to show it to", None))))
    }

    fn call(&self, _: WireEvent) -> futures::future::BoxFuture<'_, Result<serde_json::Value, Error>> {
        Box::pin(std::future::ready(Err(Error::unavailable("there is nobody to ask", None))))
    }
}

impl Children for Nowhere {
    fn submit(&self, _: ChildRequest) -> Result<(), Error> {
        Err(Error::unavailable("there is no turn to call others in", None))
    }
}
