//! The compiler in a process of its own: how it is run, and what the process does.

use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::error::LoadError;

/// Most memory that the compiler's process may take, in bytes.
const MEMORY_MAX: u64 = 4 << 30;

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
    let (Some(mut input), Some(output), Some(mut errors)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(LoadError::Compile("the compiler's process has no pipes".to_owned()));
    };
    let (mut code, mut problem) = (Vec::new(), Vec::new());
    let write = async {
        // A compiler that stops reading says why on its error output.
        let _ = input.write_all(bytes).await;
        drop(input);
        Ok(())
    };
    let read = async {
        output
            .take(code_max.saturating_add(1))
            .read_to_end(&mut code)
            .await
            .map_err(|error| LoadError::Compile(format!("the compiler's process cannot be read: {error}")))?;
        if code.len() as u64 <= code_max {
            return Ok(());
        }
        Err(LoadError::Compile(format!("its machine code has more than {code_max} bytes; make it smaller")))
    };
    let complain = async {
        // What is beyond the first words is read all the same: a process that waits for a reader does not end.
        let _ = (&mut errors).take(COMPLAINT_MAX).read_to_end(&mut problem).await;
        let _ = tokio::io::copy(&mut errors, &mut tokio::io::sink()).await;
        Ok(())
    };
    tokio::try_join!(write, read, complain)?;
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

/// The arguments with which `worker_main` is run.
pub fn worker_arguments() -> Vec<String> {
    vec![MEMORY_MAX.to_string()]
}

/// All that the compiler's process does: bounds its own memory, reads a component, and writes machine code.
/// What it is given was inspected; `arguments` are the bound, in bytes.
///
/// # Errors
/// The component's, the compiler's, and those of the pipes.
pub fn worker_main(
    arguments: &[String],
    mut input: impl Read,
    mut output: impl Write,
) -> Result<(), WorkerError> {
    let most = arguments.first().map_or("", String::as_str);
    bound_memory(most.parse().map_err(|_| WorkerError::Argument(super::shown(most)))?)?;
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes)?;
    let code = super::compile_worker(&bytes)?;
    output.write_all(&code)?;
    output.flush()?;
    Ok(())
}

/// A component that needs more memory than this ends the process instead of the machine. No core is dumped: it would hold the component.
/// Only memory that can be written counts: threads reserve address space by the gigabyte that they never use.
#[cfg(unix)]
fn bound_memory(most: u64) -> std::io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let bound = |most| Rlimit { current: Some(most), maximum: Some(most) };
    setrlimit(Resource::Data, bound(most))?;
    setrlimit(Resource::Core, bound(0))?;
    Ok(())
}

#[cfg(not(unix))]
fn bound_memory(_: u64) -> std::io::Result<()> {
    Ok(())
}
