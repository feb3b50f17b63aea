//! Tests of the store against real databases. PostgreSQL and MySQL are skipped, loudly, where there is no server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod contract;
mod migrations;
mod pool;

use std::pin::pin;
use std::task::Poll;

use innkeeper_store::{Options, Pool};
use innkeeper_testing::databases::{Backend, TestDatabase, database};
use sqlx::AssertSqlSafe;

/// An empty database and a pool on it; none where the backend has no server here.
async fn empty(backend: Backend) -> Option<(TestDatabase, Pool)> {
    let database = database(backend).await?;
    let pool = innkeeper_store::connect(&Options::new(&database.url)).await.unwrap();
    Some((database, pool))
}

/// Runs SQL by hand.
async fn run(pool: &Pool, sql: &str) {
    let sql = AssertSqlSafe(sql.to_owned());
    match pool {
        Pool::Sqlite(pool) => drop(sqlx::raw_sql(sql).execute(pool).await.unwrap()),
        Pool::Postgres(pool) => drop(sqlx::raw_sql(sql).execute(pool).await.unwrap()),
        Pool::MySql(pool) => drop(sqlx::raw_sql(sql).execute(pool).await.unwrap()),
    }
}

/// Polls a future `polls` times and drops it, unless it ends before.
async fn cut<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
