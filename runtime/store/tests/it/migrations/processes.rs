//! Several servers that start at once, as processes: this test program starts itself.

use std::borrow::Cow;
use std::process::Stdio;
use std::time::Duration;

use innkeeper_model::time::Clock;
use innkeeper_store::migrate::{self, MigrationSet, Scripts, Target};
use innkeeper_store::{Options, connect};
use innkeeper_testing::databases::{Backend, database};
use innkeeper_testing::on_each_backend;
use tokio::process::Command;

use super::{clock, migration, set, tables};

/// Tells a copy of this program which database it is about.
const CHILD: &str = "INNKEEPER_TEST_MIGRATE_CHILD";

/// Tells it to take its time.
const SLOWLY: &str = "INNKEEPER_TEST_MIGRATE_SLOWLY";

on_each_backend!(four_servers_can_start_at_once_on_an_empty_database, a_killed_server_gives_the_lock_back);

async fn four_servers_can_start_at_once_on_an_empty_database(backend: Backend) {
    for round in 0..3 {
        let Some(database) = database(backend).await else { return };
        let children: Vec<_> = (0..4).map(|_| child(&database.url).spawn().unwrap()).collect();
        let mut steps = 0;
        for child in children {
            let output = child.wait_with_output().await.unwrap();
            let stdout = String::from_utf8_lossy(&output.stdout);
            assert!(
                output.status.success(),
                "round {round}: {stdout}\n{}",
                String::from_utf8_lossy(&output.stderr)
            );
            let taken = stdout.lines().find_map(|line| line.split("steps taken: ").nth(1));
            steps += taken.expect("the child says what it did").trim().parse::<usize>().unwrap();
        }
        assert_eq!(steps, MigrationSet::embedded().migrations().len(), "each migration is run once");
        let pool = connect(&Options::new(&database.url)).await.unwrap();
        migrate::ensure_supported(&pool).await.unwrap();
        assert_eq!(tables(&pool).await.len(), 61);
        pool.close().await;
    }
}

/// A server that is killed in the middle of a migration: the next one waits for the lock at most as long as the
/// database needs to notice, and finishes the work.
async fn a_killed_server_gives_the_lock_back(backend: Backend) {
    let Some(database) = database(backend).await else { return };
    let mut child = child(&database.url).env(SLOWLY, "1").spawn().unwrap();
    let pool = connect(&Options::new(&database.url)).await.unwrap();
    // The first migration is there once the second one, the slow one, has begun.
    while !tables(&pool).await.contains(&"innkeeper_one".to_owned()) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    child.kill().await.unwrap();
    let mended = slow_set(false);
    let started = std::time::Instant::now();
    let report = match backend {
        // The slow statement has changed nothing, so another script may stand in its place.
        Backend::Sqlite | Backend::Postgres => mended.upgrade(&pool, &clock(), Target::Latest).await.unwrap(),
        // Here it goes on with the script that it began.
        Backend::MySql => slow_set(true).upgrade(&pool, &clock(), Target::Latest).await.unwrap(),
    };
    assert_eq!(report.done.len(), 1);
    assert!(started.elapsed() < Duration::from_secs(15));
    let expected = ["innkeeper_migration", "innkeeper_one", "innkeeper_two"];
    assert_eq!(tables(&pool).await, expected);
}

/// A migration that takes seconds, of a kind that each backend has, and one that does the same at once.
fn slow_set(slowly: bool) -> MigrationSet {
    let end = "CREATE TABLE innkeeper_two (id BIGINT);";
    let with = |slow: &str| Scripts { up: Cow::Owned(format!("{slow}{end}")), down: None };
    let mut slow = migration(2, "0.1.0", end, None);
    if slowly {
        slow.sqlite = with(
            "CREATE TABLE innkeeper_slow AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n \
             WHERE i < 100000000) SELECT max(i) AS i FROM n;\n",
        );
        slow.postgres = with("SELECT pg_sleep(20);\n");
        slow.mysql = with("DO SLEEP(3);\n");
    }
    set(vec![migration(1, "0.1.0", "CREATE TABLE innkeeper_one (id BIGINT);", None), slow])
}

fn child(url: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "migrations::processes::a_child_upgrades", "--nocapture"])
        .env(CHILD, url)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Does nothing unless it is started by a test above.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a child hears from its parent in this way")]
async fn a_child_upgrades() {
    let Ok(url) = std::env::var(CHILD) else { return };
    let pool = connect(&Options::new(url)).await.unwrap();
    if std::env::var(SLOWLY).is_ok() {
        slow_set(true).upgrade(&pool, &Clock::System, Target::Latest).await.unwrap();
        return;
    }
    let report = migrate::upgrade(&pool, &Clock::System, Target::Latest).await.unwrap();
    println!("\nsteps taken: {}", report.done.len());
    pool.close().await;
}
