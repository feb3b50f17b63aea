//! What migrations there are.

use std::borrow::Cow;
use std::fmt;

use super::embedded;
use crate::pool::Backend;

/// Which part of the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stream {
    /// Open WebUI's tables.
    Shared,
    /// Our own tables.
    Innkeeper,
}

/// One change of the schema.
#[derive(Clone, Debug)]
pub struct Migration {
    /// Which part of the schema.
    pub stream: Stream,
    /// Its place in the stream, from 1.
    pub version: i64,
    /// What it does, in a few words.
    pub name: Cow<'static, str>,
    /// The oldest program that can run on its result.
    pub oldest_program: Cow<'static, str>,
    /// SQLite's scripts.
    pub sqlite: Scripts,
    /// PostgreSQL's scripts.
    pub postgres: Scripts,
    /// MySQL's scripts.
    pub mysql: Scripts,
}

/// How to make and take back a change on one backend.
#[derive(Clone, Debug)]
pub struct Scripts {
    /// Makes it.
    pub up: Cow<'static, str>,
    /// Takes it back; none where that cannot be done.
    pub down: Option<Cow<'static, str>>,
}

/// Migrations, and the version of the program that knows them.
#[derive(Clone, Debug)]
pub struct MigrationSet {
    pub(super) migrations: Cow<'static, [Migration]>,
    pub(super) program: Cow<'static, str>,
}

impl Stream {
    /// Both, in the order in which they are run.
    pub const ALL: [Self; 2] = [Self::Shared, Self::Innkeeper];

    /// Its name in files and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Innkeeper => "innkeeper",
        }
    }

    /// The stream of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stream| stream.as_str() == name)
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Migration {
    /// Its scripts for a backend.
    pub fn scripts(&self, backend: Backend) -> &Scripts {
        match backend {
            Backend::Sqlite => &self.sqlite,
            Backend::Postgres => &self.postgres,
            Backend::MySql => &self.mysql,
        }
    }

    /// BLAKE3 of the script that makes it, 64 hexadecimal digits.
    pub fn checksum(&self, backend: Backend) -> String {
        blake3::hash(self.scripts(backend).up.as_bytes()).to_hex().to_string()
    }

    /// How messages name it.
    pub fn label(&self) -> String {
        label(self.stream.as_str(), self.version, &self.name)
    }
}

impl MigrationSet {
    /// The migrations that this program was built with.
    pub fn embedded() -> Self {
        Self { migrations: Cow::Borrowed(embedded::MIGRATIONS), program: Cow::Borrowed(super::PROGRAM) }
    }

    /// Other migrations, as a program of some version would know them.
    pub fn new(migrations: Vec<Migration>, program: impl Into<Cow<'static, str>>) -> Self {
        Self { migrations: Cow::Owned(migrations), program: program.into() }
    }

    /// The migrations, by stream and version.
    pub fn migrations(&self) -> &[Migration] {
        &self.migrations
    }

    pub(super) fn find(&self, stream: Stream, version: i64) -> Option<&Migration> {
        self.migrations.iter().find(|migration| migration.stream == stream && migration.version == version)
    }

    pub(super) fn of(&self, stream: Stream) -> impl DoubleEndedIterator<Item = &Migration> {
        self.migrations.iter().filter(move |migration| migration.stream == stream)
    }
}

pub(super) fn label(stream: &str, version: i64, name: &str) -> String {
    format!("{stream}/{version:04}_{name}")
}
