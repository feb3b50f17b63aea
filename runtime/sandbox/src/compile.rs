//! Compiles components, with a bound on time and on how many at once, and keeps the machine code on disk.
//!
//! The compiler's run time is not bounded by what the engine promises, so a stranger's component is compiled by another process where the program can start one.

mod worker;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::Engine;
use wasmtime::component::Component;

pub use self::worker::{WorkerError, worker_arguments, worker_main};
use crate::cache::Cache;
use crate::error::LoadError;

/// Where the compiler runs.
#[derive(Clone, Debug)]
pub enum Compiler {
    /// On a thread of this process; one that takes too long goes on, its result unused, and the next waits for it.
    InProcess,
    /// In a process of its own, which is killed when it takes too long. It reads a component and writes machine code: `worker_main`.
    Program {
        /// The program.
        path: PathBuf,
        /// Its arguments.
        arguments: Vec<String>,
    },
}

/// Machine code of a component may have so many times the component's largest size.
const CODE_PER_BYTE: u64 = 32;

/// Compiles one component at a time.
pub(crate) struct Compile {
    compiler: Compiler,
    timeout: Duration,
    cache: Option<Cache>,
    code_max: u64,
    turn: Arc<Semaphore>,
}

impl Compile {
    pub(crate) fn new(
        compiler: Compiler,
        timeout: Duration,
        cache: Option<Cache>,
        component_max: usize,
    ) -> Self {
        let code_max = (component_max as u64).saturating_mul(CODE_PER_BYTE);
        Self { compiler, timeout, cache, code_max, turn: Arc::new(Semaphore::new(1)) }
    }

    /// Machine code for a component that was inspected, from the cache if it is there.
    pub(crate) async fn component(
        &self,
        engine: &Engine,
        digest: &str,
        bytes: &[u8],
    ) -> Result<Component, LoadError> {
        if let Some(component) = self.cached(engine, digest) {
            return Ok(component);
        }
        let too_long = |_| LoadError::CompileTime(self.timeout.as_secs());
        let compile = async {
            let turn = Arc::clone(&self.turn).acquire_owned().await;
            let turn = turn.map_err(|_| LoadError::Compile("the server is stopping".to_owned()))?;
            // Another call may have compiled the same while this one waited.
            if let Some(component) = self.cached(engine, digest) {
                return Ok(component);
            }
            // Waiting for others does not count.
            let code = tokio::time::timeout(self.timeout, self.compile(engine, bytes, turn)).await;
            let code = code.map_err(too_long)??;
            self.keep(digest, &code);
            crate::machine_code::load(engine, &code)
                .map_err(|error| LoadError::Compile(shown(&format!("{error:#}"))))
        };
        // Unless the others never end.
        tokio::time::timeout(self.timeout.saturating_mul(4), compile).await.map_err(too_long)?
    }

    pub(crate) fn cached(&self, engine: &Engine, digest: &str) -> Option<Component> {
        self.cache.as_ref()?.get(engine, digest)
    }

    /// A cache that cannot be written, because the disk is full or read-only, costs time and nothing else.
    fn keep(&self, digest: &str, code: &[u8]) {
        if let Some(cache) = &self.cache
            && let Err(error) = cache.put(digest, code)
        {
            tracing::warn!(%error, digest, "machine code could not be kept; it is compiled again at the next start");
        }
    }

    async fn compile(
        &self,
        engine: &Engine,
        bytes: &[u8],
        turn: OwnedSemaphorePermit,
    ) -> Result<Vec<u8>, LoadError> {
        match &self.compiler {
            Compiler::InProcess => {
                let (engine, bytes) = (engine.clone(), bytes.to_vec());
                let compiled = tokio::task::spawn_blocking(move || {
                    // A compiler that nobody waits for any more still takes its turn.
                    let _turn = turn;
                    engine.precompile_component(&bytes)
                });
                let compiled =
                    compiled.await.map_err(|_| LoadError::Compile("the compiler crashed".to_owned()))?;
                compiled.map_err(|error| LoadError::Compile(shown(&format!("{error:#}"))))
            }
            Compiler::Program { path, arguments } => {
                let _turn = turn;
                worker::run(path, arguments, bytes, self.code_max).await
            }
        }
    }
}

/// What the compiler's process does: machine code for the component, or why there is none.
pub fn compile_worker(options: &crate::EngineOptions, bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
    crate::inspect::inspect(bytes, crate::inspect::COMPONENT_MAX)?;
    let engine =
        crate::engine::compiler(options).map_err(|error| LoadError::Compile(format!("{error:#}")))?;
    engine.precompile_component(bytes).map_err(|error| LoadError::Compile(format!("{error:#}")))
}

/// The compiler's words, which may quote the component.
fn shown(problem: &str) -> String {
    innkeeper_host::log::escape(problem)
}
