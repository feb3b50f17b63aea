//! What can go wrong with the database, sorted by what a caller can do about it.
//! Messages hold no passwords and no stored values; drivers' own errors stay behind `source` or are dropped.

use crate::pool::Backend;

mod classify;

/// Why the store could not do something.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database URL cannot be understood.
    #[error("database URL: {0}")]
    Url(String),
    /// Nobody answers, or the login is refused.
    #[error(
        "{backend} database cannot be reached: {reason}; check the database URL, and that the server runs"
    )]
    Unreachable {
        /// Which kind of database.
        backend: Backend,
        /// In the driver's words.
        reason: String,
    },
    /// Another program holds a lock, or all connections are taken.
    #[error("database is busy: {0}; try again")]
    Busy(&'static str),
    /// A statement took longer than allowed.
    #[error("database did not answer in time; try again")]
    Timeout,
    /// The database, its file or its folder cannot be written.
    #[error("database is read-only: {0}")]
    ReadOnly(String),
    /// There is no space left. Reads still work.
    #[error("database has no space left; free some, no restart is needed")]
    Full,
    /// A newer program has changed the database.
    #[error(
        "database was changed by migration `{migration}`, which needs innkeeper {needed} or later; this is {program}; \
         run the newer program, or restore a backup from before"
    )]
    TooNew {
        /// The migration that this program cannot live with.
        migration: String,
        /// The oldest program that can.
        needed: String,
        /// This program's version.
        program: String,
    },
    /// A table or column that is needed is not there.
    #[error("database lacks {0}; run `innkeeper db upgrade`, or upgrade the program that owns the table")]
    SchemaMissing(String),
    /// The database belongs to somebody else.
    #[error("database is not empty and not Open WebUI's (it has a table `{0}`); name an empty database")]
    Occupied(String),
    /// The driver or server is too old or too different.
    #[error("{0}")]
    Unsupported(String),
    /// Shared tables have a shape that this program does not know, so they are not written.
    #[error("shared tables are of an unknown revision `{0}` and are only read; upgrade innkeeper")]
    UnknownShape(String),
    /// A name or id is taken, or a race was lost.
    #[error("{0} conflicts with what is stored; read it again")]
    Conflict(String),
    /// There is nothing of that id, or nothing that the principal may touch.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// More rows than the budget has.
    #[error("more database rows than the limit `rows` allows")]
    RowLimit,
    /// More bytes than the budget has.
    #[error("more bytes of database rows than the limit `row-bytes` allows")]
    ByteLimit,
    /// A quota is used up.
    #[error("the limit `{0}` is reached")]
    Quota(&'static str),
    /// An argument that cannot be stored or asked for.
    #[error("{0}")]
    Invalid(String),
    /// A stored value that cannot be read.
    #[error("stored {what} cannot be read: {reason}")]
    Corrupt {
        /// Which value.
        what: String,
        /// Why.
        reason: String,
    },
    /// Files beside the database failed.
    #[error("file storage: {0}")]
    Storage(#[from] std::io::Error),
    /// A migration could not be run or undone.
    #[error(transparent)]
    Migrate(#[from] crate::migrate::MigrateError),
    /// Anything else that the database answered.
    #[error("{backend} error {code}: {message}")]
    Backend {
        /// Which kind of database.
        backend: Backend,
        /// Its error code, or `-`.
        code: String,
        /// Its message, cut to 300 characters.
        message: String,
        /// The driver's error.
        #[source]
        source: Box<sqlx::Error>,
    },
}

impl StoreError {
    /// Whether the same call can work later without anybody changing its arguments.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Busy(_)
                | Self::Timeout
                | Self::Unreachable { .. }
                | Self::Full
                | Self::ReadOnly(_)
                | Self::UnknownShape(_)
        )
    }

    /// A stored value that cannot be read.
    pub fn corrupt(what: impl Into<String>, reason: impl ToString) -> Self {
        Self::Corrupt { what: what.into(), reason: reason.to_string() }
    }

    /// Sorts a driver's error.
    pub(crate) fn from_driver(backend: Backend, error: sqlx::Error) -> Self {
        classify::classify(backend, error)
    }
}
