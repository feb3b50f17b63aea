//! Transactions. One that is dropped is rolled back; one that is dropped in the middle of a statement loses its
//! connection, and the database rolls it back.

use sea_query::SelectStatement;

use super::db::{bounded, in_time, kept};
use super::lease::{Lease, Statement};
use super::{Backend, Db, Row};
use crate::error::StoreError;

/// A transaction that may write.
pub struct Tx {
    db: Db,
    lease: Option<Lease>,
    /// A statement failed. PostgreSQL would answer COMMIT with a silent rollback; here no backend does.
    failed: bool,
}

impl Tx {
    pub(super) async fn begin(db: Db, mut lease: Lease) -> Result<Self, StoreError> {
        let begin = match lease.backend() {
            Backend::Sqlite => "BEGIN IMMEDIATE",
            Backend::Postgres => "BEGIN",
            Backend::MySql => "START TRANSACTION",
        };
        in_time(lease.command(begin)).await?;
        Ok(Self { db, lease: Some(lease), failed: false })
    }

    /// Which kind of database it is.
    pub fn backend(&self) -> Backend {
        self.db.backend()
    }

    /// Reads at most `cap` rows, for the store's own purposes and outside of any budget; the statement's LIMIT is set here.
    ///
    /// # Errors
    /// What a statement can meet. The transaction can then only be rolled back.
    pub async fn fetch_all<T, F>(
        &mut self,
        select: &mut SelectStatement,
        cap: u64,
        map: F,
    ) -> Result<Vec<T>, StoreError>
    where
        T: Send,
        F: FnMut(&Row<'_>) -> Result<T, StoreError> + Send,
    {
        let built = bounded(self.backend(), select, cap, None)?;
        let Self { db, lease, failed } = self;
        db.count();
        let rows = in_time(open(lease)?.rows(built, kept(cap), None, map)).await;
        *failed |= rows.is_err();
        db.noted(rows)
    }

    /// Reads the first row, if there is one.
    ///
    /// # Errors
    /// As `fetch_all`.
    pub async fn fetch_optional<T, F>(
        &mut self,
        select: &mut SelectStatement,
        map: F,
    ) -> Result<Option<T>, StoreError>
    where
        T: Send,
        F: FnMut(&Row<'_>) -> Result<T, StoreError> + Send,
    {
        Ok(self.fetch_all(select, 1, map).await?.pop())
    }

    /// Runs a statement; the number of rows that it found, made or ended.
    ///
    /// # Errors
    /// What a statement can meet. The transaction can then only be rolled back.
    pub async fn execute(&mut self, statement: &impl Statement) -> Result<u64, StoreError> {
        let built = self.db.built(statement)?;
        self.db.count();
        let done = in_time(open(&mut self.lease)?.execute(built)).await;
        self.failed |= done.is_err();
        self.db.noted(done)
    }

    /// Keeps what was written.
    ///
    /// # Errors
    /// What a statement can meet; after `Timeout` and `Unreachable` it is unknown whether it was kept.
    /// `Invalid` where a statement failed before; nothing is kept then.
    pub async fn commit(self) -> Result<(), StoreError> {
        if self.failed {
            return Err(StoreError::Invalid(
                "a transaction with a failed statement cannot be kept".to_owned(),
            ));
        }
        self.end("COMMIT").await
    }

    /// Takes back what was written. Dropping does the same, only later.
    ///
    /// # Errors
    /// What a statement can meet; it is taken back all the same.
    pub async fn rollback(self) -> Result<(), StoreError> {
        self.end("ROLLBACK").await
    }

    async fn end(mut self, command: &'static str) -> Result<(), StoreError> {
        let ended = in_time(open(&mut self.lease)?.command(command)).await;
        if let Some(mut lease) = self.lease.take()
            && ended.is_err()
        {
            lease.discard();
        }
        self.db.noted(ended)
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        let Some(mut lease) = self.lease.take() else { return };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) if !lease.is_under_way() => {
                drop(runtime.spawn(async move {
                    if in_time(lease.command("ROLLBACK")).await.is_err() {
                        lease.discard();
                    }
                }));
            }
            _ => lease.discard(),
        }
    }
}

fn open(lease: &mut Option<Lease>) -> Result<&mut Lease, StoreError> {
    lease.as_mut().ok_or(StoreError::Busy("the transaction is over"))
}
