//! A call that is dropped anywhere leaves a clean connection, and all or nothing written.

use std::time::Duration;

use innkeeper_store::{Db, Options, StoreError, connect};
use innkeeper_testing::databases::Backend;
use innkeeper_testing::on_each_backend;
use sea_query::{Alias, Expr, Query};

use super::{ids, insert, probe};
use crate::cut;

on_each_backend!(
    a_transaction_dropped_at_any_await_leaves_all_or_nothing,
    a_read_dropped_at_any_await_leaves_a_clean_connection,
    a_dropped_transaction_is_rolled_back,
    connections_that_died_while_idle_are_replaced,
);

async fn count(db: &Db) -> usize {
    db.fetch_all(&mut ids(), 1000, |row| row.text("id")).await.unwrap().len()
}

/// As `db`, with one connection, so that a dirty one is met again.
async fn narrow(database: &innkeeper_testing::databases::TestDatabase) -> Db {
    let options = Options { max_connections: 1, ..Options::new(&database.url) };
    Db::new(connect(&options).await.unwrap())
}

async fn a_transaction_dropped_at_any_await_leaves_all_or_nothing(backend: Backend) {
    let Some((database, _db)) = probe(backend).await else { return };
    let db = narrow(&database).await;
    let mut rows = 0;
    for polls in 1.. {
        let write = async {
            let mut tx = db.begin().await?;
            tx.execute(&insert(&format!("{polls}-a"), 1)).await?;
            tx.execute(&insert(&format!("{polls}-b"), 2)).await?;
            tx.fetch_all(&mut ids(), 10, |row| row.text("id")).await?;
            tx.commit().await
        };
        let ended = cut(write, polls).await;
        // A server may still be at work on the commit of a connection that is closed already.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let now = count(&db).await;
        match ended {
            Some(outcome) => {
                outcome.unwrap();
                assert_eq!(now, rows + 2);
                break;
            }
            None => assert!(now == rows || now == rows + 2, "after {polls} polls: {now} rows, before {rows}"),
        }
        rows = now;
        assert!(polls < 1000);
    }
}

async fn a_read_dropped_at_any_await_leaves_a_clean_connection(backend: Backend) {
    let Some((database, wide)) = probe(backend).await else { return };
    for number in 0..100 {
        wide.execute(&insert(&format!("{number:03}{}", "x".repeat(50)), number)).await.unwrap();
    }
    let db = narrow(&database).await;
    for polls in 1.. {
        let mut select = ids();
        let read = db.fetch_all(&mut select, 100, |row| row.text("id"));
        if let Some(rows) = cut(read, polls).await {
            assert_eq!(rows.unwrap().len(), 100);
            break;
        }
        assert_eq!(count(&db).await, 100, "after {polls} polls");
        let mut other = Query::select().expr_as(Expr::val(7_i64), Alias::new("seven")).to_owned();
        assert_eq!(db.fetch_optional(&mut other, |row| row.int("seven")).await.unwrap(), Some(7));
        assert!(polls < 1000);
    }
}

async fn a_dropped_transaction_is_rolled_back(backend: Backend) {
    let Some((database, _db)) = probe(backend).await else { return };
    let db = narrow(&database).await;
    let mut tx = db.begin().await.unwrap();
    tx.execute(&insert("a", 1)).await.unwrap();
    drop(tx);
    assert_eq!(count(&db).await, 0);
    let tx = db.begin().await.unwrap();
    tx.rollback().await.unwrap();
    let mut tx = db.begin().await.unwrap();
    tx.execute(&insert("b", 1)).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(count(&db).await, 1);
}

async fn connections_that_died_while_idle_are_replaced(backend: Backend) {
    let Some((database, wide)) = probe(backend).await else { return };
    let options = Options { max_connections: 1, idle_test: Duration::ZERO, ..Options::new(&database.url) };
    let db = Db::new(connect(&options).await.unwrap());
    let me = match backend {
        Backend::Sqlite => return,
        Backend::Postgres => "pg_backend_pid()",
        Backend::MySql => "CAST(connection_id() AS SIGNED)",
    };
    let mut select = Query::select().expr_as(Expr::cust(me), Alias::new("me")).to_owned();
    let first = db.fetch_optional(&mut select, |row| row.int("me")).await.unwrap().unwrap();
    let kill = match backend {
        Backend::Postgres => format!("SELECT pg_terminate_backend({first})"),
        _ => format!("KILL {first}"),
    };
    let sql = sqlx::AssertSqlSafe(kill);
    match wide.pool() {
        innkeeper_store::Pool::Postgres(pool) => drop(sqlx::raw_sql(sql).execute(pool).await.unwrap()),
        innkeeper_store::Pool::MySql(pool) => drop(sqlx::raw_sql(sql).execute(pool).await.unwrap()),
        innkeeper_store::Pool::Sqlite(_) => unreachable!(),
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let second = db.fetch_optional(&mut select, |row| row.int("me")).await.unwrap().unwrap();
    assert_ne!(first, second);
}

#[tokio::test]
async fn a_pool_that_is_all_taken_is_busy() {
    let (database, _db) = probe(Backend::Sqlite).await.unwrap();
    let acquire_timeout = Duration::from_millis(100);
    let options = Options { max_connections: 1, acquire_timeout, ..Options::new(&database.url) };
    let db = Db::new(connect(&options).await.unwrap());
    let held = db.begin().await.unwrap();
    let busy = db.fetch_optional(&mut ids(), |row| row.text("id")).await.unwrap_err();
    assert!(matches!(busy, StoreError::Busy("all connections are in use")), "{busy:?}");
    held.rollback().await.unwrap();
    assert_eq!(count(&db).await, 0);
}

#[tokio::test]
async fn a_full_file_refuses_writes_and_goes_on_reading() {
    let (database, db) = probe(Backend::Sqlite).await.unwrap();
    db.execute(&insert("first", 1)).await.unwrap();
    db.pool().close().await;
    let options = Options { sqlite_max_pages: Some(4), ..Options::new(&database.url) };
    let db = Db::new(connect(&options).await.unwrap());
    let mut refused = None;
    for number in 0..2000 {
        let mut tx = db.begin().await.unwrap();
        if let Err(error) = tx.execute(&insert(&format!("{number:050}"), number)).await {
            refused = Some(error);
            break;
        }
        tx.commit().await.unwrap();
    }
    assert!(matches!(refused, Some(StoreError::Full)), "{refused:?}");
    let before = count(&db).await;
    assert!(before > 1);
    let delete = Query::delete().from_table(Alias::new("probe")).to_owned();
    assert_eq!(db.execute(&delete).await.unwrap() as usize, before);
    db.execute(&insert("again", 1)).await.unwrap();
}
