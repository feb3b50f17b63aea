//! How to open a pool.

use std::fmt;
use std::time::Duration;

/// Settings of a pool.
#[derive(Clone)]
pub struct Options {
    /// The database, in the forms that Open WebUI's `DATABASE_URL` has. It may hold a password.
    pub url: String,
    /// How many connections are opened at most.
    pub max_connections: u32,
    /// How long to wait for a connection.
    pub acquire_timeout: Duration,
    /// How long a server may take for a statement; none means no limit. SQLite knows no such limit.
    pub statement_timeout: Option<Duration>,
    /// How long a statement waits for another program's lock.
    pub lock_timeout: Duration,
    /// How long a connection may lie idle before it is tested on its next use.
    pub idle_test: Duration,
    /// Makes a missing SQLite file. Off for commands that only look.
    pub create: bool,
    /// Lets an SQLite file grow to so many pages and no further; a full disk in small.
    pub sqlite_max_pages: Option<u32>,
}

impl Options {
    /// The defaults, for a database.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            max_connections: 8,
            acquire_timeout: Duration::from_secs(10),
            statement_timeout: Some(Duration::from_secs(30)),
            lock_timeout: Duration::from_secs(5),
            idle_test: Duration::from_secs(30),
            create: true,
            sqlite_max_pages: None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("url", &crate::url::redact(&self.url))
            .field("max_connections", &self.max_connections)
            .field("acquire_timeout", &self.acquire_timeout)
            .field("statement_timeout", &self.statement_timeout)
            .finish_non_exhaustive()
    }
}
