//! PostgreSQL and MariaDB servers from locally installed programs, for one test run.
//!
//! A server listens on loopback only, on a free port, with a random password, in a temporary directory,
//! as an unprivileged user where this process is root, and without care for its data: it does not sync.
//! It ends when its [`Server`] is dropped, and on Linux also when this process dies.

mod mariadb;
mod postgres;
mod process;

use std::path::PathBuf;

use self::process::{Place, Running};
use super::Backend;

/// Why a server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Its programs are not installed.
    #[error("no {server} server is installed: {get}")]
    NotInstalled {
        /// Which server.
        server: &'static str,
        /// How to get it.
        get: &'static str,
    },
    /// A file or directory of the server could not be made.
    #[error("cannot prepare `{}`", path.display())]
    Prepare {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A program could not be run.
    #[error("cannot run `{}`", program.display())]
    Run {
        /// Which one.
        program: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A program ended with an error, or too early.
    #[error("`{}` failed: {status}\n{output}", program.display())]
    Failed {
        /// Which one.
        program: PathBuf,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The last of what it wrote.
        output: String,
    },
    /// It did not get ready.
    #[error("`{}` was not ready after 60 s\n{output}", program.display())]
    Slow {
        /// Which one.
        program: PathBuf,
        /// The last of what it wrote.
        output: String,
    },
}

/// A server that runs until this is dropped.
#[derive(Debug)]
pub struct Server {
    backend: Backend,
    url: String,
    // Ends before its directory is removed: fields are dropped in this order.
    _running: Running,
    _place: Place,
}

impl Server {
    /// Starts a PostgreSQL server; takes about two seconds.
    ///
    /// # Errors
    ///
    /// [`ServerError::NotInstalled`] where there is none, and others where it does not come up.
    pub fn postgres() -> Result<Self, ServerError> {
        postgres::start()
    }

    /// Starts a MariaDB server; takes about three seconds.
    ///
    /// # Errors
    ///
    /// [`ServerError::NotInstalled`] where there is none, and others where it does not come up.
    pub fn mariadb() -> Result<Self, ServerError> {
        mariadb::start()
    }

    /// The URL of its administrator, whose password is random.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Which backend it serves.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.backend
    }
}
