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
    if !has_nextest() {
        // Tests run an example as a program. The compiler's own runner makes tests of examples that it is asked for, and leaves out others.
        workspace::run(workspace::cargo().args(["build", "--workspace", "--examples"]))?;
    }
    if arguments.is_whole() {
        // Building before the servers start keeps a compile error from costing their start. Not all options of a run fit a build.
        workspace::run(runner().arg("--no-run"))?;
    }
    let databases = Databases::start(arguments.require_databases, progress)?;
    let skips = Skips::new()?;

    // A filter is for the tests of the workspace; without one, the examples and the guests' own tests run as well. They come first, so
    // that the summary of the workspace's tests, which are the most, is the last thing to be read.
    if arguments.is_whole() {
        if !arguments.no_doc {
            let mut examples = workspace::cargo();
            examples.args(["test", "--doc", "--quiet"]).args(&arguments.runner);
            databases.export(&mut examples);
            workspace::run(&mut examples)?;
        }
        let mut guests = runner();
        guests.args(["--workspace", "--manifest-path"]).arg(workspace::guests_manifest());
        guests.args(&arguments.runner);
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

impl Arguments {
    /// Whether all tests are to run: what is for the runner chooses none.
    fn is_whole(&self) -> bool {
        self.runner.iter().all(|argument| argument == "--no-fail-fast")
    }
}

fn has_nextest() -> bool {
    workspace::program("cargo-nextest").is_some()
}

/// cargo-nextest, which runs each test in a process of its own, or else `cargo test`.
fn runner() -> Command {
    let mut command = workspace::cargo();
    if has_nextest() {
        command.args(["nextest", "run"]);
    } else {
        command.args(["test", "--lib", "--bins", "--tests"]);
    }
    command
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::Arguments;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        test: Arguments,
    }

    #[test]
    fn an_option_of_the_runner_that_chooses_no_tests_runs_all() {
        for (line, whole) in [
            ("test", true),
            ("test --no-fail-fast", true),
            ("test --no-doc --no-fail-fast", true),
            ("test -p innkeeper-store", false),
            ("test --no-fail-fast -p innkeeper-store", false),
            ("test quarantine", false),
        ] {
            let arguments = Line::try_parse_from(line.split(' ')).unwrap().test;
            assert_eq!(arguments.is_whole(), whole, "{line}");
        }
    }
}
