//! The `innkeeper` binary: reads arguments and settings, puts the levels together and starts them.
//! What it starts is the business of the crates below.

mod args;
mod compile_worker;
mod config;
mod data_dir;
mod database;
mod db;
mod key;
mod log;
mod output;
mod person;
mod plugin;
mod serve;
mod stack;
mod user;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command};
use crate::config::{SettingError, Settings};
use crate::output::Output;

/// A request makes many small allocations, often on one thread for another, which this one is made for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Something failed.
const FAILURE: u8 = 1;
/// The command or a setting makes no sense.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return refuse(&error),
    };
    if let Command::CompileWorker { arguments } = &args.command {
        return compile_worker::run(arguments);
    }
    let output = Output::new(args.json);
    match run(args, &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output.error(&error);
            ExitCode::from(if error.is::<SettingError>() { USAGE } else { FAILURE })
        }
    }
}

/// Help, which was asked for, or what is wrong with the command line.
fn refuse(error: &clap::Error) -> ExitCode {
    // Nothing could be read, so the one word that says how to answer is looked for by itself.
    let mut words = std::env::args_os().skip(1).take_while(|word| *word != "--");
    if !error.use_stderr() || !words.any(|word| word == "--json") {
        // Whoever closed the stream wants no more of it.
        let _ = error.print();
    } else {
        Output::new(true).error(&anyhow::anyhow!(args::problem(error)));
    }
    ExitCode::from(if error.use_stderr() { USAGE } else { 0 })
}

fn run(args: Args, output: &Output) -> anyhow::Result<()> {
    // The one place where the environment is read.
    let environment = std::env::vars_os().collect();
    let settings = Settings::load(&args, environment)?;
    log::start(&settings, matches!(args.command, Command::Serve(_)))?;
    // Two users of rustls could otherwise not agree on who provides it, and it panics.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match args.command {
        Command::Serve(_) => serve::run(&settings, output),
        Command::Plugin(command) => plugin::run(command, &settings, output),
        Command::User(command) => user::run(command, &settings, output),
        Command::Key(command) => key::run(command, &settings, output),
        Command::Db(command) => db::run(command, &settings, output),
        Command::CompileWorker { .. } => Ok(()),
    }
}
