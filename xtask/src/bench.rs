//! `cargo xtask bench`: measures Innkeeper beside the bare thing, and shows the ratios.
//!
//! The measurements are the benches of this package: those by criterion leave their estimates below the target
//! directory, the others a file of their own (see [`results`]). This file runs them and writes what came out.

mod machine;
mod results;

use std::fs;
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail};

use self::results::Results;
use crate::progress::Progress;
use crate::{guests, workspace};

/// Where the page about performance takes its table from.
const BEGIN: &str = "<!-- measured: begin -->";
const END: &str = "<!-- measured: end -->";

/// Arguments of `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Put the table into `docs/performance.md`.
    #[arg(long)]
    write: bool,

    /// Only the bench of this name, such as `calls`.
    #[arg(long)]
    bench: Option<String>,

    /// More arguments for the benches.
    #[arg(last = true)]
    criterion: Vec<String>,
}

/// Runs the benches, prints the table, and writes it as JSON below the target directory.
#[expect(clippy::print_stdout, reason = "the table is this task's result")]
pub(crate) fn run(arguments: &Arguments, progress: &Progress) -> Result<()> {
    guests::run(&guests::Arguments::default(), progress)?;
    let begun = SystemTime::now();
    let mut command = workspace::cargo();
    command.args(["bench", "--package", "xtask"]);
    match &arguments.bench {
        Some(bench) => command.args(["--bench", bench]),
        None => command.arg("--benches"),
    };
    command.arg("--").args(&arguments.criterion).env(results::FOLDER_VARIABLE, results::folder());
    workspace::run(&mut command)?;

    let results = Results::since(begun)?;
    if results.is_empty() {
        bail!("no bench has measured anything");
    }
    let table = format!("{}\n\n{}", machine::description()?, results.table());
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
