//! `cargo xtask guests`: builds the sample plugins and the test guests for `wasm32-wasip2`.
//!
//! Leaves getting a compiler to [`crate::wasm_toolchain`].

use anyhow::Result;

use crate::progress::Progress;
use crate::wasm_toolchain::{TARGET, WasmToolchain};
use crate::workspace;

/// Arguments of `cargo xtask guests`.
#[derive(clap::Args, Default)]
pub(crate) struct Arguments {
    /// Only check that the guests compile.
    #[arg(long)]
    check: bool,

    /// More arguments for cargo, for example `-- -p calculator`.
    #[arg(last = true)]
    cargo: Vec<String>,
}

/// Builds what has changed since the last time.
pub(crate) fn run(arguments: &Arguments, progress: &Progress) -> Result<()> {
    let toolchain = WasmToolchain::find_or_get(progress)?;
    let mut command = workspace::cargo();
    command.arg(if arguments.check { "check" } else { "build" });
    command.args(["--release", "--target", TARGET, "--manifest-path"]).arg(workspace::guests_manifest());
    toolchain.prepare(&mut command)?;
    command.env("CARGO_TARGET_DIR", workspace::guests_dir());
    if !arguments.cargo.iter().any(|argument| argument == "-p" || argument.starts_with("--package")) {
        command.arg("--workspace");
    }
    command.args(&arguments.cargo);
    workspace::run(&mut command)
}
