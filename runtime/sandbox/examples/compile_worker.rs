//! The compiler in a process of its own: what `Compiler::Program` runs. The server's own program has the same as a hidden subcommand.

use std::process::ExitCode;

use innkeeper_sandbox::compile::worker_main;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match worker_main(&arguments, std::io::stdin().lock(), std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
