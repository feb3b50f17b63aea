//! `cargo xtask test`: everything that tests need, then every test.

use std::process::Command;

use anyhow::Result;

use crate::databases::Databases;
use crate::progress::Progress;
use crate::skips::Skips;
use crate::{guests, workspace};

/// Arguments of `cargo xtask test`.
#[derive(clap::Args, Default)]
pub(crate) struct Arguments {
    /// Fail where PostgreSQL or MariaDB is missing, instead of skipping their tests.
    #[arg(long)]
    pub(crate) require_databases: bool,

    /// Do not run the examples in documentation.
    #[arg(long)]
    pub(crate) no_doc: bool,

    /// Use the guests that are built already.
    #[arg(long)]
    pub(crate) no_guests: bool,

    /// Filters and options for the test runner, for example `-p innkeeper-store`, or the part of a test's name.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) runner: Vec<String>,
}

/// Gets what is missing, builds the guests, runs the tests.
pub(crate) fn run(arguments: &Arguments, progress: &Progress) -> Result<()> {
    if !arguments.no_guests {
        guests::run(&guests::Arguments::default(), progress)?;
    }
    if arguments.runner.is_empty() {
        // Building before the servers start keeps a compile error from costing their start. Not all options of a run fit a build.
        workspace::run(runner().arg("--no-run"))?;
    }
    let databases = Databases::start(arguments.require_databases, progress)?;
    let skips = Skips::new()?;

    // A filter is for the tests of the workspace; without one, the examples and the guests' own tests are part of
    // "every test" and come first, so that the summary of the most is the last thing to be read.
    if arguments.runner.is_empty() {
        if !arguments.no_doc {
            let mut examples = workspace::cargo();
            examples.args(["test", "--doc", "--quiet"]);
            databases.export(&mut examples);
            workspace::run(&mut examples)?;
        }
        let mut guests = runner();
        guests.args(["--workspace", "--manifest-path"]).arg(workspace::guests_manifest());
        workspace::run(guests.env("CARGO_TARGET_DIR", workspace::guests_dir()))?;
    }
    let mut tests = runner();
    tests.args(&arguments.runner);
    databases.export(&mut tests);
    skips.export(&mut tests);
    let outcome = workspace::run(&mut tests);
    databases.warn(progress);
    skips.warn(progress)?;
    outcome
}

/// cargo-nextest, which runs each test in a process of its own, or else `cargo test`.
fn runner() -> Command {
    let mut command = workspace::cargo();
    if workspace::program("cargo-nextest").is_some() {
        command.args(["nextest", "run"]);
    } else {
        command.args(["test", "--lib", "--bins", "--tests"]);
    }
    command
}
