//! Compiles components, with a bound on time and on how many at once, and keeps the machine code on disk.
//!
//! The compiler's run time is not bounded by what the engine promises, so a stranger's component is compiled by another process where the program can start one.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::cache::Cache;
use crate::error::LoadError;

/// Where the compiler runs.
#[derive(Clone, Debug)]
pub enum Compiler {
    /// On a thread of this process; one that takes too long goes on, its result unused.
    InProcess,
    /// In a process of its own, which is killed when it takes too long. It reads a component and writes machine code: `compile_worker`.
    Program {
        /// The program.
        path: PathBuf,
        /// Its arguments.
        arguments: Vec<String>,
    },
}

/// Compiles one component at a time.
pub(crate) struct Compile {
    compiler: Compiler,
    timeout: Duration,
    cache: Option<Cache>,
    turn: Semaphore,
}

impl Compile {
    pub(crate) fn new(compiler: Compiler, timeout: Duration, cache: Option<Cache>) -> Self {
        Self { compiler, timeout, cache, turn: Semaphore::new(1) }
    }

    /// Machine code for a component that was inspected, from the cache if it is there.
    pub(crate) async fn component(&self, engine: &Engine, digest: &str, bytes: &[u8]) -> Result<Component, LoadError> {
        if let Some(component) = self.cached(engine, digest) {
            return Ok(component);
        }
        let _turn = self.turn.acquire().await;
        // Another call may have compiled the same while this one waited.
        if let Some(component) = self.cached(engine, digest) {
            return Ok(component);
        }
        let code = tokio::time::timeout(self.timeout, self.compile(engine, bytes))
            .await
            .map_err(|_| LoadError::CompileTime(self.timeout.as_secs()))??;
        if let Some(cache) = &self.cache {
            cache.put(digest, &code)?;
            if let Some(component) = cache.get(engine, digest) {
                return Ok(component);
            }
        }
        crate::machine_code::load(engine, &code).map_err(|error| LoadError::Compile(format!("{error:#}")))
    }

    fn cached(&self, engine: &Engine, digest: &str) -> Option<Component> {
        self.cache.as_ref()?.get(engine, digest)
    }

    async fn compile(&self, engine: &Engine, bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
        match &self.compiler {
            Compiler::InProcess => {
                let (engine, bytes) = (engine.clone(), bytes.to_vec());
                let compiled = tokio::task::spawn_blocking(move || engine.precompile_component(&bytes)).await;
                let compiled = compiled.map_err(|_| LoadError::Compile("the compiler crashed".to_owned()))?;
                compiled.map_err(|error| LoadError::Compile(format!("{error:#}")))
            }
            Compiler::Program { path, arguments } => worker(path, arguments, bytes).await,
        }
    }
}

async fn worker(path: &std::path::Path, arguments: &[String], bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
    let mut child = tokio::process::Command::new(path)
        .args(arguments)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let (Some(mut input), Some(mut output), Some(mut errors)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(LoadError::Compile("the compiler's process has no pipes".to_owned()));
    };
    let (mut code, mut problem) = (Vec::new(), String::new());
    let mut errors = (&mut errors).take(4096);
    let write = async {
        // A compiler that stops reading says why on its error output.
        let _ = input.write_all(bytes).await;
        drop(input);
    };
    let ((), read, read_errors) =
        tokio::join!(write, output.read_to_end(&mut code), errors.read_to_string(&mut problem));
    read?;
    let _ = read_errors;
    if child.wait().await?.success() {
        return Ok(code);
    }
    let problem = problem.trim();
    let problem = if problem.is_empty() { "the compiler's process was ended; the component is too large for it" } else { problem };
    Err(LoadError::Compile(innkeeper_host::log::escape(problem)))
}

/// What the compiler's process does: machine code for the component, or why there is none.
pub fn compile_worker(options: &crate::EngineOptions, bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
    crate::inspect::inspect(bytes, crate::inspect::COMPONENT_MAX)?;
    let engine = crate::engine::compiler(options).map_err(|error| LoadError::Compile(format!("{error:#}")))?;
    engine.precompile_component(bytes).map_err(|error| LoadError::Compile(format!("{error:#}")))
}
