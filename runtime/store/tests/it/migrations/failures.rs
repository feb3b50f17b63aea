//! Databases that cannot be migrated, and what is said then.

use std::os::unix::fs::PermissionsExt as _;

use innkeeper_store::migrate::{self, Target};
use innkeeper_store::{Options, StoreError, connect};

use super::{clock, tables};

fn url(dir: &tempfile::TempDir) -> String {
    format!("sqlite:///{}", dir.path().join("data.db").display())
}

#[tokio::test]
async fn a_full_disk_leaves_nothing_half_written_and_needs_no_restart() {
    let dir = tempfile::tempdir().unwrap();
    let small = Options { sqlite_max_pages: Some(40), ..Options::new(url(&dir)) };
    let pool = connect(&small).await.unwrap();
    let full = migrate::upgrade(&pool, &clock(), Target::Latest).await.unwrap_err();
    assert!(matches!(full, StoreError::Full), "{full:?}");
    assert!(
        tables(&pool).await.iter().all(|table| table == "innkeeper_migration"),
        "{:?}",
        tables(&pool).await
    );
    pool.close().await;

    let pool = connect(&Options::new(url(&dir))).await.unwrap();
    migrate::upgrade(&pool, &clock(), Target::Latest).await.unwrap();
    migrate::ensure_supported(&pool).await.unwrap();
}

#[tokio::test]
async fn a_read_only_file_says_so() {
    let dir = tempfile::tempdir().unwrap();
    connect(&Options::new(url(&dir))).await.unwrap().close().await;
    let pool = connect(&Options::new(format!("{}?mode=ro", url(&dir)))).await.unwrap();
    let refused = migrate::upgrade(&pool, &clock(), Target::Latest).await.unwrap_err();
    assert!(matches!(refused, StoreError::ReadOnly(_)), "{refused:?}");
    assert!(tables(&pool).await.is_empty());
}

#[tokio::test]
async fn a_read_only_file_that_is_up_to_date_is_supported() {
    let dir = tempfile::tempdir().unwrap();
    let pool = connect(&Options::new(url(&dir))).await.unwrap();
    migrate::upgrade(&pool, &clock(), Target::Latest).await.unwrap();
    pool.close().await;
    std::fs::set_permissions(dir.path().join("data.db"), std::fs::Permissions::from_mode(0o444)).unwrap();
    let pool = connect(&Options::new(format!("{}?mode=ro", url(&dir)))).await.unwrap();
    migrate::ensure_supported(&pool).await.unwrap();
    assert!(migrate::upgrade(&pool, &clock(), Target::Latest).await.unwrap().done.is_empty());
}

#[tokio::test]
async fn a_locked_file_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let patience = std::time::Duration::from_millis(200);
    let options = Options { lock_timeout: patience, ..Options::new(url(&dir)) };
    let pool = connect(&options).await.unwrap();
    let other = connect(&options).await.unwrap();
    let innkeeper_store::Pool::Sqlite(other) = other else { panic!() };
    let mut connection = other.acquire().await.unwrap();
    sqlx::raw_sql("BEGIN EXCLUSIVE").execute(&mut *connection).await.unwrap();
    let busy = migrate::upgrade(&pool, &clock(), Target::Latest).await.unwrap_err();
    assert!(matches!(busy, StoreError::Busy(_)), "{busy:?}");
    sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await.unwrap();
    migrate::upgrade(&pool, &clock(), Target::Latest).await.unwrap();
}
