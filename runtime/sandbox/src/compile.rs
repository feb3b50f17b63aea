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

/// Machine code may have so many bytes for each of its component's, of which the samples need 7 at most, and some that a small one needs.
const CODE_PER_BYTE: u64 = 32;
const CODE_BASE: u64 = 4 << 20;

/// Compiles one component at a time.
pub(crate) struct Compile {
    compiler: Compiler,
    timeout: Duration,
    cache: Option<Arc<Cache>>,
    turn: Arc<Semaphore>,
}

impl Compile {
    pub(crate) fn new(compiler: Compiler, timeout: Duration, cache: Option<Cache>) -> Self {
        Self { compiler, timeout, cache: cache.map(Arc::new), turn: Arc::new(Semaphore::new(1)) }
    }

    /// Machine code for a component that was inspected, from the cache if it is there.
    pub(crate) async fn component(
        &self,
        engine: &Engine,
        digest: &str,
        bytes: &[u8],
    ) -> Result<Component, LoadError> {
        if let Some(component) = self.cached(engine, digest).await {
            return Ok(component);
        }
        let too_long = |_| LoadError::CompileTime(self.timeout.as_secs());
        let compile = async {
            let turn = Arc::clone(&self.turn).acquire_owned().await;
            let turn = turn.map_err(|_| LoadError::Compile("the server is stopping".to_owned()))?;
            // Another call may have compiled the same while this one waited.
            if let Some(component) = self.cached(engine, digest).await {
                return Ok(component);
            }
            // Waiting for others does not count.
            let code = tokio::time::timeout(self.timeout, self.compile(engine, bytes, turn)).await;
            let code = code.map_err(too_long)??;
            let (cache, engine, digest) = (self.cache.clone(), engine.clone(), digest.to_owned());
            blocking(move || {
                if let Some(cache) = cache {
                    keep(&cache, &digest, &code);
                }
                crate::machine_code::load(&engine, &code)
                    .map_err(|error| LoadError::Compile(shown(&format!("{error:#}"))))
            })
            .await?
        };
        // Unless the others never end.
        tokio::time::timeout(self.timeout.saturating_mul(4), compile).await.map_err(too_long)?
    }

    pub(crate) async fn cached(&self, engine: &Engine, digest: &str) -> Option<Component> {
        let (cache, engine, digest) = (Arc::clone(self.cache.as_ref()?), engine.clone(), digest.to_owned());
        blocking(move || cache.get(&engine, &digest)).await.ok().flatten()
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
                let compiled = blocking(move || {
                    // A compiler that nobody waits for any more still takes its turn.
                    let _turn = turn;
                    engine.precompile_component(&bytes)
                });
                compiled.await?.map_err(|error| LoadError::Compile(shown(&format!("{error:#}"))))
            }
            Compiler::Program { path, arguments } => {
                let _turn = turn;
                let code_max = (bytes.len() as u64).saturating_mul(CODE_PER_BYTE).saturating_add(CODE_BASE);
                worker::run(path, arguments, bytes, code_max).await
            }
        }
    }
}

/// A cache that cannot be written, because the disk is full or read-only, costs time and nothing else.
fn keep(cache: &Cache, digest: &str, code: &[u8]) {
    if let Err(error) = cache.put(digest, code) {
        tracing::warn!(%error, digest, "machine code could not be kept; it is compiled again at the next start");
    }
}

/// Work on what may be gigabytes, on a thread that nobody waits for but the caller.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, LoadError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| LoadError::Compile("the compiler crashed".to_owned()))
}

/// What the compiler's process does: machine code for the component, or why there is none.
pub fn compile_worker(bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
    let failed = |error: wasmtime::Error| LoadError::Compile(format!("{error:#}"));
    crate::engine::compiler().and_then(|engine| engine.precompile_component(bytes)).map_err(failed)
}

/// The compiler's words, which may quote the component.
fn shown(problem: &str) -> String {
    innkeeper_host::log::escape(problem)
}
