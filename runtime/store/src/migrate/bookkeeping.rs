//! What was run on a database: the table `innkeeper_migration`, which is not itself a migration.

use innkeeper_model::time::UnixSeconds;
use sea_query::{Alias, Expr, ExprTrait, Order, Query};

use super::owner;
use super::plan::Direction;
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
    /// How far a run came that was cut off. None for a run that ended, and everywhere but on MySQL.
    pub progress: Option<Progress>,
}

/// How far a run came on MySQL, whose schema changes are not transactional.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Which way it went.
    pub direction: Direction,
    /// How many statements are done.
    pub done: usize,
    /// Whether the next one had been begun, so that it may be done as well.
    pub in_doubt: bool,
}

impl Progress {
    /// As one number: twice the statements that are done, one more in doubt; on the way down negative, from -1.
    fn number(self) -> i64 {
        let done = i64::try_from(self.done).unwrap_or(i64::MAX / 4);
        let number = done * 2 + i64::from(self.in_doubt);
        if self.direction == Direction::Up { number } else { -1 - number }
    }

    fn from_number(number: i64) -> Self {
        let (direction, number) =
            if number >= 0 { (Direction::Up, number) } else { (Direction::Down, -1 - number) };
        Self { direction, done: usize::try_from(number / 2).unwrap_or(0), in_doubt: number % 2 == 1 }
    }
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
        .columns(
            ["stream", "version", "name", "checksum", "oldest_program", "program", "applied_at", "progress"]
                .map(Alias::new),
        )
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
                progress: row.int_opt("progress")?.map(Progress::from_number),
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
    progress: Option<Progress>,
) -> Result<(), StoreError> {
    let values: [Expr; 8] = [
        migration.stream.as_str().into(),
        migration.version.into(),
        migration.name.as_ref().into(),
        migration.checksum(session.backend()).into(),
        migration.oldest_program.as_ref().into(),
        program.into(),
        at.into(),
        Expr::val(progress.map(Progress::number)),
    ];
    let insert = Query::insert()
        .into_table(Alias::new(TABLE))
        .columns(
            ["stream", "version", "name", "checksum", "oldest_program", "program", "applied_at", "progress"]
                .map(Alias::new),
        )
        .values(values)
        .map_err(|error| StoreError::Invalid(error.to_string()))?
        .to_owned();
    session.execute(&insert).await.map(drop)
}

pub(super) async fn set_progress(
    session: &mut Session,
    migration: &Migration,
    progress: Option<Progress>,
) -> Result<(), StoreError> {
    let update = Query::update()
        .table(Alias::new(TABLE))
        .value(Alias::new("progress"), progress.map(Progress::number))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_comes_back_from_its_number() {
        for direction in [Direction::Up, Direction::Down] {
            for done in [0, 1, 7] {
                for in_doubt in [false, true] {
                    let progress = Progress { direction, done, in_doubt };
                    assert_eq!(Progress::from_number(progress.number()), progress);
                }
            }
        }
    }
}
