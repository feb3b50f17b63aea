//! Opens SQLite files.
//! The journal mode is set on new files only: another program may have an existing one open, and follows its own.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Row as _, SqliteConnection, SqlitePool};
use tokio::time::Instant;

use super::{Backend, Options};
use crate::error::StoreError;
use crate::url::SqliteFile;

/// The first release whose WAL is safe when two connections write and checkpoint at once.
const MIN_VERSION: [u32; 3] = [3, 51, 3];

/// Pause between attempts to switch a new file to WAL; SQLite's own waiting does not cover that.
const WAL_PAUSE: Duration = Duration::from_millis(20);

pub(super) async fn connect(file: &SqliteFile, options: &Options) -> Result<SqlitePool, StoreError> {
    let size = tokio::fs::metadata(&file.path).await.map(|found| found.len()).ok();
    if size.is_none() && (!options.create || file.read_only) {
        return Err(unreachable(&file.path, "there is no such file"));
    }
    let mut connect = SqliteConnectOptions::new()
        .filename(&file.path)
        .create_if_missing(!file.read_only && options.create)
        .read_only(file.read_only)
        .busy_timeout(options.lock_timeout)
        .synchronous(SqliteSynchronous::Normal)
        .pragma("cache_size", "-16384")
        .pragma("temp_store", "MEMORY")
        .foreign_keys(false)
        .disable_statement_logging();
    if let Some(pages) = options.sqlite_max_pages {
        connect = connect.pragma("max_page_count", pages.to_string());
    }
    let adopted = probe(&file.path, &connect, size.unwrap_or(0) == 0 && !file.read_only, options).await?;
    // Open WebUI never enforces foreign keys on SQLite, so its own rows may break them.
    let connect = connect.foreign_keys(!adopted);
    let idle_test = options.idle_test;
    let pool = SqlitePoolOptions::new()
        .max_connections(options.max_connections.max(1))
        .acquire_timeout(options.acquire_timeout)
        .test_before_acquire(false)
        .before_acquire(move |connection, meta| {
            Box::pin(async move { Ok(meta.idle_for < idle_test || connection.ping().await.is_ok()) })
        });
    Ok(pool.connect_lazy_with(connect))
}

/// Opens the file once, makes it WAL if it is new, and finds out whether it is Open WebUI's.
async fn probe(
    path: &Path,
    connect: &SqliteConnectOptions,
    new: bool,
    options: &Options,
) -> Result<bool, StoreError> {
    let failed = |error| match StoreError::from_driver(Backend::Sqlite, error) {
        StoreError::Unreachable { reason, .. } => unreachable(path, &reason),
        StoreError::Corrupt { reason, .. } => {
            StoreError::corrupt(format!("database `{}`", path.display()), reason)
        }
        other => other,
    };
    let mut connection = SqliteConnection::connect_with(connect).await.map_err(failed)?;
    let version = sqlx::query("SELECT sqlite_version()").fetch_one(&mut connection).await.map_err(failed)?;
    let version: String = version.try_get(0).map_err(failed)?;
    if number(&version) < MIN_VERSION {
        return Err(StoreError::Unsupported(format!(
            "SQLite {version} is too old; build with 3.51.3 or later"
        )));
    }
    if new {
        begin_wal(&mut connection, options.lock_timeout).await.map_err(failed)?;
    }
    let owner = "SELECT (SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version') > 0 \
                 AND (SELECT count(*) FROM sqlite_master WHERE name = 'innkeeper_migration') = 0 AS theirs, \
                 (SELECT count(*) FROM sqlite_master WHERE name = 'innkeeper_migration') > 0 AS ours";
    let row = sqlx::query(owner).fetch_one(&mut connection).await.map_err(failed)?;
    let (theirs, ours): (bool, bool) = (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
    let mut adopted = theirs;
    if ours {
        let made = "SELECT count(*) FROM innkeeper_migration WHERE stream = 'shared'";
        let made: i64 = sqlx::query_scalar(made).fetch_one(&mut connection).await.map_err(failed)?;
        adopted = made == 0;
    }
    connection.close().await.map_err(failed)?;
    Ok(adopted)
}

/// Switches a new file to write-ahead logging; others may be doing the same at this moment.
async fn begin_wal(connection: &mut SqliteConnection, patience: Duration) -> Result<(), sqlx::Error> {
    let deadline = Instant::now() + patience;
    loop {
        let set = sqlx::query("PRAGMA journal_mode = WAL").execute(&mut *connection).await;
        let busy = matches!(&set, Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("5"));
        if !busy || Instant::now() >= deadline {
            return set.map(drop);
        }
        tokio::time::sleep(WAL_PAUSE).await;
    }
}

fn number(version: &str) -> [u32; 3] {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}

fn unreachable(path: &Path, reason: &str) -> StoreError {
    StoreError::Unreachable { backend: Backend::Sqlite, reason: format!("`{}`: {reason}", path.display()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert!(number("3.51.3") >= MIN_VERSION);
        assert!(number("3.100.0") > MIN_VERSION);
        assert!(number("3.9.9") < MIN_VERSION);
        assert!(number("") < MIN_VERSION);
    }
}
