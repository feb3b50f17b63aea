//! Developer tasks of the workspace, run as `cargo xtask <task>`.
//!
//! Each task is one file; this one only reads the command line.

#![expect(clippy::disallowed_methods, reason = "tasks read the environment, as build tools do")]

mod bench;
mod ci;
mod databases;
mod demo;
mod docs;
mod guests;
mod http;
mod progress;
mod skips;
mod test;
mod tidy;
mod wasm_toolchain;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::progress::Progress;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "Developer tasks of Innkeeper",
    disable_version_flag = true
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build everything, start a server with the samples, and show what they do.
    Demo(demo::Arguments),
    /// Get what tests need and run every test.
    Test(test::Arguments),
    /// Keep throw-away database servers up, for tests run by hand.
    Databases,
    /// Measure beside the bare thing, and show the ratios.
    Bench(bench::Arguments),
    /// Run everything that must pass before a change lands.
    Ci(ci::Arguments),
    /// Check the rules that a compiler does not know.
    Tidy(tidy::Arguments),
    /// Write the documents that are made from the contract and the code.
    Docs(docs::Arguments),
    /// Build the sample plugins and the test guests as WebAssembly components.
    Guests(guests::Arguments),
}

fn main() -> ExitCode {
    let progress = Progress::new();
    let outcome = match Arguments::parse().task {
        Task::Demo(arguments) => demo::run(&arguments, &progress),
        Task::Test(arguments) => test::run(&arguments, &progress),
        Task::Databases => databases::run(&progress),
        Task::Bench(arguments) => bench::run(&arguments, &progress),
        Task::Ci(arguments) => ci::run(&arguments, &progress),
        Task::Tidy(arguments) => tidy::run(&arguments, &progress),
        Task::Docs(arguments) => docs::run(&arguments, &progress),
        Task::Guests(arguments) => guests::run(&arguments, &progress),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            for cause in error.chain().skip(1) {
                eprintln!("  {cause}");
            }
            ExitCode::FAILURE
        }
    }
}
