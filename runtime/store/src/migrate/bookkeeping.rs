//! What was run on a database: the table `innkeeper_migration`, which is not itself a migration.

use innkeeper_model::time::UnixSeconds;
use sea_query::{Alias, Expr, ExprTrait, Order, Query};

use super::owner;
use super::session::Session;
use super::set::{Migration, label};
use crate::error::StoreError;
use crate::pool::Backend;

pub(super) const TABLE: &str = "innkeeper_migration";

/// A migration that was run on a database, perhaps by another version of this program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Its stream.
    pub stream: String,
    /// Its place in the stream.
    pub version: i64,
    /// Its name.
    pub name: String,
    /// BLAKE3 of the script that was run.
    pub checksum: String,
    /// The oldest program that can run on its result.
    pub oldest_program: String,
    /// The program that ran it.
    pub program: String,
    /// When.
    pub applied_at: UnixSeconds,
    /// On MySQL, whose schema changes are not transactional: how many statements are done of a run that was cut off,
    /// and negative, less one, of one that was being taken back. None for a run that ended.
    pub progress: Option<i64>,
}

impl Applied {
    /// How messages name it.
    pub fn label(&self) -> String {
        label(&self.stream, self.version, &self.name)
    }
}

/// What was run, by stream and version; nothing where the table is not there yet.
pub(super) async fn read(session: &mut Session) -> Result<Vec<Applied>, StoreError> {
    if !owner::tables(session).await?.iter().any(|table| table == TABLE) {
        return Ok(Vec::new());
    }
    let select = Query::select()
        .columns(["stream", "version", "name", "checksum", "oldest_program", "program", "applied_at", "progress"].map(Alias::new))
        .from(Alias::new(TABLE))
        .order_by(Alias::new("stream"), Order::Asc)
        .order_by(Alias::new("version"), Order::Asc)
        .to_owned();
    session
        .rows(&select, |row| {
            Ok(Applied {
                stream: row.text("stream")?,
                version: row.int("version")?,
                name: row.text("name")?,
                checksum: row.text("checksum")?,
                oldest_program: row.text("oldest_program")?,
                program: row.text("program")?,
                applied_at: row.int("applied_at")?,
                progress: row.int_opt("progress")?,
            })
        })
        .await
}

/// The statement that makes the table.
pub(super) fn create(backend: Backend) -> String {
    let tail = match backend {
        Backend::MySql => " ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin",
        Backend::Sqlite | Backend::Postgres => "",
    };
    format!(
        "CREATE TABLE IF NOT EXISTS {TABLE} (stream VARCHAR(16) NOT NULL, version BIGINT NOT NULL, \
         name VARCHAR(128) NOT NULL, checksum VARCHAR(64) NOT NULL, oldest_program VARCHAR(32) NOT NULL, \
         program VARCHAR(32) NOT NULL, applied_at BIGINT NOT NULL, progress BIGINT, PRIMARY KEY (stream, version)){tail}"
    )
}

pub(super) async fn add(
    session: &mut Session,
    migration: &Migration,
    program: &str,
    at: UnixSeconds,
    progress: Option<i64>,
) -> Result<(), StoreError> {
    let values: [Expr; 8] = [
        migration.stream.as_str().into(),
        migration.version.into(),
        migration.name.as_ref().into(),
        migration.checksum(session.backend()).into(),
        migration.oldest_program.as_ref().into(),
        program.into(),
        at.into(),
        Expr::val(progress),
    ];
    let insert = Query::insert()
        .into_table(Alias::new(TABLE))
        .columns(["stream", "version", "name", "checksum", "oldest_program", "program", "applied_at", "progress"].map(Alias::new))
        .values(values)
        .map_err(|error| StoreError::Invalid(error.to_string()))?
        .to_owned();
    session.execute(&insert).await.map(drop)
}

pub(super) async fn set_progress(
    session: &mut Session,
    migration: &Migration,
    progress: Option<i64>,
) -> Result<(), StoreError> {
    let update = Query::update()
        .table(Alias::new(TABLE))
        .value(Alias::new("progress"), progress)
        .and_where(Expr::col(Alias::new("stream")).eq(migration.stream.as_str()))
        .and_where(Expr::col(Alias::new("version")).eq(migration.version))
        .to_owned();
    session.execute(&update).await.map(drop)
}

pub(super) async fn remove(session: &mut Session, migration: &Migration) -> Result<(), StoreError> {
    let delete = Query::delete()
        .from_table(Alias::new(TABLE))
        .and_where(Expr::col(Alias::new("stream")).eq(migration.stream.as_str()))
        .and_where(Expr::col(Alias::new("version")).eq(migration.version))
        .to_owned();
    session.execute(&delete).await.map(drop)
}
