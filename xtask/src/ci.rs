//! `cargo xtask ci`: what must pass before a change lands, cheap things first.
//!
//! `.ci/run` calls it on a clean machine, after installing what it needs; at home it runs the same steps.

use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::progress::{Progress, elapsed};
use crate::{demo, docs, test, tidy, workspace};

/// Arguments of `cargo xtask ci`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Skip the tests of PostgreSQL and MariaDB where no server is installed, instead of failing.
    #[arg(long)]
    allow_missing_databases: bool,
}

type Step<'a> = (&'static str, Box<dyn FnOnce() -> Result<()> + 'a>);

/// Runs each step with a heading and its time, and ends at the first that fails.
pub(crate) fn run(arguments: &Arguments, progress: &Progress) -> Result<()> {
    let tests =
        test::Arguments { require_databases: !arguments.allow_missing_databases, ..Default::default() };
    let steps: Vec<Step<'_>> = vec![
        ("fmt", Box::new(formatting)),
        ("tidy", Box::new(|| tidy::run(&tidy::Arguments::default(), progress))),
        ("clippy", Box::new(lints)),
        ("rustdoc", Box::new(documentation)),
        ("deny", Box::new(dependencies)),
        ("docs", Box::new(|| docs::run(&docs::Arguments { check: true }, progress))),
        ("test", Box::new(move || test::run(&tests, progress))),
        ("demo --once", Box::new(|| demo::run(&demo::Arguments::once(), progress))),
    ];
    let begun = Instant::now();
    for (name, body) in steps {
        progress.note(&format!("==== {name} ({} since the start)", elapsed(begun)));
        let step_begun = Instant::now();
        body().with_context(|| format!("the step `{name}` failed after {}", elapsed(step_begun)))?;
        progress.note(&format!("==== {name}: passed in {}", elapsed(step_begun)));
    }
    progress.note(&format!("==== everything passed in {}", elapsed(begun)));
    Ok(())
}

fn formatting() -> Result<()> {
    workspace::run(workspace::cargo().args(["fmt", "--all", "--check"]))?;
    let mut guests = workspace::cargo();
    guests.args(["fmt", "--all", "--check", "--manifest-path"]).arg(workspace::guests_manifest());
    workspace::run(&mut guests)
}

fn lints() -> Result<()> {
    workspace::run(workspace::cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    // On the host's target: clippy belongs to the active toolchain, which may lack the guests' target.
    let mut guests = workspace::cargo();
    guests
        .args(["clippy", "--locked", "--workspace", "--all-targets", "--manifest-path"])
        .arg(workspace::guests_manifest());
    // There the exports are left out, and with them every use of what they call.
    guests.args(["--", "-D", "warnings", "-A", "dead_code"]).env("CARGO_TARGET_DIR", workspace::guests_dir());
    // The test guests lie elsewhere, and would find the host's rules.
    guests.env("CLIPPY_CONF_DIR", workspace::root().join("sample-plugins"));
    workspace::run(&mut guests)
}

fn documentation() -> Result<()> {
    let mut command = workspace::cargo();
    workspace::run(command.args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
}

fn dependencies() -> Result<()> {
    if workspace::program("cargo-deny").is_none() {
        bail!("there is no `cargo-deny` in PATH; get it with `cargo install --locked cargo-deny`");
    }
    for manifest in [workspace::root().join("Cargo.toml"), workspace::guests_manifest()] {
        let mut command = workspace::cargo();
        command.args(["deny", "--manifest-path"]).arg(manifest);
        command.arg("--config").arg(workspace::root().join("deny.toml"));
        workspace::run(command.args(["check", "licenses", "bans", "sources"]))?;
    }
    Ok(())
}
