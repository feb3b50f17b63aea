//! `innkeeper compile-worker`: the process in which the server compiles a component, so that it can be killed.
//! It reads a component, writes machine code, and has no settings, no database and no network.

use std::io::{Read, Write};
use std::process::ExitCode;

use innkeeper_sandbox::EngineOptions;
use innkeeper_sandbox::compile::compile_worker;

/// Compiles what comes in.
pub(crate) fn run() -> ExitCode {
    match compile() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = write!(std::io::stderr(), "{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn compile() -> anyhow::Result<()> {
    let mut component = Vec::new();
    std::io::stdin().read_to_end(&mut component)?;
    let code = compile_worker(&EngineOptions::default(), &component)?;
    let mut out = std::io::stdout().lock();
    out.write_all(&code)?;
    out.flush()?;
    Ok(())
}
