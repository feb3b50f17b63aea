//! Migrations: what they make, what they refuse, and what is left when they are cut off.

mod engine;
mod failures;
mod processes;
mod schema;

use std::borrow::Cow;

use innkeeper_model::time::Clock;
use innkeeper_store::migrate::{Migration, MigrationSet, Scripts, Stream};
use innkeeper_store::{Pool, StoreError};
use sqlx::{AssertSqlSafe, Row as _};

pub(crate) fn clock() -> Clock {
    Clock::manual(1_750_000_000)
}

/// The first column of each row, as text.
async fn column(pool: &Pool, sql: &str) -> Vec<String> {
    let sql = AssertSqlSafe(sql.to_owned());
    match pool {
        Pool::Sqlite(pool) => {
            let rows = sqlx::query(sql).fetch_all(pool).await.unwrap();
            rows.iter().map(|row| row.get_unchecked::<String, _>(0)).collect()
        }
        Pool::Postgres(pool) => {
            let rows = sqlx::query(sql).fetch_all(pool).await.unwrap();
            rows.iter().map(|row| row.get_unchecked::<String, _>(0)).collect()
        }
        Pool::MySql(pool) => {
            let rows = sqlx::query(sql).fetch_all(pool).await.unwrap();
            rows.iter().map(|row| row.get_unchecked::<String, _>(0)).collect()
        }
    }
}

/// The names of all tables.
pub(crate) async fn tables(pool: &Pool) -> Vec<String> {
    let sql = match pool {
        Pool::Sqlite(_) => "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name",
        Pool::Postgres(_) => {
            "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY relname::text"
        }
        Pool::MySql(_) => {
            "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY table_name"
        }
    };
    column(pool, sql).await
}

/// A migration whose scripts are the same on each backend.
fn migration(version: i64, oldest: &'static str, up: &str, down: Option<&str>) -> Migration {
    let scripts =
        Scripts { up: Cow::Owned(up.to_owned()), down: down.map(|down| Cow::Owned(down.to_owned())) };
    Migration {
        stream: Stream::Innkeeper,
        version,
        name: Cow::Owned(format!("step{version}")),
        oldest_program: Cow::Borrowed(oldest),
        sqlite: scripts.clone(),
        postgres: scripts.clone(),
        mysql: scripts,
    }
}

fn set(migrations: Vec<Migration>) -> MigrationSet {
    MigrationSet::new(migrations, "0.5.0")
}

/// The migration's own error inside a store error.
fn migrate_error(error: StoreError) -> innkeeper_store::migrate::MigrateError {
    match error {
        StoreError::Migrate(error) => error,
        other => panic!("not an error of a migration: {other:?}"),
    }
}
