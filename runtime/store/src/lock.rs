//! What keeps two programs from migrating one database at once. Each kind ends with its connection or process.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::StoreError;
use crate::migrate::MigrateError;

/// How long a run waits for another one.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Pause between attempts.
const PAUSE: Duration = Duration::from_millis(50);

/// Number of the advisory lock on PostgreSQL; such locks are apart for each database.
const POSTGRES_KEY: i64 = 0x1e6e_6b65_6570_6572;

/// A lock on a file beside the database. SQLite's own lock is given back after each transaction.
pub(crate) struct FileLock {
    file: File,
}

impl FileLock {
    pub(crate) async fn take(database: &Path, deadline: Instant) -> Result<Self, StoreError> {
        let path = beside(database);
        let file =
            OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(|error| {
                match error.kind() {
                    std::io::ErrorKind::StorageFull => StoreError::Full,
                    _ => StoreError::ReadOnly(format!("`{}`: {error}", path.display())),
                }
            })?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { file }),
                Err(TryLockError::WouldBlock) => wait(deadline).await?,
                Err(TryLockError::Error(error)) => return Err(StoreError::Storage(error)),
            }
        }
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Closing the file gives the lock back too.
        drop(self.file.unlock());
    }
}

/// Waits a little, or fails once the deadline is over.
pub(crate) async fn wait(deadline: Instant) -> Result<(), StoreError> {
    if Instant::now() >= deadline {
        return Err(MigrateError::Locked(PATIENCE.as_secs()).into());
    }
    tokio::time::sleep(PAUSE).await;
    Ok(())
}

pub(crate) fn postgres_take() -> String {
    format!("CASE WHEN pg_try_advisory_lock({POSTGRES_KEY}) THEN 1 ELSE 0 END")
}

pub(crate) fn postgres_release() -> String {
    format!("CASE WHEN pg_advisory_unlock({POSTGRES_KEY}) THEN 1 ELSE 0 END")
}

pub(crate) fn postgres_process() -> String {
    "pg_backend_pid()".to_owned()
}

pub(crate) fn postgres_held() -> String {
    format!(
        "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid() \
         AND classid = {} AND objid = {})",
        POSTGRES_KEY >> 32,
        POSTGRES_KEY & 0xffff_ffff,
    )
}

/// Locks of MySQL are the server's, so their name holds the database's.
pub(crate) fn mysql_name() -> String {
    "CONCAT('innkeeper.', MD5(DATABASE()))".to_owned()
}

/// Waits up to 10 s. A negative time-out, for ever, is an error on MariaDB that gives NULL.
pub(crate) fn mysql_take(name: &str) -> String {
    format!("GET_LOCK('{name}', 10)")
}

pub(crate) fn mysql_release(name: &str) -> String {
    format!("RELEASE_LOCK('{name}')")
}

pub(crate) fn mysql_held(name: &str) -> String {
    format!("CASE WHEN IS_USED_LOCK('{name}') = CONNECTION_ID() THEN 1 ELSE 0 END")
}

fn beside(database: &Path) -> PathBuf {
    let mut name = database.file_name().unwrap_or_default().to_owned();
    name.push("-migrate.lock");
    database.with_file_name(name)
}
