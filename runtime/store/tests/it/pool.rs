//! The pool: how it opens databases, what it says when it cannot, and that no connection comes back dirty.

mod clean;
mod open;
mod shape;
mod statements;

use innkeeper_store::Db;
use innkeeper_testing::databases::{Backend, TestDatabase};
use sea_query::{
    Alias, ColumnDef, MysqlQueryBuilder, PostgresQueryBuilder, Query, SqliteQueryBuilder, Table,
};

/// A database with a table of every type that is used, `probe`.
async fn probe(backend: Backend) -> Option<(TestDatabase, Db)> {
    let (database, pool) = crate::empty(backend).await?;
    let mut table = Table::create();
    table
        .table(Alias::new("probe"))
        .col(ColumnDef::new(Alias::new("id")).string_len(64).not_null().primary_key())
        .col(ColumnDef::new(Alias::new("number")).big_integer())
        .col(ColumnDef::new(Alias::new("flag")).boolean())
        .col(match backend {
            Backend::MySql => ColumnDef::new(Alias::new("doc")).custom(Alias::new("LONGTEXT")).to_owned(),
            _ => ColumnDef::new(Alias::new("doc")).json().to_owned(),
        })
        .col(match backend {
            Backend::MySql => ColumnDef::new(Alias::new("raw")).custom(Alias::new("LONGBLOB")).to_owned(),
            _ => ColumnDef::new(Alias::new("raw")).blob().to_owned(),
        });
    if backend == Backend::MySql {
        table.collate("utf8mb4_bin");
    }
    let sql = match backend {
        Backend::Sqlite => table.to_string(SqliteQueryBuilder),
        Backend::Postgres => table.to_string(PostgresQueryBuilder),
        Backend::MySql => table.to_string(MysqlQueryBuilder),
    };
    crate::run(&pool, &sql).await;
    Some((database, Db::new(pool)))
}

/// Inserts a row with an id and a number.
fn insert(id: &str, number: i64) -> sea_query::InsertStatement {
    Query::insert()
        .into_table(Alias::new("probe"))
        .columns([Alias::new("id"), Alias::new("number")])
        .values_panic([id.into(), number.into()])
        .to_owned()
}

/// All ids, in order.
fn ids() -> sea_query::SelectStatement {
    Query::select()
        .column(Alias::new("id"))
        .from(Alias::new("probe"))
        .order_by(Alias::new("id"), sea_query::Order::Asc)
        .to_owned()
}
