//! Every column that the migrations make is given out or withheld with a reason.

use innkeeper_store::{SHARED_TABLES, WITHHELD_TABLES};

use super::*;

claims! {
    every_column_is_given_out_or_withheld_with_a_reason,
}

async fn every_column_is_given_out_or_withheld_with_a_reason(world: &World) {
    let mut unlisted = Vec::new();
    let mut seen = Vec::new();
    for (table, column) in columns(world).await {
        if table.starts_with("innkeeper_") || table.starts_with("sqlite_") {
            continue;
        }
        if WITHHELD_TABLES.iter().any(|(name, reason)| *name == table && !reason.is_empty()) {
            continue;
        }
        let known = SHARED_TABLES.iter().find(|known| known.name == table);
        let given = known.is_some_and(|known| known.given.contains(&column.as_str()));
        let withheld = known.is_some_and(|known| known.withheld.iter().any(|(name, _)| *name == column));
        if given == withheld {
            unlisted.push(format!("{table}.{column}"));
        }
        seen.push((table, column));
    }
    assert!(unlisted.is_empty(), "on neither list or on both: {unlisted:?}");
    for table in SHARED_TABLES {
        for column in table.given {
            let there = seen.iter().any(|(name, known)| name == table.name && known == column);
            assert!(there, "{}.{column} is not there", table.name);
        }
    }
}

/// All columns as (table, column).
async fn columns(world: &World) -> Vec<(String, String)> {
    use innkeeper_store::Pool;
    use sqlx::Row;
    let sql = match world.store.pool() {
        Pool::Sqlite(_) => {
            "SELECT t.name, c.name FROM sqlite_master t JOIN pragma_table_info(t.name) c WHERE t.type = 'table'"
        }
        Pool::Postgres(_) => {
            "SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = 'public'"
        }
        Pool::MySql(_) => {
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = DATABASE()"
        }
    };
    macro_rules! read {
        ($pool:expr) => {
            sqlx::query(sql)
                .fetch_all($pool)
                .await
                .unwrap()
                .iter()
                .map(|row| (row.get_unchecked::<String, _>(0), row.get_unchecked::<String, _>(1)))
                .collect()
        };
    }
    match world.store.pool() {
        Pool::Sqlite(pool) => read!(pool),
        Pool::Postgres(pool) => read!(pool),
        Pool::MySql(pool) => read!(pool),
    }
}
