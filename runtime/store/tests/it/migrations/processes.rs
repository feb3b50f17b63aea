//! Several servers that start at once, as processes: this test program starts itself.

use std::process::Stdio;

use innkeeper_model::time::Clock;
use innkeeper_store::migrate::{self, MigrationSet, Target};
use innkeeper_store::{Options, connect};
use innkeeper_testing::databases::{Backend, database};
use tokio::process::Command;

use super::tables;
use crate::on_each_backend;

/// Tells a copy of this program which database it is about.
const CHILD: &str = "INNKEEPER_TEST_MIGRATE_CHILD";

on_each_backend!(four_servers_can_start_at_once_on_an_empty_database);

async fn four_servers_can_start_at_once_on_an_empty_database(backend: Backend) {
    for round in 0..3 {
        let Some(database) = database(backend).await else { return };
        let children: Vec<_> = (0..4)
            .map(|_| {
                Command::new(std::env::current_exe().unwrap())
                    .args(["--exact", "migrations::processes::a_child_upgrades", "--nocapture"])
                    .env(CHILD, &database.url)
                    .stdout(Stdio::piped())
                    .stderr(Stdio::piped())
                    .kill_on_drop(true)
                    .spawn()
                    .unwrap()
            })
            .collect();
        let mut steps = 0;
        for child in children {
            let output = child.wait_with_output().await.unwrap();
            let stdout = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "round {round}: {stdout}\n{}", String::from_utf8_lossy(&output.stderr));
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

/// Does nothing unless it is started by the test above.
#[tokio::test]
async fn a_child_upgrades() {
    let Ok(url) = std::env::var(CHILD) else { return };
    let pool = connect(&Options::new(url)).await.unwrap();
    let report = migrate::upgrade(&pool, &Clock::System, Target::Latest).await.unwrap();
    println!("\nsteps taken: {}", report.done.len());
    pool.close().await;
}
