//! Opening databases, and what is said of those that cannot be opened.

use std::time::Duration;

use innkeeper_store::{Options, Pool, StoreError, connect};
use innkeeper_testing::databases::Backend;
use sqlx::Row as _;

use crate::empty;

fn sqlite(path: &std::path::Path) -> Options {
    Options {
        acquire_timeout: Duration::from_secs(1),
        ..Options::new(format!("sqlite:///{}", path.display()))
    }
}

async fn pragma(pool: &Pool, name: &str) -> String {
    let Pool::Sqlite(pool) = pool else { panic!() };
    let sql = sqlx::AssertSqlSafe(format!("PRAGMA {name}"));
    sqlx::query(sql).fetch_one(pool).await.unwrap().get_unchecked::<String, _>(0)
}

async fn make(path: &std::path::Path, sql: &'static str) {
    use sqlx::ConnectOptions as _;
    let options =
        sqlx::sqlite::SqliteConnectOptions::new().filename(path).create_if_missing(true).foreign_keys(false);
    let mut connection = options.connect().await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    sqlx::Connection::close(connection).await.unwrap();
}

#[tokio::test]
async fn a_new_file_is_in_wal_mode_and_an_existing_one_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let new = connect(&sqlite(&dir.path().join("new.db"))).await.unwrap();
    assert_eq!(pragma(&new, "journal_mode").await, "wal");
    assert_eq!(pragma(&new, "synchronous").await, "1");
    assert_eq!(pragma(&new, "foreign_keys").await, "1");

    let path = dir.path().join("theirs.db");
    make(&path, "CREATE TABLE alembic_version (version_num VARCHAR(32)); CREATE TABLE chat (id TEXT)").await;
    let theirs = connect(&sqlite(&path)).await.unwrap();
    assert_eq!(pragma(&theirs, "journal_mode").await, "delete");
    assert_eq!(pragma(&theirs, "foreign_keys").await, "0");
}

#[tokio::test]
async fn relative_and_absolute_paths_mean_what_they_say() {
    let dir = tempfile::tempdir().unwrap();
    let absolute = dir.path().join("a b.db");
    connect(&Options::new(format!("sqlite:///{}", absolute.display()))).await.unwrap().close().await;
    assert!(absolute.exists());
    let escaped = format!("sqlite:///{}", absolute.display()).replace(' ', "%20");
    let only_look = Options { create: false, ..Options::new(escaped) };
    connect(&only_look).await.unwrap().close().await;
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("absent").join("data.db");
    let error = connect(&sqlite(&missing)).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("absent"), "{error}");

    let none = dir.path().join("none.db");
    let error = connect(&Options { create: false, ..sqlite(&none) }).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }) && !none.exists(), "{error:?}");

    let text = dir.path().join("text.db");
    std::fs::write(&text, "this is a text file and not a database at all, whatever its name says".repeat(20))
        .unwrap();
    let error = connect(&sqlite(&text)).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    assert!(error.to_string().contains("text.db"), "{error}");

    let error = connect(&sqlite(dir.path())).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "a directory: {error:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable_and_its_password_is_kept() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    for scheme in ["postgresql+asyncpg", "mysql"] {
        let url = format!("{scheme}://someone:hunter2@127.0.0.1:{port}/data");
        let options = Options { acquire_timeout: Duration::from_secs(2), ..Options::new(url) };
        let error = connect(&options).await.unwrap_err();
        assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
        assert!(!format!("{error} {error:?} {options:?}").contains("hunter2"), "{error:?}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_unreachable_in_time() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for scheme in ["postgresql", "mysql"] {
        let url = format!("{scheme}://someone:hunter2@127.0.0.1:{port}/data");
        let options = Options { acquire_timeout: Duration::from_millis(300), ..Options::new(url) };
        let started = std::time::Instant::now();
        let error = connect(&options).await.unwrap_err();
        assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
        assert!(started.elapsed() < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn a_wrong_password_or_database_is_unreachable() {
    for backend in [Backend::Postgres, Backend::MySql] {
        let Some((database, _pool)) = empty(backend).await else { continue };
        let (before, database_name) = database.url.rsplit_once('/').unwrap();
        let (scheme, rest) = before.split_once("://").unwrap();
        let (_, host) = rest.rsplit_once('@').unwrap();
        for url in [
            format!("{scheme}://nobody-of-that-name:hunter2@{host}/{database_name}"),
            format!("{before}/no_database_of_that_name"),
        ] {
            let error = connect(&Options::new(url)).await.unwrap_err();
            assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }
}

#[tokio::test]
async fn statements_on_postgres_end_in_time() {
    let Some((database, _pool)) = empty(Backend::Postgres).await else { return };
    let options =
        Options { statement_timeout: Some(Duration::from_millis(100)), ..Options::new(&database.url) };
    let db = innkeeper_store::Db::new(connect(&options).await.unwrap());
    let mut slow = sea_query::Query::select()
        .expr_as(sea_query::Expr::cust("pg_sleep(5)::text"), sea_query::Alias::new("slept"))
        .to_owned();
    let error = db.fetch_optional(&mut slow, |row| row.text("slept")).await.unwrap_err();
    assert!(matches!(error, StoreError::Timeout), "{error:?}");
}

#[tokio::test]
async fn statements_on_mysql_end_in_time_and_values_are_not_cut() {
    let Some((database, _pool)) = empty(Backend::MySql).await else { return };
    let options =
        Options { statement_timeout: Some(Duration::from_millis(100)), ..Options::new(&database.url) };
    let pool = connect(&options).await.unwrap();
    let db = innkeeper_store::Db::new(pool.clone());
    let slow = "(SELECT count(*) FROM information_schema.columns a, information_schema.columns b, information_schema.columns c)";
    let mut slow = sea_query::Query::select()
        .expr_as(sea_query::Expr::cust(slow), sea_query::Alias::new("slept"))
        .to_owned();
    let error = db.fetch_optional(&mut slow, |row| row.int("slept")).await.unwrap_err();
    assert!(matches!(error, StoreError::Timeout), "{error:?}");

    let Pool::MySql(pool) = pool else { panic!() };
    sqlx::raw_sql("CREATE TABLE short (id VARCHAR(3))").execute(&pool).await.unwrap();
    let long = sea_query::Query::insert()
        .into_table(sea_query::Alias::new("short"))
        .columns([sea_query::Alias::new("id")])
        .values_panic(["four".into()])
        .to_owned();
    let error = db.execute(&long).await.unwrap_err();
    assert!(matches!(error, StoreError::Invalid(_)), "{error:?}");
    let settings = sqlx::query(
        "SELECT CONCAT_WS(' ', @@tx_isolation, @@character_set_connection, @@collation_connection, @@time_zone)",
    );
    let settings: String = settings.fetch_one(&pool).await.unwrap().get_unchecked(0);
    assert_eq!(settings, "READ-COMMITTED utf8mb4 utf8mb4_bin +00:00");
}
