//! `cargo xtask guests`: builds the sample plugins and the test guests for `wasm32-wasip2`.
//!
//! Leaves getting a compiler to [`crate::wasm_toolchain`].

use std::fs;

use anyhow::{Context as _, Result};

use crate::progress::Progress;
use crate::wasm_toolchain::{TARGET, WasmToolchain};
use crate::workspace;

/// Arguments of `cargo xtask guests`.
#[derive(clap::Args, Default)]
pub(crate) struct Arguments {
    /// Only check that the guests compile.
    #[arg(long)]
    check: bool,

    /// Print the environment for calling cargo by hand instead of building.
    #[arg(long)]
    print_env: bool,

    /// More arguments for cargo, for example `-- -p calculator`.
    #[arg(last = true)]
    cargo: Vec<String>,
}

/// Builds what has changed since the last time.
pub(crate) fn run(arguments: &Arguments, progress: &Progress) -> Result<()> {
    let toolchain = WasmToolchain::find_or_get(progress)?;
    if arguments.print_env {
        return print_environment(&toolchain);
    }
    if !has_members()? {
        progress.note("no guests in `sample-plugins` or `runtime/testing/guests`: nothing to build");
        return Ok(());
    }
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

/// Cargo refuses a workspace without members, which is what a new checkout could have.
fn has_members() -> Result<bool> {
    for dir in ["sample-plugins", "runtime/testing/guests"] {
        let dir = workspace::root().join(dir);
        if !dir.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&dir).with_context(|| format!("cannot list `{}`", dir.display()))? {
            if entry?.path().join("Cargo.toml").is_file() {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

#[expect(clippy::print_stdout, reason = "the variables are this task's result")]
fn print_environment(toolchain: &WasmToolchain) -> Result<()> {
    let mut command = workspace::cargo();
    toolchain.prepare(&mut command)?;
    command.env("CARGO_TARGET_DIR", workspace::guests_dir());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => println!("export {}='{}'", name.display(), value.display()),
            None => println!("unset {}", name.display()),
        }
    }
    println!("# cargo build --release --target {TARGET} {}", toolchain.cargo_arguments().join(" "));
    Ok(())
}
