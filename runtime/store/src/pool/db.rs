//! Single statements: written once with sea-query, run on whichever backend there is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use sea_query::{Alias, Expr, ExprTrait, SelectStatement, SimpleExpr};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::lease::{Built, Lease, Statement};
use super::{Backend, Pool, Row, RowBudget, Tx};
use crate::error::StoreError;

/// Longest time that a statement may take before its connection is given up.
/// The servers' own limits are shorter; this one is for servers that do not answer at all, and for SQLite, which has none:
/// there the statement goes on to its end on its connection's thread, which is no longer counted among the pool's.
pub(super) const CLIENT_TIMEOUT: Duration = Duration::from_secs(60);

/// Longest time that a plugin's statement waits for its share of the pool.
const SHARE_TIMEOUT: Duration = Duration::from_secs(10);

/// Why shared tables may not be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// They are of a revision whose rows nobody here knows how to write.
    Unknown(String),
    /// They are of a known revision and lack columns, listed here.
    Lacking(String),
}

/// A pool with what bounds its use: a share of its connections, a budget of rows, a count of statements.
/// Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub struct Db {
    pool: Pool,
    statements: Arc<AtomicU64>,
    /// Why shared tables may not be written, where that is so.
    refused: Arc<RwLock<Option<Refusal>>>,
    /// Told when a statement met a table or column that is not there.
    schema_missing: Arc<Notify>,
    /// When a write last failed for want of space.
    full: Arc<Mutex<Option<Instant>>>,
    share: Option<Arc<Semaphore>>,
    budget: Budget,
}

/// What bounds a read.
#[derive(Clone, Debug)]
enum Budget {
    /// Nothing but the statement's own LIMIT.
    Unbounded,
    /// So many bytes for each statement.
    Each(u64),
    /// What is left for all statements together.
    Shared(Arc<RowBudget>),
}

impl Db {
    /// The whole pool, without bounds.
    pub fn new(pool: Pool) -> Self {
        Self {
            pool,
            statements: Arc::default(),
            refused: Arc::default(),
            schema_missing: Arc::default(),
            full: Arc::default(),
            share: None,
            budget: Budget::Unbounded,
        }
    }

    /// The same database through a share of its connections.
    pub fn with_share(&self, share: Arc<Semaphore>) -> Self {
        Self { share: Some(share), ..self.clone() }
    }

    /// The same database, whose reads are taken from a budget.
    pub fn with_budget(&self, budget: Arc<RowBudget>) -> Self {
        Self { budget: Budget::Shared(budget), ..self.clone() }
    }

    /// The same database, each of whose reads gives at most so many bytes.
    pub fn with_read_max(&self, bytes: u64) -> Self {
        Self { budget: Budget::Each(bytes), ..self.clone() }
    }

    /// The pool.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Which kind of database it is.
    pub fn backend(&self) -> Backend {
        self.pool.backend()
    }

    /// Statements run so far by this and all its clones; BEGIN, COMMIT and ROLLBACK are not counted.
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// Reads at most `cap` rows; the statement's LIMIT is set here.
    ///
    /// # Errors
    /// `RowLimit` and `ByteLimit` where the budget ends, and what a statement can meet.
    pub async fn fetch_all<T, F>(
        &self,
        select: &mut SelectStatement,
        cap: u64,
        map: F,
    ) -> Result<Vec<T>, StoreError>
    where
        T: Send,
        F: FnMut(&Row<'_>) -> Result<T, StoreError> + Send,
    {
        let budget = self.budget();
        let built = bounded(self.backend(), select, cap, budget.as_deref())?;
        let mut lease = self.lease().await?;
        self.count();
        self.noted(in_time(lease.rows(built, kept(cap), budget.as_deref(), map)).await)
    }

    /// Reads the first row, if there is one.
    ///
    /// # Errors
    /// As `fetch_all`.
    pub async fn fetch_optional<T, F>(
        &self,
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
    /// (MySQL counts an upsert that changed a row as two.)
    ///
    /// # Errors
    /// What a statement can meet.
    pub async fn execute(&self, statement: &impl Statement) -> Result<u64, StoreError> {
        let built = self.built(statement)?;
        let mut lease = self.lease().await?;
        self.count();
        self.noted(in_time(lease.execute(built)).await)
    }

    /// Begins a transaction that may write. On SQLite it takes the write lock at once, so that it cannot fail
    /// half-way for having read first.
    ///
    /// # Errors
    /// What a statement can meet.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        Tx::begin(self.clone(), self.lease().await?).await
    }

    /// Refuses or lets writes to shared tables, for this and all its clones; see `shape`. Whether that is a change.
    pub(crate) fn refuse_shared_writes(&self, refusal: Option<Refusal>) -> bool {
        let mut refused = self.refused.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *refused, refusal) != *refused
    }

    /// Waits until a statement of this or a clone met a table or column that is not there.
    pub(crate) async fn schema_missing(&self) {
        self.schema_missing.notified().await;
    }

    /// When a write last failed for want of space.
    pub(crate) fn last_full(&self) -> Option<Instant> {
        *self.full.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets `schema_missing` and `last_full` know.
    pub(crate) fn noted<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        match &outcome {
            Err(StoreError::SchemaMissing(_)) => self.schema_missing.notify_one(),
            Err(StoreError::Full) => {
                *self.full.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            }
            _ => {}
        }
        outcome
    }

    /// A writing statement, unless it writes to a shared table whose shape is unknown.
    pub(super) fn built(&self, statement: &impl Statement) -> Result<Built, StoreError> {
        let built = Built::new(self.backend(), statement);
        let refused = self.refused.read().unwrap_or_else(PoisonError::into_inner);
        match refused.as_ref() {
            Some(refusal) if !built.is_own() => Err(match refusal {
                Refusal::Unknown(revision) => StoreError::UnknownShape(revision.clone()),
                Refusal::Lacking(columns) => StoreError::SchemaMissing(columns.clone()),
            }),
            _ => Ok(built),
        }
    }

    /// The budget of one statement.
    pub(super) fn budget(&self) -> Option<Arc<RowBudget>> {
        match &self.budget {
            Budget::Unbounded => None,
            Budget::Each(bytes) => Some(Arc::new(RowBudget::new(u64::MAX, *bytes))),
            Budget::Shared(budget) => Some(Arc::clone(budget)),
        }
    }

    pub(super) fn count(&self) {
        self.statements.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) async fn lease(&self) -> Result<Lease, StoreError> {
        let share = self.share().await?;
        // The drivers' futures for this are large, and would be in the future of everything that reads.
        Box::pin(Lease::take(&self.pool, share)).await
    }

    async fn share(&self) -> Result<Option<OwnedSemaphorePermit>, StoreError> {
        let Some(share) = &self.share else { return Ok(None) };
        match tokio::time::timeout(SHARE_TIMEOUT, Arc::clone(share).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Some(permit)),
            Ok(Err(_)) => Err(StoreError::Busy("this plugin may not use the database any more")),
            Err(_) => Err(StoreError::Busy("this plugin's share of the connections is in use")),
        }
    }
}

/// A JSON text as a value for a JSON column. PostgreSQL needs to be told; the others keep text.
pub fn json(backend: Backend, text: impl Into<String>) -> SimpleExpr {
    let value = Expr::val(text.into());
    match backend {
        Backend::Postgres => value.cast_as(Alias::new("json")),
        Backend::Sqlite | Backend::MySql => value,
    }
}

/// A sum or count as a number that `Row::int` reads. PostgreSQL and MySQL sum integers as decimals.
pub fn bigint(backend: Backend, expr: SimpleExpr) -> SimpleExpr {
    match backend {
        Backend::Sqlite => expr,
        Backend::Postgres => expr.cast_as(Alias::new("bigint")),
        Backend::MySql => expr.cast_as(Alias::new("signed")),
    }
}

/// The statement with its LIMIT: one row above what the budget has left, so that the end of the budget shows.
pub(super) fn bounded(
    backend: Backend,
    select: &mut SelectStatement,
    cap: u64,
    budget: Option<&RowBudget>,
) -> Result<Built, StoreError> {
    let limit = limit_within(cap, budget)?;
    Ok(Built::new(backend, select.limit(limit)))
}

/// The LIMIT of a statement that may read at most `cap` rows.
pub(super) fn limit_within(cap: u64, budget: Option<&RowBudget>) -> Result<u64, StoreError> {
    match budget {
        None => Ok(cap),
        Some(budget) if budget.rows_left() == 0 => Err(StoreError::RowLimit),
        Some(budget) if budget.bytes_left() == 0 => Err(StoreError::ByteLimit),
        Some(budget) => Ok(Ord::min(cap, budget.rows_left().saturating_add(1))),
    }
}

pub(super) fn kept(cap: u64) -> usize {
    usize::try_from(cap).unwrap_or(usize::MAX)
}

/// Gives a statement up after `CLIENT_TIMEOUT`; its connection is closed, since the answer may still come.
pub(super) async fn in_time<T>(
    statement: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    tokio::time::timeout(CLIENT_TIMEOUT, statement).await.unwrap_or(Err(StoreError::Timeout))
}
