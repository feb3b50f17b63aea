//! The database servers of a test run, and `cargo xtask databases`, which keeps them up for tests run by hand.
//!
//! Starting and stopping a server is left to `innkeeper-testing`.

use std::process::Command;

use anyhow::{Context as _, Result, bail};
use innkeeper_testing::databases::servers::{Server, ServerError};
use innkeeper_testing::databases::{MYSQL_URL, POSTGRES_URL, REQUIRE_DATABASES};

use crate::progress::Progress;
use crate::workspace;

/// The servers that tests use; those started here end when this is dropped.
pub(crate) struct Databases {
    urls: Vec<(&'static str, String)>,
    skipped: Vec<String>,
    is_required: bool,
    _servers: Vec<Server>,
}

impl Databases {
    /// Takes each server from its variable, or starts one from a local program, or notes that it is missing.
    pub(crate) fn start(is_required: bool, progress: &Progress) -> Result<Self> {
        let mut databases = Self { urls: Vec::new(), skipped: Vec::new(), is_required, _servers: Vec::new() };
        databases.add("PostgreSQL", POSTGRES_URL, Server::postgres, progress)?;
        databases.add("MariaDB", MYSQL_URL, Server::mariadb, progress)?;
        if is_required && !databases.skipped.is_empty() {
            bail!("all databases are required, but {}", databases.skipped.join("\nand "));
        }
        Ok(databases)
    }

    /// Tells a test run where the servers are.
    pub(crate) fn export(&self, command: &mut Command) {
        command.envs(self.urls.iter().map(|(name, url)| (*name, url)));
        if self.is_required {
            command.env(REQUIRE_DATABASES, "1");
        }
    }

    /// Says loudly which tests did not run: a skipped test passes.
    pub(crate) fn warn(&self, progress: &Progress) {
        for reason in &self.skipped {
            progress.note(&format!("*** SKIPPED: {reason} ***"));
        }
    }

    fn add(
        &mut self,
        server: &str,
        variable: &'static str,
        start: impl FnOnce() -> Result<Server, ServerError>,
        progress: &Progress,
    ) -> Result<()> {
        if let Some(url) = workspace::variable(variable) {
            progress.note(&format!("{server}: the server of `{variable}`"));
            self.urls.push((variable, url));
            return Ok(());
        }
        let started =
            progress.step(&format!("{server}: starting a throw-away server"), || match start() {
                Ok(server) => Ok(Ok(server)),
                Err(missing @ ServerError::NotInstalled { .. }) => Ok(Err(missing)),
                Err(error) => Err(error).with_context(|| format!("cannot start {server}")),
            })?;
        match started {
            Ok(server) => {
                self.urls.push((variable, server.url().to_owned()));
                self._servers.push(server);
            }
            Err(missing) => self.skipped.push(missing.to_string()),
        }
        Ok(())
    }
}

/// Keeps the servers up until the task is interrupted or its standard input ends.
#[expect(clippy::print_stdout, reason = "the variables are this task's result")]
pub(crate) fn run(progress: &Progress) -> Result<()> {
    let databases = Databases::start(false, progress)?;
    databases.warn(progress);
    for (name, url) in &databases.urls {
        println!("export {name}='{url}'");
    }
    progress.note("the servers end with this task: press Enter");
    std::io::stdin().read_line(&mut String::new()).context("cannot read standard input")?;
    Ok(())
}
