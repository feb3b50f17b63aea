//! `cargo xtask demo`: from a fresh checkout to a server that has answered through sample plugins.
//!
//! Building and starting is here and in [`server`]; what is shown is in [`walkthrough`].

mod server;
mod show;
mod walkthrough;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use self::server::{Innkeeper, Server};
use crate::progress::Progress;
use crate::{guests, workspace};

/// Arguments of `cargo xtask demo`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// End after the walk-through instead of serving on.
    #[arg(long)]
    once: bool,

    /// A new or empty directory for the server's data; without it, one below the target directory, emptied first.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// The port to listen on; without it, a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,

    /// Use the server and the samples that are built already.
    #[arg(long)]
    no_build: bool,
}

impl Arguments {
    /// For a check that what the demo builds, starts and shows works.
    pub(crate) fn once() -> Self {
        Self { once: true, data_dir: None, port: 0, no_build: false }
    }
}

/// Builds, starts, installs, shows, and serves on.
pub(crate) fn run(arguments: &Arguments, progress: &Progress) -> Result<()> {
    let data_dir = data_dir(arguments.data_dir.as_deref())?;
    if !arguments.no_build {
        progress.note("building the sample plugins");
        guests::run(&guests::Arguments::default(), progress)?;
        progress.note("building the server");
        // With examples, and so with what tests need besides: another choice would be compiled with other features, and the engine twice
        // on a machine that runs the demo and the tests.
        workspace::run(workspace::cargo().args([
            "build",
            "--workspace",
            "--bin",
            "innkeeper",
            "--examples",
        ]))?;
    }

    let innkeeper = Innkeeper::new(&data_dir);
    let mut server = progress.step("starting the server", || Server::start(&innkeeper, arguments.port))?;
    let shown = set_up(&innkeeper, &server, progress).and_then(|key| {
        walkthrough::run(&server.client(&key))?;
        Ok(key)
    });
    let key = shown.with_context(|| format!("the server's log is `{}`", innkeeper.log().display()))?;
    if arguments.once {
        return progress.step("stopping the server", || server.stop());
    }
    show::way_on(server.port(), &key, &data_dir);
    server.wait()
}

/// A first admin with a key, and the samples; gives back the key.
fn set_up(innkeeper: &Innkeeper, server: &Server, progress: &Progress) -> Result<String> {
    let user = ["user", "add", "--name", "Demo", "--email", "demo@example.org", "--role", "admin"];
    innkeeper.call(&user)?;
    let key = innkeeper.call(&["key", "create", "--user", "demo@example.org", "--name", "demo"])?;
    let key = key.get("secret").and_then(|secret| secret.as_str()).context("`key create` gave no secret")?;
    let samples = samples()?;
    for (number, (name, component)) in samples.iter().enumerate() {
        progress.step(&format!("installing {name} ({} of {})", number + 1, samples.len()), || {
            innkeeper.call(&["plugin", "install", component, "--grant-requested"])
        })?;
    }
    progress.step("waiting until the server has noticed", || server.wait_for_plugins(key, samples.len()))?;
    Ok(key.to_owned())
}

/// Name and component of each sample, by name.
fn samples() -> Result<Vec<(String, String)>> {
    let sources = workspace::root().join("sample-plugins");
    let components = workspace::guests_dir().join("wasm32-wasip2/release");
    let mut samples = Vec::new();
    for entry in fs::read_dir(&sources).with_context(|| format!("cannot list `{}`", sources.display()))? {
        let path = entry?.path();
        if !path.join("Cargo.toml").is_file() {
            continue;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let component = components.join(name.replace('-', "_")).with_extension("wasm");
        samples.push((name, component.to_string_lossy().into_owned()));
    }
    samples.sort();
    Ok(samples)
}

fn data_dir(given: Option<&Path>) -> Result<PathBuf> {
    let Some(dir) = given else {
        let dir = workspace::target_dir().join("demo");
        if dir.exists() {
            fs::remove_dir_all(&dir).with_context(|| format!("cannot empty `{}`", dir.display()))?;
        }
        return Ok(dir);
    };
    if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!("`{}` is not empty; the demo starts from nothing: name a new directory", dir.display());
    }
    std::path::absolute(dir).with_context(|| format!("`{}` is no path", dir.display()))
}
