//! The database: its schema, and what is said where it cannot be used.

use std::borrow::Cow;

use innkeeper_model::time::Clock;
use innkeeper_store::migrate::{Migration, MigrationSet, Scripts, Stream, Target};
use innkeeper_store::{Options, Pool, connect};
use serde_json::json;

use crate::program::Program;

const ADD: &[&str] = &["user", "add", "--name", "Ada", "--email", "ada@example.org"];

async fn open(program: &Program) -> Pool {
    connect(&Options::new(format!("sqlite:///{}/innkeeper.db", program.data().display()))).await.unwrap()
}

#[test]
fn the_schema_is_shown_previewed_and_made() {
    let program = Program::new();
    // Looking makes nothing.
    let said = program.run(&["db", "current"]).expect(1);
    assert!(said.err.contains("cannot use the database"), "{}", said.err);
    assert!(!program.data().join("innkeeper.db").exists());
    let done = program.json(&["db", "upgrade"]);
    assert!(done["done"].as_array().unwrap().len() >= 5, "{done}");
    let current = program.json(&["db", "current"]);
    assert_eq!(
        (&current["backend"], &current["owner"], &current["pending"]),
        (&json!("SQLite"), &json!("innkeeper"), &json!([]))
    );
    assert_eq!(current["applied"].as_array().unwrap().len(), done["done"].as_array().unwrap().len());
    assert_eq!(program.json(&["db", "upgrade"])["done"], json!([]));
    assert_eq!(program.json(&["db", "preview"])["steps"], json!([]));
    let shown = program.run(&["db", "current"]).expect(0).out;
    assert!(shown.contains("pending        none"), "{shown}");
}

#[test]
fn a_database_that_nobody_answers_for_is_one_clear_error() {
    let program = Program::new();
    // Nothing listens on the discard port.
    let url = "postgresql://user:secret@127.0.0.1:9/innkeeper";
    let said = program.run(&[&["--database-url", url], ADD].concat()).expect(1);
    assert!(said.err.contains("PostgreSQL database cannot be reached"), "{}", said.err);
    assert!(said.err.contains("postgresql://user:…@127.0.0.1:9/innkeeper"), "{}", said.err);
    assert!(!said.err.contains("secret"), "{}", said.err);
}

#[test]
fn a_read_only_database_is_one_clear_error() {
    let program = Program::new();
    program.run(&["db", "upgrade"]).expect(0);
    let url = format!("sqlite:///{}/innkeeper.db?mode=ro", program.data().display());
    let said = program.run(&[&["--database-url", &url], ADD].concat()).expect(1);
    assert!(said.err.contains("read-only"), "{}", said.err);
}

#[test]
fn a_file_that_is_no_database_is_one_clear_error() {
    let program = Program::new();
    program.run(&["db", "upgrade"]).expect(0);
    for name in ["innkeeper.db-wal", "innkeeper.db-shm"] {
        let _ = std::fs::remove_file(program.data().join(name));
    }
    std::fs::write(program.data().join("innkeeper.db"), "this is a text\n".repeat(1000)).unwrap();
    let said = program.run(ADD).expect(1);
    assert!(
        said.err.contains("cannot use the database") && said.err.contains("not a database"),
        "{}",
        said.err
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_database_is_one_clear_error() {
    let program = Program::new();
    program.run(ADD).expect(0);
    let Pool::Sqlite(pool) = open(&program).await else { panic!("not SQLite") };
    let mut connection = pool.acquire().await.unwrap();
    sqlx::query("BEGIN EXCLUSIVE").execute(&mut *connection).await.unwrap();
    let said = program.run(&["user", "add", "--name", "B", "--email", "b@example.org"]).expect(1);
    assert!(said.err.contains("database is busy"), "{}", said.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_a_newer_program_is_one_clear_error() {
    let program = Program::new();
    program.run(ADD).expect(0);
    let nothing = || Scripts { up: Cow::Borrowed("SELECT 1"), down: None };
    let newer = Migration {
        stream: Stream::Innkeeper,
        version: 900,
        name: "future".into(),
        oldest_program: "99.0.0".into(),
        sqlite: nothing(),
        postgres: nothing(),
        mysql: nothing(),
    };
    let mut migrations = MigrationSet::embedded().migrations().to_vec();
    migrations.push(newer);
    let pool = open(&program).await;
    MigrationSet::new(migrations, "99.0.0").upgrade(&pool, &Clock::System, Target::Latest).await.unwrap();
    pool.close().await;
    for arguments in [ADD, &["serve", "--listen", "127.0.0.1:0"], &["plugin", "list"]] {
        let said = program.run(arguments).expect(1);
        assert!(said.err.contains("needs innkeeper 99.0.0 or later"), "{arguments:?}: {}", said.err);
    }
}

#[test]
fn four_servers_that_start_at_once_make_the_schema_once() {
    let program = Program::new();
    let start = |_| {
        let mut command = program.command(&["db", "upgrade", "--json"]);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<_> = (0..4).map(start).collect();
    let mut done = 0;
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        done += said["done"].as_array().unwrap().len();
    }
    let current = program.json(&["db", "current"]);
    assert_eq!(current["applied"].as_array().unwrap().len(), done);
}
