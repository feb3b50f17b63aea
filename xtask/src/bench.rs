//! `cargo xtask bench`: measures Innkeeper beside the bare thing, and shows the ratios.
//!
//! Each crate has its own benches: those by criterion leave their estimates in [`results::criterion_folder`],
//! the others a file of their own in [`results::folder`]. This file runs them and writes what came out.

mod machine;
mod results;

use std::fs;
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail};

use self::results::Results;
use crate::databases::Databases;
use crate::progress::Progress;
use crate::{guests, workspace};

/// Where the page about performance takes its table from.
const BEGIN: &str = "<!-- measured: begin -->";
const END: &str = "<!-- measured: end -->";

/// Names a server of Open WebUI's, which is measured besides where it runs.
const PIPELINES: &str = "INNKEEPER_BENCH_PIPELINES";

/// Arguments of `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Put the table into `docs/performance.md`; fails where PostgreSQL or MariaDB is missing.
    #[arg(long)]
    write: bool,

    /// Only the bench of this name: `calls` or `served`.
    #[arg(long, conflicts_with = "write")]
    bench: Option<String>,

    /// Only questions whose names contain this.
    #[arg(conflicts_with = "write")]
    question: Option<String>,
}

/// Runs the benches, prints the table, and writes it as JSON below the target directory.
#[expect(clippy::print_stdout, reason = "the table is this task's result")]
pub(crate) fn run(arguments: &Arguments, progress: &Progress) -> Result<()> {
    let machine = machine::description()?;
    guests::run(&guests::Arguments::default(), progress)?;
    fs::create_dir_all(results::folder())
        .with_context(|| format!("cannot create `{}`", results::folder().display()))?;
    let mut command = workspace::cargo();
    command.args(["bench", "--workspace"]);
    // The pattern leaves out what `--benches` would build besides: every crate's unit tests.
    command.args(["--bench", arguments.bench.as_deref().unwrap_or("*")]);
    // A page without them would not say that they were there before.
    let databases = Databases::start(arguments.write, progress)?;
    databases.export(&mut command);
    let begun = SystemTime::now();
    command.arg("--").args(&arguments.question);
    command.env(results::FOLDER_VARIABLE, results::folder());
    command.env(results::CRITERION_VARIABLE, results::criterion_folder());
    workspace::run(&mut command)?;
    databases.warn(progress);

    let results = Results::since(begun)?;
    if results.is_empty() {
        bail!("no bench has measured anything");
    }
    let mut table = format!("{machine}\n\n{}", results.table());
    if arguments.write && workspace::variable(PIPELINES).is_none() {
        table.push_str(&format!("\nNot measured: a Pipelines server, since `{PIPELINES}` names none.\n"));
    }
    println!("{table}");
    let file = results::folder().join("results.json");
    fs::write(&file, results.json()?).with_context(|| format!("cannot write `{}`", file.display()))?;
    progress.note(&format!("as JSON: {}", file.display()));
    if arguments.write { write_page(&table) } else { Ok(()) }
}

fn write_page(table: &str) -> Result<()> {
    let file = workspace::root().join("docs/performance.md");
    let page = fs::read_to_string(&file).with_context(|| format!("cannot read `{}`", file.display()))?;
    let parts = page.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) =
        parts.with_context(|| format!("`{}` lacks `{BEGIN}` or `{END}`", file.display()))?;
    let page = format!("{before}{BEGIN}\n\n{table}\n{END}{after}");
    fs::write(&file, page).with_context(|| format!("cannot write `{}`", file.display()))
}
