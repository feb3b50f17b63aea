//! Why a migration was not run or not taken back.

use super::set::Stream;
use crate::error::StoreError;

/// Why a migration was not run or not taken back.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// There is none of that number.
    #[error("stream `{stream}` has no migration {version}; `innkeeper db current` lists them")]
    UnknownTarget {
        /// Which stream.
        stream: Stream,
        /// What was asked for.
        version: i64,
    },
    /// There is no way back.
    #[error("migration `{0}` cannot be undone; restore a backup instead")]
    NoWayBack(String),
    /// It was run by a program that knows more.
    #[error(
        "migration `{0}` is not known to this program; run the program that ran it, or restore a backup from before"
    )]
    Unknown(String),
    /// The script is not the one that was run.
    #[error(
        "migration `{0}` has changed since it was run on this database; run the program whose script it was, \
         a changed script is never run over an old one"
    )]
    Drift(String),
    /// Open WebUI made the tables.
    #[error("the shared tables are Open WebUI's; upgrade or roll them back with Open WebUI")]
    NotOurs,
    /// Another program migrates and does not end.
    #[error("another program holds the migration lock for more than {0} s; wait for it, or end it")]
    Locked(u64),
    /// The connection is not the one that took the lock.
    #[error(
        "the migration lock was lost, the connection changed below it; migrate without a connection pooler in \
         transaction mode"
    )]
    LockLost,
    /// It was cut off, on a database without transactional schema changes.
    #[error("migration `{0}` was cut off; run `innkeeper db upgrade` to finish it")]
    CutOff(String),
    /// Rows would refer to rows that are gone.
    #[error("migration `{0}` would leave rows that refer to nothing; it was taken back")]
    BrokenReferences(String),
    /// A statement failed.
    #[error("migration `{migration}`, statement {statement}: {source}")]
    Failed {
        /// Which migration.
        migration: String,
        /// Which statement, from 1.
        statement: usize,
        /// How.
        source: Box<StoreError>,
    },
}
