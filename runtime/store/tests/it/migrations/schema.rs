//! What the embedded migrations make.

use std::collections::BTreeMap;

use innkeeper_store::migrate::{self, Direction, MigrateError, MigrationSet, Owner, Stream, Target};
use innkeeper_store::{Pool, StoreError};
use innkeeper_testing::databases::Backend;
use innkeeper_testing::on_each_backend;

use super::{clock, column, migrate_error, tables};
use crate::{empty, run};

on_each_backend!(
    up_down_up_gives_the_same_schema,
    shared_tables_have_open_webuis_columns,
    a_database_of_open_webui_gets_our_own_tables_only,
    open_webui_may_take_a_database_of_ours_over,
    a_database_of_another_program_is_refused,
    a_preview_changes_nothing,
);

async fn up_down_up_gives_the_same_schema(backend: Backend) {
    let Some((_database, pool)) = empty(backend).await else { return };
    let report = migrate::upgrade(&pool, &clock(), Target::Latest).await.unwrap();
    assert_eq!(report.done.len(), MigrationSet::embedded().migrations().len());
    assert_eq!(tables(&pool).await.len(), 48 + 12 + 1);
    migrate::ensure_supported(&pool).await.unwrap();
    let first = describe(&pool).await;

    for stream in [Stream::Innkeeper, Stream::Shared] {
        migrate::downgrade(&pool, &clock(), stream, 0).await.unwrap();
    }
    assert_eq!(tables(&pool).await, ["innkeeper_migration"]);
    assert!(matches!(migrate::ensure_supported(&pool).await, Err(StoreError::SchemaMissing(_))));

    migrate::upgrade(&pool, &clock(), Target::Latest).await.unwrap();
    assert_eq!(describe(&pool).await, first);
    let again = migrate::upgrade(&pool, &clock(), Target::Latest).await.unwrap();
    assert!(again.done.is_empty());
}

async fn shared_tables_have_open_webuis_columns(backend: Backend) {
    let Some((_database, pool)) = empty(backend).await else { return };
    migrate::upgrade(&pool, &clock(), Target::Latest).await.unwrap();
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let sql = match pool {
        Pool::Sqlite(_) => {
            "SELECT m.name || '|' || p.name || ' ' || p.type || CASE p.\"notnull\" WHEN 1 THEN '!' ELSE '' END \
             FROM sqlite_master m, pragma_table_info(m.name) p WHERE m.type = 'table' ORDER BY m.name, p.cid"
        }
        Pool::Postgres(_) => {
            "SELECT table_name || '|' || column_name || CASE is_nullable WHEN 'NO' THEN '!' ELSE '' END \
             FROM information_schema.columns WHERE table_schema = 'public' ORDER BY table_name, ordinal_position"
        }
        Pool::MySql(_) => {
            "SELECT CONCAT(table_name, '|', column_name, CASE is_nullable WHEN 'NO' THEN '!' ELSE '' END) \
             FROM information_schema.columns WHERE table_schema = DATABASE() AND column_name <> 'email_lower' \
             ORDER BY table_name, ordinal_position"
        }
    };
    for line in column(&pool, sql).await {
        let (table, column) = line.split_once('|').unwrap();
        if !table.starts_with("innkeeper_") {
            found.entry(table.to_owned()).or_default().push(column.to_owned());
        }
    }
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in include_str!("open_webui_0_12_4.txt").lines().filter(|line| !line.starts_with('#')) {
        let (table, columns) = line.split_once(": ").unwrap();
        let columns = columns.split(", ").map(|column| match backend {
            Backend::Sqlite => column.to_owned(),
            Backend::Postgres | Backend::MySql => {
                let required = if column.ends_with('!') { "!" } else { "" };
                format!("{}{required}", column.split(' ').next().unwrap())
            }
        });
        expected.insert(table.to_owned(), columns.collect());
    }
    assert_eq!(expected.len(), 48);
    // A primary key is NOT NULL on the servers whether or not that is said; SQLite keeps what was said.
    if backend != Backend::Sqlite {
        expected.get_mut("tag").unwrap()[2] = "user_id!".to_owned();
    }
    assert_eq!(found, expected);
}

async fn a_database_of_open_webui_gets_our_own_tables_only(backend: Backend) {
    let Some((_database, pool)) = empty(backend).await else { return };
    adopt(&pool, "0bd252b206fb").await;
    let before = tables(&pool).await;
    migrate::upgrade(&pool, &clock(), Target::Latest).await.unwrap();
    let current = migrate::current(&pool).await.unwrap();
    assert_eq!(current.owner, Owner::OpenWebUi("0bd252b206fb".to_owned()));
    assert!(current.applied.iter().all(|applied| applied.stream == "innkeeper"));
    migrate::ensure_supported(&pool).await.unwrap();

    for version in [0, 1] {
        let refused = migrate::downgrade(&pool, &clock(), Stream::Shared, version).await.unwrap_err();
        assert!(matches!(migrate_error(refused), MigrateError::NotOurs));
    }
    let refused = migrate::upgrade(&pool, &clock(), Target::Version(Stream::Shared, 1)).await.unwrap_err();
    assert!(matches!(migrate_error(refused), MigrateError::NotOurs));

    migrate::downgrade(&pool, &clock(), Stream::Innkeeper, 0).await.unwrap();
    let mut after = tables(&pool).await;
    after.retain(|table| table != "innkeeper_migration");
    assert_eq!(after, before);
}

async fn open_webui_may_take_a_database_of_ours_over(backend: Backend) {
    let Some((_database, pool)) = empty(backend).await else { return };
    migrate::upgrade(&pool, &clock(), Target::Latest).await.unwrap();
    assert_eq!(migrate::current(&pool).await.unwrap().owner, Owner::Innkeeper);
    run(&pool, "UPDATE alembic_version SET version_num = 'f00dfeed'").await;
    assert_eq!(migrate::current(&pool).await.unwrap().owner, Owner::OpenWebUi("f00dfeed".to_owned()));
    migrate::ensure_supported(&pool).await.unwrap();
    let refused = migrate::downgrade(&pool, &clock(), Stream::Shared, 0).await.unwrap_err();
    assert!(matches!(migrate_error(refused), MigrateError::NotOurs));
}

async fn a_database_of_another_program_is_refused(backend: Backend) {
    let Some((_database, pool)) = empty(backend).await else { return };
    run(&pool, "CREATE TABLE ledger (id BIGINT)").await;
    let refused = migrate::upgrade(&pool, &clock(), Target::Latest).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Occupied(table) if table == "ledger"), "{refused:?}");
    assert_eq!(tables(&pool).await, ["ledger"]);
}

async fn a_preview_changes_nothing(backend: Backend) {
    let Some((_database, pool)) = empty(backend).await else { return };
    let set = MigrationSet::embedded();
    let plan = migrate::plan(&pool, Direction::Up, Target::Latest).await.unwrap();
    let sql = migrate::preview_sql(&set, pool.backend(), &plan);
    assert!(sql.contains("chat_message") && sql.contains("innkeeper_kv"), "{sql}");
    assert!(tables(&pool).await.is_empty());
    // What it shows is what would run.
    run(&pool, &sql).await;
    migrate::ensure_supported(&pool).await.unwrap();
}

/// As much of Open WebUI's tables as it takes to be recognised.
async fn adopt(pool: &Pool, revision: &str) {
    let user = match pool {
        Pool::MySql(_) => "`user`",
        _ => "\"user\"",
    };
    run(pool, "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)").await;
    run(pool, &format!("INSERT INTO alembic_version VALUES ('{revision}')")).await;
    run(pool, &format!("CREATE TABLE {user} (id VARCHAR(255) NOT NULL)")).await;
    run(pool, "CREATE TABLE chat (id VARCHAR(255) NOT NULL)").await;
}

/// Columns, keys and indexes of all tables, in a fixed order.
async fn describe(pool: &Pool) -> Vec<String> {
    let queries: &[&str] = match pool {
        Pool::Sqlite(_) => {
            &["SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_master ORDER BY type, name"]
        }
        Pool::Postgres(_) => &[
            "SELECT concat_ws(' ', table_name, column_name, data_type, is_nullable, column_default) \
             FROM information_schema.columns WHERE table_schema = 'public' ORDER BY table_name, ordinal_position",
            "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexdef",
            "SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint \
             WHERE connamespace = 'public'::regnamespace ORDER BY 1",
        ],
        Pool::MySql(_) => &[
            "SELECT CONCAT_WS(' ', table_name, column_name, column_type, is_nullable, column_default, collation_name) \
             FROM information_schema.columns WHERE table_schema = DATABASE() ORDER BY table_name, ordinal_position",
            "SELECT CONCAT_WS(' ', table_name, index_name, seq_in_index, column_name, non_unique) \
             FROM information_schema.statistics WHERE table_schema = DATABASE() ORDER BY table_name, index_name, seq_in_index",
        ],
    };
    let mut all = Vec::new();
    for query in queries {
        all.extend(column(pool, query).await);
    }
    all
}
