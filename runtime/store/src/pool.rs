//! The pool: three drivers behind one enum, opened with the settings that each needs.
//! What runs on it is in `db` (single statements), `tx` (transactions) and `row` (reading values).

mod budget;
mod db;
pub(crate) mod known;
pub(crate) mod lease;
mod mysql;
mod options;
mod postgres;
mod row;
mod sqlite;
mod tx;

use std::fmt;

use sqlx::{MySqlPool, PgPool, SqlitePool};

pub use self::budget::RowBudget;
pub(crate) use self::db::Refusal;
pub use self::db::{Db, bigint, json};
pub use self::lease::Statement;
pub use self::options::Options;
pub use self::row::Row;
pub use self::tx::Tx;
use crate::error::StoreError;
use crate::url::{Target, parse};

/// Which kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// SQLite, in this process.
    Sqlite,
    /// PostgreSQL 13 or later.
    Postgres,
    /// MySQL 8 or MariaDB 10.6 or later.
    MySql,
}

impl Backend {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Sqlite, Self::Postgres, Self::MySql];
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
            Self::MySql => "MySQL",
        })
    }
}

/// Connections to one database. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Pool {
    /// To an SQLite file.
    Sqlite(SqlitePool),
    /// To a PostgreSQL server.
    Postgres(PgPool),
    /// To a MySQL or MariaDB server.
    MySql(MySqlPool),
}

impl Pool {
    /// Which kind of database it is.
    pub fn backend(&self) -> Backend {
        match self {
            Self::Sqlite(_) => Backend::Sqlite,
            Self::Postgres(_) => Backend::Postgres,
            Self::MySql(_) => Backend::MySql,
        }
    }

    /// How many connections it opens at most.
    pub fn max_connections(&self) -> u32 {
        match self {
            Self::Sqlite(pool) => pool.options().get_max_connections(),
            Self::Postgres(pool) => pool.options().get_max_connections(),
            Self::MySql(pool) => pool.options().get_max_connections(),
        }
    }

    /// How many connections are open and in use at present.
    pub fn in_use(&self) -> u32 {
        let (open, idle) = match self {
            Self::Sqlite(pool) => (pool.size(), pool.num_idle()),
            Self::Postgres(pool) => (pool.size(), pool.num_idle()),
            Self::MySql(pool) => (pool.size(), pool.num_idle()),
        };
        open.saturating_sub(u32::try_from(idle).unwrap_or(u32::MAX))
    }

    /// Closes all connections; waits for those in use.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
            Self::MySql(pool) => pool.close().await,
        }
    }

    /// What a failure to take a connection means: taken by others, or not to be had at all.
    pub(crate) fn acquire_error(&self, error: sqlx::Error) -> StoreError {
        let exhausted = self.in_use() >= self.max_connections();
        match error {
            sqlx::Error::PoolTimedOut if !exhausted => StoreError::Unreachable {
                backend: self.backend(),
                reason: "no connection could be opened in time".to_owned(),
            },
            other => StoreError::from_driver(self.backend(), other),
        }
    }
}

/// Opens a pool and proves with one connection that the database can be used.
/// A new SQLite file is made; the schema is left to `migrate`.
///
/// # Errors
/// `Url`, `Unreachable`, `Busy`, `ReadOnly`, `Full`, `Unsupported`, `Corrupt` (not a database file).
pub async fn connect(options: &Options) -> Result<Pool, StoreError> {
    match parse(&options.url)? {
        Target::Sqlite(file) => sqlite::connect(&file, options).await.map(Pool::Sqlite),
        Target::Postgres(url) => postgres::connect(&url, options).await.map(Pool::Postgres),
        Target::MySql(url) => mysql::connect(&url, options).await.map(Pool::MySql),
    }
}
