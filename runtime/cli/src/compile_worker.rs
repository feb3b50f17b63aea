//! `innkeeper compile-worker`: the process in which the server compiles a component, so that it can be killed.
//! It reads a component, writes machine code, and has no settings, no database and no network.

use std::io::Write;
use std::process::ExitCode;

use innkeeper_sandbox::compile::worker_main;

/// Compiles what comes in.
pub(crate) fn run(arguments: &[String]) -> ExitCode {
    match worker_main(arguments, std::io::stdin().lock(), std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = write!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}
