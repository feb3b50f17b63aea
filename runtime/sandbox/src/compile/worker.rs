//! The compiler in a process of its own: how it is run, and what the process does.

use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::engine::EngineOptions;
use crate::error::LoadError;

/// Most memory that the compiler's process may take, in bytes of address space.
const MEMORY_MAX: u64 = 8 << 30;

/// Most of the process's complaint that is read, in bytes.
const COMPLAINT_MAX: u64 = 4096;

/// Runs the compiler's process; dropping the future kills it.
pub(super) async fn run(
    path: &Path,
    arguments: &[String],
    bytes: &[u8],
    code_max: u64,
) -> Result<Vec<u8>, LoadError> {
    let mut child = tokio::process::Command::new(path)
        .args(arguments)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| LoadError::Compile(format!("`{}` does not start: {error}", path.display())))?;
    let (Some(mut input), Some(output), Some(errors)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(LoadError::Compile("the compiler's process has no pipes".to_owned()));
    };
    let (mut code, mut problem) = (Vec::new(), Vec::new());
    let (mut output, mut errors) = (output.take(code_max.saturating_add(1)), errors.take(COMPLAINT_MAX));
    let write = async {
        // A compiler that stops reading says why on its error output.
        let _ = input.write_all(bytes).await;
        drop(input);
    };
    let ((), read, _) = tokio::join!(write, output.read_to_end(&mut code), errors.read_to_end(&mut problem));
    read.map_err(|error| LoadError::Compile(format!("the compiler's process cannot be read: {error}")))?;
    if code.len() as u64 > code_max {
        return Err(LoadError::Compile(format!(
            "its machine code has more than {code_max} bytes; make it smaller"
        )));
    }
    // A process that goes on talking would wait for a reader.
    drop((output, errors));
    let ended = child.wait().await;
    let ended =
        ended.map_err(|error| LoadError::Compile(format!("the compiler's process is lost: {error}")))?;
    if ended.success() {
        return Ok(code);
    }
    let problem = String::from_utf8_lossy(&problem);
    let problem = match problem.trim() {
        "" => "the compiler's process was ended; the component is too large for it",
        problem => problem,
    };
    Err(LoadError::Compile(super::shown(problem)))
}

/// Why the compiler's process has no machine code to give. Its text goes to the error output; the exit code is 1.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The component, or the compiler.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The pipes, or the limits of the process.
    #[error("compiler's process: {0}")]
    Io(#[from] std::io::Error),
    /// An argument that `worker_arguments` did not make.
    #[error("compiler's process: `{0}` is no number; this command is run by the server itself")]
    Argument(String),
}

/// The arguments with which `worker_main` makes machine code for an engine of these options.
pub fn worker_arguments(options: &EngineOptions) -> Vec<String> {
    vec![options.instances.to_string(), options.max_memory.to_string(), options.stack.to_string()]
}

/// All that the compiler's process does: bounds its own memory, reads a component, and writes machine code.
///
/// # Errors
/// The component's, the compiler's, and those of the pipes.
pub fn worker_main(
    arguments: &[String],
    input: impl Read,
    mut output: impl Write,
) -> Result<(), WorkerError> {
    let options = options(arguments)?;
    bound_memory()?;
    let mut bytes = Vec::new();
    input.take(crate::inspect::COMPONENT_MAX as u64 + 1).read_to_end(&mut bytes)?;
    let code = super::compile_worker(&options, &bytes)?;
    output.write_all(&code)?;
    output.flush()?;
    Ok(())
}

fn options(arguments: &[String]) -> Result<EngineOptions, WorkerError> {
    fn number<T: std::str::FromStr>(argument: Option<&String>) -> Result<T, WorkerError> {
        let text = argument.map_or("", String::as_str);
        text.parse().map_err(|_| WorkerError::Argument(super::shown(text)))
    }
    Ok(EngineOptions {
        instances: number(arguments.first())?,
        max_memory: number(arguments.get(1))?,
        stack: number(arguments.get(2))?,
    })
}

/// A component that needs more memory than this ends the process instead of the machine. No core is dumped: it would hold the component.
#[cfg(unix)]
fn bound_memory() -> std::io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let bound = |most| Rlimit { current: Some(most), maximum: Some(most) };
    setrlimit(Resource::As, bound(MEMORY_MAX))?;
    setrlimit(Resource::Core, bound(0))?;
    Ok(())
}

#[cfg(not(unix))]
fn bound_memory() -> std::io::Result<()> {
    Ok(())
}
