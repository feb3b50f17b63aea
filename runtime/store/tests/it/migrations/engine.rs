//! What the engine promises for any migrations.

use std::time::Duration;

use innkeeper_store::migrate::{Direction, MigrateError, MigrationSet, Scripts, Stream, Target, preview_sql};
use innkeeper_store::{Db, Options, StoreError};
use innkeeper_testing::databases::Backend;
use innkeeper_testing::on_each_backend;
use sea_query::{Alias, Expr, Query};

use super::{clock, column, migrate_error, migration, set, tables};
use crate::{empty, run};

on_each_backend!(
    targets_are_strict,
    a_migration_without_a_way_back_is_not_skipped,
    a_changed_script_is_noticed,
    a_gap_is_filled_with_a_warning,
    a_database_that_is_too_new_is_refused_with_both_versions,
    a_newer_database_that_allows_this_program_is_used,
    a_failed_migration_frees_the_lock_and_can_be_mended,
    a_migration_takes_as_long_as_it_takes,
);

const ONE: &str = "CREATE TABLE innkeeper_one (id BIGINT);";
const TWO: &str = "CREATE TABLE innkeeper_two (id BIGINT);\nINSERT INTO innkeeper_two VALUES (2);";
const THREE: &str = "CREATE TABLE innkeeper_three (id BIGINT);";

fn steps() -> MigrationSet {
    set(vec![
        migration(1, "0.1.0", ONE, Some("DROP TABLE innkeeper_one;")),
        migration(2, "0.1.0", TWO, Some("DROP TABLE innkeeper_two;")),
        migration(3, "0.1.0", THREE, Some("DROP TABLE innkeeper_three;")),
    ])
}

async fn targets_are_strict(backend: Backend) {
    let Some((_database, pool)) = empty(backend).await else { return };
    let set = steps();
    set.upgrade(&pool, &clock(), Target::Version(Stream::Innkeeper, 2)).await.unwrap();
    assert_eq!(tables(&pool).await, ["innkeeper_migration", "innkeeper_one", "innkeeper_two"]);
    for (direction, version) in [("up", 4), ("up", 0), ("up", -1), ("down", 9), ("down", -1)] {
        let refused = match direction {
            "up" => set.upgrade(&pool, &clock(), Target::Version(Stream::Innkeeper, version)).await,
            _ => set.downgrade(&pool, &clock(), Stream::Innkeeper, version).await,
        };
        let refused = migrate_error(refused.unwrap_err());
        assert!(matches!(refused, MigrateError::UnknownTarget { .. }), "{direction} {version}: {refused:?}");
    }
    let report = set.downgrade(&pool, &clock(), Stream::Innkeeper, 1).await.unwrap();
    assert_eq!(report.done.iter().map(|step| step.version).collect::<Vec<_>>(), [2]);
    assert_eq!(tables(&pool).await, ["innkeeper_migration", "innkeeper_one"]);
}

async fn a_migration_without_a_way_back_is_not_skipped(backend: Backend) {
    let Some((_database, pool)) = empty(backend).await else { return };
    let set = set(vec![
        migration(1, "0.1.0", ONE, None),
        migration(2, "0.1.0", TWO, Some("DROP TABLE innkeeper_two;")),
    ]);
    set.upgrade(&pool, &clock(), Target::Latest).await.unwrap();
    let refused = migrate_error(set.downgrade(&pool, &clock(), Stream::Innkeeper, 0).await.unwrap_err());
    assert!(matches!(refused, MigrateError::NoWayBack(label) if label == "innkeeper/0001_step1"));
    assert_eq!(tables(&pool).await.len(), 3, "nothing is taken back before the refusal");
}

async fn a_changed_script_is_noticed(backend: Backend) {
    let Some((_database, pool)) = empty(backend).await else { return };
    steps().upgrade(&pool, &clock(), Target::Latest).await.unwrap();
    let changed =
        set(vec![migration(1, "0.1.0", "CREATE TABLE innkeeper_one (id BIGINT, more BIGINT);", None)]);
    for outcome in [
        changed.upgrade(&pool, &clock(), Target::Latest).await.map(drop),
        changed.downgrade(&pool, &clock(), Stream::Innkeeper, 0).await.map(drop),
        changed.ensure_supported(&pool).await,
    ] {
        let refused = migrate_error(outcome.unwrap_err());
        assert!(matches!(refused, MigrateError::Drift(label) if label == "innkeeper/0001_step1"));
    }
}

async fn a_gap_is_filled_with_a_warning(backend: Backend) {
    let Some((_database, pool)) = empty(backend).await else { return };
    let late = set(vec![migration(1, "0.1.0", ONE, None), migration(3, "0.1.0", THREE, None)]);
    late.upgrade(&pool, &clock(), Target::Latest).await.unwrap();
    let report = steps().upgrade(&pool, &clock(), Target::Latest).await.unwrap();
    assert_eq!(report.done.len(), 1);
    assert!(report.warnings.len() == 1 && report.warnings[0].contains("0002_step2"), "{:?}", report.warnings);
}

async fn a_database_that_is_too_new_is_refused_with_both_versions(backend: Backend) {
    let Some((_database, pool)) = empty(backend).await else { return };
    let mut newer = steps().migrations().to_vec();
    newer.push(migration(
        4,
        "0.6.0",
        "CREATE TABLE innkeeper_four (id BIGINT);",
        Some("DROP TABLE innkeeper_four;"),
    ));
    let newer = MigrationSet::new(newer, "0.6.0");
    newer.upgrade(&pool, &clock(), Target::Latest).await.unwrap();
    newer.ensure_supported(&pool).await.unwrap();
    for refused in [
        steps().ensure_supported(&pool).await.unwrap_err(),
        steps().upgrade(&pool, &clock(), Target::Latest).await.unwrap_err(),
        steps().downgrade(&pool, &clock(), Stream::Innkeeper, 0).await.unwrap_err(),
    ] {
        assert!(matches!(refused, StoreError::TooNew { .. }), "{refused:?}");
        let message = refused.to_string();
        assert!(
            message.contains("0.6.0") && message.contains("0.5.0") && message.contains("0004_step4"),
            "{message}"
        );
    }
    newer.downgrade(&pool, &clock(), Stream::Innkeeper, 3).await.unwrap();
    steps().ensure_supported(&pool).await.unwrap();
}

async fn a_newer_database_that_allows_this_program_is_used(backend: Backend) {
    let Some((_database, pool)) = empty(backend).await else { return };
    let mut newer = steps().migrations().to_vec();
    newer.push(migration(
        4,
        "0.4.0",
        "CREATE TABLE innkeeper_four (id BIGINT);",
        Some("DROP TABLE innkeeper_four;"),
    ));
    MigrationSet::new(newer, "0.6.0").upgrade(&pool, &clock(), Target::Latest).await.unwrap();
    let older = steps();
    older.ensure_supported(&pool).await.unwrap();
    assert!(older.upgrade(&pool, &clock(), Target::Latest).await.unwrap().done.is_empty());
    let refused = migrate_error(older.downgrade(&pool, &clock(), Stream::Innkeeper, 0).await.unwrap_err());
    assert!(matches!(refused, MigrateError::Unknown(label) if label == "innkeeper/0004_step4"));
}

async fn a_failed_migration_frees_the_lock_and_can_be_mended(backend: Backend) {
    let Some((_database, pool)) = empty(backend).await else { return };
    // It fails because of a table that stands in the way, so the same script works once that is gone.
    run(&pool, "CREATE TABLE innkeeper_second (id BIGINT)").await;
    let up = "CREATE TABLE innkeeper_first (id BIGINT);\nALTER TABLE innkeeper_second ADD COLUMN id BIGINT;\n\
              CREATE TABLE innkeeper_third (id BIGINT);";
    let set = set(vec![
        migration(1, "0.1.0", ONE, Some("DROP TABLE innkeeper_one;")),
        migration(2, "0.1.0", up, Some("DROP TABLE innkeeper_third;\nDROP TABLE innkeeper_first;")),
    ]);
    let started = std::time::Instant::now();
    for _ in 0..2 {
        let failed = migrate_error(set.upgrade(&pool, &clock(), Target::Latest).await.unwrap_err());
        assert!(
            matches!(&failed, MigrateError::Failed { migration, statement: 2, .. } if migration == "innkeeper/0002_step2"),
            "{failed:?}"
        );
    }
    assert!(started.elapsed().as_secs() < 20, "the second run waited for the first one's lock");
    let half = tables(&pool).await.contains(&"innkeeper_first".to_owned());
    assert_eq!(half, backend == Backend::MySql, "only MySQL keeps what went before");
    if backend == Backend::MySql {
        let refused = migrate_error(set.ensure_supported(&pool).await.unwrap_err());
        assert!(matches!(refused, MigrateError::CutOff(_)));
    }
    run(&pool, "DROP TABLE innkeeper_second").await;
    run(&pool, "CREATE TABLE innkeeper_second (other BIGINT)").await;
    set.upgrade(&pool, &clock(), Target::Latest).await.unwrap();
    set.ensure_supported(&pool).await.unwrap();
    let expected =
        ["innkeeper_first", "innkeeper_migration", "innkeeper_one", "innkeeper_second", "innkeeper_third"];
    assert_eq!(tables(&pool).await, expected);
    assert!(
        column(&pool, "SELECT name FROM innkeeper_migration WHERE progress IS NOT NULL").await.is_empty()
    );
    set.downgrade(&pool, &clock(), Stream::Innkeeper, 0).await.unwrap();
    assert_eq!(tables(&pool).await, ["innkeeper_migration", "innkeeper_second"]);
}

/// Between a statement and the note that it is done, on the way up and on the way down.
#[tokio::test]
async fn a_statement_in_doubt_may_have_been_done_already() {
    let Some((_database, pool)) = empty(Backend::MySql).await else { return };
    let set = set(vec![migration(1, "0.1.0", ONE, Some("DROP TABLE innkeeper_one;"))]);
    set.upgrade(&pool, &clock(), Target::Latest).await.unwrap();
    run(&pool, "UPDATE innkeeper_migration SET progress = 1").await;
    set.upgrade(&pool, &clock(), Target::Latest).await.unwrap();
    set.ensure_supported(&pool).await.unwrap();

    run(&pool, "UPDATE innkeeper_migration SET progress = -2").await;
    run(&pool, "DROP TABLE innkeeper_one").await;
    let report = set.upgrade(&pool, &clock(), Target::Latest).await.unwrap();
    assert_eq!(report.done.len(), 2, "it is taken back to the end, then made again");
    set.ensure_supported(&pool).await.unwrap();
    assert_eq!(tables(&pool).await, ["innkeeper_migration", "innkeeper_one"]);
}

/// What an operator runs by hand instead of the run that was cut off.
#[tokio::test]
async fn a_preview_of_what_was_cut_off_is_what_is_left_of_it() {
    let Some((_database, pool)) = empty(Backend::MySql).await else { return };
    let set = steps();
    set.upgrade(&pool, &clock(), Target::Latest).await.unwrap();
    let cut = async |done: &str| {
        run(&pool, done).await;
        let plan = set.plan(&pool, Direction::Up, Target::Latest).await.unwrap();
        let sql = preview_sql(&set, pool.backend(), &plan);
        run(&pool, &sql).await;
        set.ensure_supported(&pool).await.unwrap();
        assert_eq!(column(&pool, "SELECT CAST(id AS CHAR) FROM innkeeper_two").await, ["2"], "{sql}");
        assert!(set.plan(&pool, Direction::Up, Target::Latest).await.unwrap().steps.is_empty());
        sql
    };
    let sql =
        cut("DELETE FROM innkeeper_two; UPDATE innkeeper_migration SET progress = 2 WHERE version = 2").await;
    assert!(
        sql.contains("-- It was cut off after 1 statements.") && !sql.contains("CREATE TABLE innkeeper_two"),
        "{sql}"
    );
    let sql =
        cut("DELETE FROM innkeeper_two; UPDATE innkeeper_migration SET progress = 3 WHERE version = 2").await;
    assert!(sql.contains("-- The next one may have been run as well"), "{sql}");
    cut("UPDATE innkeeper_migration SET progress = -1 WHERE version = 2").await;
}

/// However short the limit is that all other statements have.
async fn a_migration_takes_as_long_as_it_takes(backend: Backend) {
    let Some((database, _pool)) = empty(backend).await else { return };
    let limit = Some(Duration::from_millis(100));
    let options = Options { statement_timeout: limit, ..Options::new(&database.url) };
    let pool = innkeeper_store::connect(&options).await.unwrap();
    let mut slow = migration(1, "0.1.0", ONE, None);
    let with = |sleep: &str| Scripts { up: format!("{sleep};\n{ONE}").into(), down: None };
    (slow.postgres, slow.mysql) = (with("SELECT pg_sleep(1)"), with("SELECT SLEEP(1)"));
    set(vec![slow]).upgrade(&pool, &clock(), Target::Latest).await.unwrap();
    assert_eq!(tables(&pool).await, ["innkeeper_migration", "innkeeper_one"]);
    let sleep = match backend {
        Backend::Sqlite => return,
        Backend::Postgres => "(SELECT 1 FROM pg_sleep(1))",
        Backend::MySql => "SLEEP(1)",
    };
    let mut sleep = Query::select().expr_as(Expr::cust(sleep), Alias::new("n")).take();
    let cut = Db::new(pool).fetch_optional(&mut sleep, |row| row.int("n")).await;
    assert!(matches!(cut, Err(StoreError::Timeout)), "the limit is only lifted for migrations: {cut:?}");
}

#[tokio::test]
async fn rebuilding_a_parent_table_keeps_its_children() {
    let (_database, pool) = empty(Backend::Sqlite).await.unwrap();
    let make = "CREATE TABLE innkeeper_parent (id BIGINT PRIMARY KEY);\n\
                CREATE TABLE innkeeper_child (id BIGINT, parent BIGINT REFERENCES innkeeper_parent (id) ON DELETE CASCADE);\n\
                INSERT INTO innkeeper_parent VALUES (1);\nINSERT INTO innkeeper_child VALUES (1, 1), (2, 1);";
    let rebuild = "CREATE TABLE innkeeper_new (id BIGINT PRIMARY KEY, more TEXT);\n\
                   INSERT INTO innkeeper_new (id) SELECT id FROM innkeeper_parent;\nDROP TABLE innkeeper_parent;\n\
                   ALTER TABLE innkeeper_new RENAME TO innkeeper_parent;";
    let set_of = |third: &str| {
        set(vec![
            migration(1, "0.1.0", make, None),
            migration(2, "0.1.0", rebuild, None),
            migration(3, "0.1.0", third, None),
        ])
    };
    let broken = set_of("DELETE FROM innkeeper_parent;");
    let refused = migrate_error(broken.upgrade(&pool, &clock(), Target::Latest).await.unwrap_err());
    assert!(matches!(refused, MigrateError::BrokenReferences(_)), "{refused:?}");
    assert_eq!(column(&pool, "SELECT count(*) FROM innkeeper_child").await, ["2"]);
    assert_eq!(column(&pool, "SELECT count(*) FROM innkeeper_parent").await, ["1"]);
}
