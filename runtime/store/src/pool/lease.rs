//! A connection that is taken from the pool for a while.
//! One that is dropped in the middle of a statement is closed rather than given back, so that the next user never
//! meets the rest of somebody else's answer.

use futures::TryStreamExt;
use sea_query::{
    DeleteStatement, InsertStatement, MysqlQueryBuilder, PostgresQueryBuilder, SelectStatement,
    SqliteQueryBuilder, UpdateStatement, WithQuery,
};
use sea_query_sqlx::{SqlxBinder, SqlxValues};
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Database, MySql, Postgres, SqlSafeStr, Sqlite};
use tokio::sync::OwnedSemaphorePermit;

use super::row::Raw;
use super::{Backend, Pool, Row, RowBudget};
use crate::error::StoreError;

/// A connection of one of the three drivers, on loan.
pub(crate) enum Lease {
    Sqlite(Loan<Sqlite>),
    Postgres(Loan<Postgres>),
    MySql(Loan<MySql>),
}

/// A connection on loan, and whether a statement is under way on it.
pub(crate) struct Loan<DB: Database> {
    connection: Option<PoolConnection<DB>>,
    under_way: bool,
    // After the connection, so that the share is given back last.
    _share: Option<OwnedSemaphorePermit>,
}

/// A statement's SQL for one backend, with its values.
pub(crate) struct Built(String, SqlxValues);

/// How a statement failed, and whether its connection can be used again.
struct Failure {
    error: StoreError,
    clean: bool,
}

/// Statements that can run on a `Db` or in a `Tx`.
pub trait Statement: SqlxBinder {}

impl Statement for SelectStatement {}
impl Statement for InsertStatement {}
impl Statement for UpdateStatement {}
impl Statement for DeleteStatement {}
impl Statement for WithQuery {}

impl Built {
    pub(crate) fn new(backend: Backend, statement: &impl Statement) -> Self {
        let (sql, values) = match backend {
            Backend::Sqlite => {
                let (sql, values) = statement.build_sqlx(SqliteQueryBuilder);
                (keep_prepared(sql), values)
            }
            Backend::Postgres => statement.build_sqlx(PostgresQueryBuilder),
            Backend::MySql => statement.build_sqlx(MysqlQueryBuilder),
        };
        Self(sql, values)
    }

    /// What was built before, with values for its places.
    pub(super) fn ready(sql: String, values: SqlxValues) -> Self {
        Self(sql, values)
    }

    /// The SQL and the values of its places.
    pub(super) fn into_parts(self) -> (String, sea_query::Values) {
        (self.0, self.1.0)
    }

    /// Whether what it writes is in a table of ours. The first writing verb is followed by the table.
    pub(super) fn is_own(&self) -> bool {
        let verbs = ["INSERT INTO ", "UPDATE ", "DELETE FROM "];
        let written = verbs.iter().filter_map(|verb| self.0.find(verb).map(|at| at + verb.len())).min();
        let table = written.and_then(|at| self.0.get(at..)).map(|rest| rest.trim_start_matches(['"', '`']));
        table.is_some_and(|table| table.starts_with("innkeeper_"))
    }
}

/// SQLite plans by the value of `LIMIT ?`, and prepares the statement anew for each value that is put in.
/// Behind a sign it does not see the value, and the statement stays as it was prepared.
fn keep_prepared(mut sql: String) -> String {
    if sql.ends_with("LIMIT ?") {
        sql.insert(sql.len() - 1, '+');
    }
    sql
}

impl Lease {
    pub(crate) async fn take(pool: &Pool, share: Option<OwnedSemaphorePermit>) -> Result<Self, StoreError> {
        let taken = match pool {
            Pool::Sqlite(pool) => {
                pool.acquire().await.map(|connection| Self::Sqlite(Loan::new(connection, share)))
            }
            Pool::Postgres(pool) => {
                pool.acquire().await.map(|connection| Self::Postgres(Loan::new(connection, share)))
            }
            Pool::MySql(pool) => {
                pool.acquire().await.map(|connection| Self::MySql(Loan::new(connection, share)))
            }
        };
        taken.map_err(|error| pool.acquire_error(error))
    }

    pub(crate) fn backend(&self) -> Backend {
        match self {
            Self::Sqlite(_) => Backend::Sqlite,
            Self::Postgres(_) => Backend::Postgres,
            Self::MySql(_) => Backend::MySql,
        }
    }

    /// Reads rows to the end of the result; at most `cap` of them are kept.
    pub(crate) async fn rows<T, F>(
        &mut self,
        built: Built,
        cap: usize,
        budget: Option<&RowBudget>,
        map: F,
    ) -> Result<Vec<T>, StoreError>
    where
        T: Send,
        F: FnMut(&Row<'_>) -> Result<T, StoreError> + Send,
    {
        match self {
            Self::Sqlite(loan) if cap == 1 => {
                let outcome = first_of_sqlite(loan.start()?, built, budget, map).await;
                loan.settle(outcome)
            }
            Self::Sqlite(loan) => {
                let outcome = sqlite::rows(loan.start()?, built, cap, budget, map).await;
                loan.settle(outcome)
            }
            Self::Postgres(loan) => {
                let outcome = postgres::rows(loan.start()?, built, cap, budget, map).await;
                loan.settle(outcome)
            }
            Self::MySql(loan) => {
                let outcome = mysql::rows(loan.start()?, built, cap, budget, map).await;
                loan.settle(outcome)
            }
        }
    }

    /// Runs a statement that gives no rows; the number of rows that it found or made.
    pub(crate) async fn execute(&mut self, built: Built) -> Result<u64, StoreError> {
        match self {
            Self::Sqlite(loan) => {
                let outcome = sqlite::execute(loan.start()?, built).await;
                loan.settle(outcome)
            }
            Self::Postgres(loan) => {
                let outcome = postgres::execute(loan.start()?, built).await;
                loan.settle(outcome)
            }
            Self::MySql(loan) => {
                let outcome = mysql::execute(loan.start()?, built).await;
                loan.settle(outcome)
            }
        }
    }

    /// Runs SQL of our own without values, such as BEGIN or a migration.
    pub(crate) async fn command(&mut self, sql: impl SqlSafeStr + Send) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(loan) => {
                let outcome = sqlite::command(loan.start()?, sql).await;
                loan.settle(outcome)
            }
            Self::Postgres(loan) => {
                let outcome = postgres::command(loan.start()?, sql).await;
                loan.settle(outcome)
            }
            Self::MySql(loan) => {
                let outcome = mysql::command(loan.start()?, sql).await;
                loan.settle(outcome)
            }
        }
    }

    /// Closes the connection instead of giving it back.
    pub(crate) fn discard(&mut self) {
        match self {
            Self::Sqlite(loan) => loan.under_way = true,
            Self::Postgres(loan) => loan.under_way = true,
            Self::MySql(loan) => loan.under_way = true,
        }
    }

    /// Whether a statement was cut off on this connection.
    pub(super) fn is_under_way(&self) -> bool {
        match self {
            Self::Sqlite(loan) => loan.under_way,
            Self::Postgres(loan) => loan.under_way,
            Self::MySql(loan) => loan.under_way,
        }
    }
}

impl<DB: Database> Loan<DB> {
    fn new(connection: PoolConnection<DB>, share: Option<OwnedSemaphorePermit>) -> Self {
        Self { connection: Some(connection), under_way: false, _share: share }
    }

    /// The connection, marked as in the middle of a statement until `settle`.
    fn start(&mut self) -> Result<&mut DB::Connection, StoreError> {
        if self.under_way {
            return Err(StoreError::Busy("an earlier statement of this transaction was cut off"));
        }
        self.under_way = true;
        let connection = self.connection.as_mut().ok_or(StoreError::Busy("the connection is gone"))?;
        Ok(&mut *connection)
    }

    fn settle<T>(&mut self, outcome: Result<T, Failure>) -> Result<T, StoreError> {
        match outcome {
            Ok(value) => {
                self.under_way = false;
                Ok(value)
            }
            Err(failure) => {
                self.under_way = !failure.clean;
                Err(failure.error)
            }
        }
    }
}

impl<DB: Database> Drop for Loan<DB> {
    fn drop(&mut self) {
        if self.under_way
            && let Some(connection) = self.connection.take()
        {
            drop(connection.detach());
        }
    }
}

impl Failure {
    /// A server that answered with an error is ready for the next statement; anything else leaves doubts.
    fn of_driver(backend: Backend, error: sqlx::Error) -> Self {
        // A prepared statement that met a changed table is forgotten with its connection.
        let stale = |error: &sqlx::Error| {
            error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("0A000"))
        };
        Self {
            clean: matches!(error, sqlx::Error::Database(_)) && !stale(&error),
            error: StoreError::from_driver(backend, error),
        }
    }
}

/// Reads one row and takes its cost from the budget.
fn read<T>(
    raw: Raw<'_>,
    budget: Option<&RowBudget>,
    map: &mut impl FnMut(&Row<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let Some(budget) = budget else { return map(&Row::new(raw)) };
    budget.take_row()?;
    let row = Row::new(raw);
    let value = map(&row)?;
    budget.take_bytes(row.bytes_read())?;
    Ok(value)
}

/// As `rows` with a cap of one. SQLite's thread sends the row and the end of the result without being asked again; this
/// task is spared the second wait, for an end that it knows.
async fn first_of_sqlite<T>(
    connection: &mut sqlx::SqliteConnection,
    built: Built,
    budget: Option<&RowBudget>,
    mut map: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, Failure> {
    let row = sqlx::query_with::<Sqlite, _>(AssertSqlSafe(built.0), built.1).fetch_optional(connection).await;
    let row = row.map_err(|error| Failure::of_driver(Backend::Sqlite, error))?;
    let value = row.map(|row| read(Raw::Sqlite(&row), budget, &mut map)).transpose();
    value.map(|value| value.into_iter().collect()).map_err(|error| Failure { error, clean: true })
}

macro_rules! driver {
    ($name:ident, $driver:ty, $connection:ty, $raw:path, $backend:expr) => {
        mod $name {
            use super::*;

            pub(super) async fn rows<T, F>(
                connection: &mut $connection,
                built: Built,
                cap: usize,
                budget: Option<&RowBudget>,
                mut map: F,
            ) -> Result<Vec<T>, Failure>
            where
                T: Send,
                F: FnMut(&Row<'_>) -> Result<T, StoreError> + Send,
            {
                let mut stream =
                    sqlx::query_with::<$driver, _>(AssertSqlSafe(built.0), built.1).fetch(connection);
                let mut kept = Vec::new();
                while let Some(row) =
                    stream.try_next().await.map_err(|error| Failure::of_driver($backend, error))?
                {
                    if kept.len() == cap {
                        continue;
                    }
                    match read($raw(&row), budget, &mut map) {
                        Ok(value) => kept.push(value),
                        Err(error) => {
                            // The LIMIT is one above what is left, so mostly this is the end already.
                            let rest = stream.try_next().await;
                            return Err(Failure { error, clean: matches!(rest, Ok(None)) });
                        }
                    }
                }
                Ok(kept)
            }

            pub(super) async fn execute(connection: &mut $connection, built: Built) -> Result<u64, Failure> {
                let done =
                    sqlx::query_with::<$driver, _>(AssertSqlSafe(built.0), built.1).execute(connection).await;
                done.map(|done| done.rows_affected()).map_err(|error| Failure::of_driver($backend, error))
            }

            pub(super) async fn command(
                connection: &mut $connection,
                sql: impl SqlSafeStr + Send,
            ) -> Result<(), Failure> {
                let done = sqlx::raw_sql(sql).execute(connection).await;
                done.map(drop).map_err(|error| Failure::of_driver($backend, error))
            }
        }
    };
}

driver!(sqlite, Sqlite, sqlx::SqliteConnection, Raw::Sqlite, Backend::Sqlite);
driver!(postgres, Postgres, sqlx::PgConnection, Raw::Postgres, Backend::Postgres);
driver!(mysql, MySql, sqlx::MySqlConnection, Raw::MySql, Backend::MySql);

#[cfg(test)]
mod tests {
    use sea_query::Query;

    use super::*;

    #[test]
    fn only_sqlite_is_kept_from_seeing_the_limit() {
        let ends = |backend| {
            let (sql, values) =
                Built::new(backend, Query::select().column("a").from("t").limit(7)).into_parts();
            assert_eq!(values.0.len(), 1, "{sql}");
            sql.rsplit(' ').next().map(str::to_owned)
        };
        assert_eq!(ends(Backend::Sqlite).as_deref(), Some("+?"));
        assert_eq!(ends(Backend::Postgres).as_deref(), Some("$1"));
        assert_eq!(ends(Backend::MySql).as_deref(), Some("?"));
    }
}
