//! What a test can rely on when it asks for a database.

use innkeeper_testing::databases::{Backend, TestDatabase, database};
use sqlx::{Connection as _, MySqlConnection, PgConnection, SqliteConnection};

/// A statement on a connection of its own, closed again.
async fn execute(database: &TestDatabase, statement: &'static str) -> Result<(), sqlx::Error> {
    execute_at(database.backend, &database.url, statement).await
}

async fn execute_at(backend: Backend, url: &str, statement: &'static str) -> Result<(), sqlx::Error> {
    match backend {
        Backend::Sqlite => {
            let options = url.parse::<sqlx::sqlite::SqliteConnectOptions>()?.create_if_missing(true);
            let mut connection = SqliteConnection::connect_with(&options).await?;
            sqlx::query(statement).execute(&mut connection).await?;
            connection.close().await
        }
        Backend::Postgres => {
            let mut connection = PgConnection::connect(url).await?;
            sqlx::query(statement).execute(&mut connection).await?;
            connection.close().await
        }
        Backend::MySql => {
            let mut connection = MySqlConnection::connect(url).await?;
            sqlx::query(statement).execute(&mut connection).await?;
            connection.close().await
        }
    }
}

async fn check_apart_and_gone(backend: Backend) {
    let (Some(one), Some(other)) = (database(backend).await, database(backend).await) else {
        return;
    };
    execute(&one, "CREATE TABLE probe (id INTEGER)").await.unwrap();
    execute(&one, "INSERT INTO probe VALUES (1)").await.unwrap();
    assert!(execute(&other, "INSERT INTO probe VALUES (1)").await.is_err(), "two tests share a database");
    let url = one.url.clone();
    one.close().await.unwrap();
    if backend != Backend::Sqlite {
        assert!(execute_at(backend, &url, "SELECT 1").await.is_err(), "the database outlived its test");
    }
    let url = other.url.clone();
    drop(other);
    if backend != Backend::Sqlite {
        assert!(execute_at(backend, &url, "SELECT 1").await.is_err(), "the database outlived its test");
    }
}

#[tokio::test]
async fn sqlite_databases_are_apart() {
    check_apart_and_gone(Backend::Sqlite).await;
}

#[tokio::test]
async fn postgres_databases_are_apart_and_gone_afterwards() {
    check_apart_and_gone(Backend::Postgres).await;
}

#[tokio::test]
async fn mysql_databases_are_apart_and_gone_afterwards() {
    check_apart_and_gone(Backend::MySql).await;
}

#[tokio::test]
async fn postgres_database_goes_while_a_connection_is_open() {
    let Some(database) = database(Backend::Postgres).await else {
        return;
    };
    let _open = PgConnection::connect(&database.url).await.unwrap();
    database.close().await.unwrap();
}
