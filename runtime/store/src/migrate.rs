//! Makes and changes the schema: files with an up and a down part, in two streams, under a lock that is checked.
//!
//! The stream `shared` has Open WebUI's tables and is run on an empty database only; on a database that Open WebUI
//! made, nothing here runs, records or takes back anything of its part. The stream `innkeeper` has our own tables.

mod bookkeeping;
mod embedded;
mod engine;
mod error;
mod owner;
mod plan;
mod preview;
mod script;
mod session;
mod set;

use innkeeper_model::time::Clock;

pub use self::bookkeeping::{Applied, Progress};
pub use self::error::MigrateError;
pub use self::owner::Owner;
pub use self::plan::{Direction, Plan, Step};
pub use self::preview::preview_sql;
pub use self::set::{Migration, MigrationSet, Scripts, Stream};
use crate::error::StoreError;
use crate::pool::Pool;

/// This program's version, as migrations record it.
pub const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// Where to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Everything that this program knows, in both streams.
    Latest,
    /// One stream, up or down to this version; 0 takes all of it back.
    Version(Stream, i64),
}

/// What has been done to a database.
#[derive(Clone, Debug)]
pub struct Current {
    /// Whose the shared tables are.
    pub owner: Owner,
    /// What was run, by stream and version.
    pub applied: Vec<Applied>,
}

/// What a run did.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The steps that were taken, in order.
    pub done: Vec<Step>,
    /// What an operator should know.
    pub warnings: Vec<String>,
}

/// What has been done to a database. Changes nothing.
///
/// # Errors
/// What a statement can meet.
pub async fn current(pool: &Pool) -> Result<Current, StoreError> {
    MigrationSet::embedded().current(pool).await
}

/// What `upgrade` or `downgrade` would do. Changes nothing.
///
/// # Errors
/// As `upgrade` and `downgrade`, without the lock.
pub async fn plan(pool: &Pool, direction: Direction, target: Target) -> Result<Plan, StoreError> {
    MigrationSet::embedded().plan(pool, direction, target).await
}

/// Runs what is missing, up to a target. Several servers may do this at once; one does the work.
///
/// # Errors
/// `TooNew`, `Occupied`, `Busy`, `Full`, `ReadOnly`, and `Migrate` for a script that failed, a changed script, an
/// unknown target or a lock that was not to be had.
pub async fn upgrade(pool: &Pool, clock: &Clock, target: Target) -> Result<Report, StoreError> {
    MigrationSet::embedded().upgrade(pool, clock, target).await
}

/// Takes back what lies above a target. What the tables hold is lost.
///
/// # Errors
/// As `upgrade`; `Migrate` where a migration has no way back or is Open WebUI's.
pub async fn downgrade(
    pool: &Pool,
    clock: &Clock,
    stream: Stream,
    version: i64,
) -> Result<Report, StoreError> {
    MigrationSet::embedded().downgrade(pool, clock, stream, version).await
}

/// Whether this program can run on the database as it is. Changes nothing.
///
/// # Errors
/// `TooNew` where a migration needs a newer program; `SchemaMissing` where one has not been run;
/// `Migrate` where one was cut off or its script has changed.
pub async fn ensure_supported(pool: &Pool) -> Result<(), StoreError> {
    MigrationSet::embedded().ensure_supported(pool).await
}
