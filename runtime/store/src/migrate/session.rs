//! The one connection of a run. It is closed at the end, however the run ends, and its locks go with it.

use sea_query::{Alias, Expr, Query, SelectStatement};
use sqlx::AssertSqlSafe;
use tokio::time::Instant;

use super::error::MigrateError;
use crate::error::StoreError;
use crate::lock::{self, FileLock};
use crate::pool::lease::{Built, Lease, Statement};
use crate::pool::{Backend, Pool, Row};

/// The one connection of a run.
pub(super) struct Session {
    lease: Lease,
    held: Held,
}

/// What keeps other programs out.
enum Held {
    Nothing,
    File { _lock: FileLock },
    Postgres { process: i64 },
    MySql { name: String },
}

impl Session {
    pub(super) async fn open(pool: &Pool) -> Result<Self, StoreError> {
        Ok(Self { lease: Lease::take(pool, None).await?, held: Held::Nothing })
    }

    pub(super) fn backend(&self) -> Backend {
        self.lease.backend()
    }

    /// Keeps other programs from migrating until this session ends.
    pub(super) async fn lock(&mut self, pool: &Pool) -> Result<(), StoreError> {
        // Changing a large table takes as long as it takes.
        match self.backend() {
            Backend::Sqlite => self.command("PRAGMA foreign_keys = OFF").await?,
            Backend::Postgres => self.command("SET statement_timeout = 0").await?,
            Backend::MySql => {
                // MySQL's own limit is on reads alone; MariaDB's ends a change of a table too.
                if self.text("version()").await?.to_ascii_lowercase().contains("mariadb") {
                    self.command("SET SESSION max_statement_time = 0").await?;
                }
            }
        }
        let deadline = Instant::now() + lock::PATIENCE;
        self.held = match pool {
            Pool::Sqlite(pool) => {
                let path = pool.connect_options().get_filename().to_owned();
                Held::File { _lock: FileLock::take(&path, deadline).await? }
            }
            Pool::Postgres(_) => {
                while self.number(&lock::postgres_take()).await? != 1 {
                    lock::wait(deadline).await?;
                }
                Held::Postgres { process: self.number(&lock::postgres_process()).await? }
            }
            Pool::MySql(_) => {
                let name = self.text(&lock::mysql_name()).await?;
                while self.number(&lock::mysql_take(&name)).await? != 1 {
                    lock::wait(deadline).await?;
                }
                Held::MySql { name }
            }
        };
        Ok(())
    }

    /// Fails if the lock is not this connection's any more.
    pub(super) async fn check_lock(&mut self) -> Result<(), StoreError> {
        let held = match &self.held {
            Held::Nothing => false,
            Held::File { .. } => true,
            Held::Postgres { process } => {
                let process = *process;
                self.number(&lock::postgres_process()).await? == process
                    && self.number(&lock::postgres_held()).await? > 0
            }
            Held::MySql { name } => {
                let held = lock::mysql_held(name);
                self.number(&held).await? == 1
            }
        };
        if held { Ok(()) } else { Err(MigrateError::LockLost.into()) }
    }

    /// Ends the session in good order, so that the lock is free when this returns.
    pub(super) async fn close(mut self) -> Result<(), StoreError> {
        match &self.held {
            Held::Nothing | Held::File { .. } => {}
            Held::Postgres { .. } => {
                self.number(&lock::postgres_release()).await?;
            }
            Held::MySql { name } => {
                let release = lock::mysql_release(name);
                self.number(&release).await?;
            }
        }
        self.held = Held::Nothing;
        Ok(())
    }

    /// Runs SQL of our own.
    pub(super) async fn command(&mut self, sql: &str) -> Result<(), StoreError> {
        self.lease.command(AssertSqlSafe(sql.to_owned())).await
    }

    pub(super) async fn execute(&mut self, statement: &impl Statement) -> Result<u64, StoreError> {
        let built = Built::new(self.backend(), statement);
        self.lease.execute(built).await
    }

    pub(super) async fn rows<T, F>(&mut self, select: &SelectStatement, map: F) -> Result<Vec<T>, StoreError>
    where
        T: Send,
        F: FnMut(&Row<'_>) -> Result<T, StoreError> + Send,
    {
        let built = Built::new(self.backend(), select);
        self.lease.rows(built, usize::MAX, None, map).await
    }

    /// The number that an expression gives; 0 for NULL.
    pub(super) async fn number(&mut self, sql: &str) -> Result<i64, StoreError> {
        let rows = self.rows(&value(sql), |row| row.int_opt("value")).await?;
        Ok(rows.into_iter().flatten().next().unwrap_or(0))
    }

    async fn text(&mut self, sql: &str) -> Result<String, StoreError> {
        let rows = self.rows(&value(sql), |row| row.text_opt("value")).await?;
        Ok(rows.into_iter().flatten().next().unwrap_or_default())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.lease.discard();
    }
}

fn value(sql: &str) -> SelectStatement {
    Query::select().expr_as(Expr::cust(sql.to_owned()), Alias::new("value")).to_owned()
}
