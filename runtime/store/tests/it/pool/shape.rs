//! Shared tables that change below a running program.

use innkeeper_store::migrate::{self, Target};
use innkeeper_store::{Db, StoreError, shape};
use innkeeper_testing::databases::Backend;
use innkeeper_testing::on_each_backend;
use sea_query::{Alias, Expr, Query};

use crate::{empty, run};

on_each_backend!(an_unknown_revision_is_read_and_not_written, a_missing_column_is_named);

async fn migrated(backend: Backend) -> Option<(innkeeper_testing::databases::TestDatabase, Db)> {
    let (database, pool) = empty(backend).await?;
    migrate::upgrade(&pool, &crate::migrations::clock(), Target::Latest).await.unwrap();
    Some((database, Db::new(pool)))
}

async fn an_unknown_revision_is_read_and_not_written(backend: Backend) {
    let Some((_database, db)) = migrated(backend).await else { return };
    assert!(shape::refresh(&db).await.unwrap().is_known());
    let shared = Query::insert()
        .into_table(Alias::new("tag"))
        .columns(["id", "user_id"].map(Alias::new))
        .values_panic(["one".into(), "alice".into()])
        .to_owned();
    db.execute(&shared).await.unwrap();

    run(db.pool(), "UPDATE alembic_version SET version_num = 'f00dfeed'").await;
    let shape = shape::refresh(&db).await.unwrap();
    assert!(!shape.is_known() && shape.all_missing().is_empty());
    let clone = db.clone();
    let delete = Query::delete().from_table(Alias::new("tag")).to_owned();
    let update = Query::update().table(Alias::new("tag")).value(Alias::new("name"), "x").to_owned();
    for refused in [clone.execute(&shared).await, clone.execute(&delete).await, clone.execute(&update).await]
    {
        assert!(
            matches!(&refused, Err(StoreError::UnknownShape(revision)) if revision == "f00dfeed"),
            "{refused:?}"
        );
    }
    let mut tx = clone.begin().await.unwrap();
    assert!(matches!(tx.execute(&delete).await, Err(StoreError::UnknownShape(_))));
    tx.rollback().await.unwrap();

    let own = Query::insert()
        .into_table(Alias::new("innkeeper_counter"))
        .columns(["name", "value"].map(Alias::new))
        .values_panic(["one".into(), 1_i64.into()])
        .to_owned();
    assert_eq!(clone.execute(&own).await.unwrap(), 1);
    let mut read =
        Query::select().expr_as(Expr::cust("COUNT(*)"), Alias::new("n")).from(Alias::new("tag")).to_owned();
    assert_eq!(clone.fetch_optional(&mut read, |row| row.int("n")).await.unwrap(), Some(1));

    run(db.pool(), "UPDATE alembic_version SET version_num = '0bd252b206fb'").await;
    shape::refresh(&db).await.unwrap();
    assert_eq!(clone.execute(&delete).await.unwrap(), 1);
}

async fn a_missing_column_is_named(backend: Backend) {
    let Some((_database, db)) = migrated(backend).await else { return };
    let mut read =
        Query::select().column(Alias::new("current_message_id")).from(Alias::new("chat")).to_owned();
    db.fetch_optional(&mut read, |row| row.text_opt("current_message_id")).await.unwrap();
    run(db.pool(), "ALTER TABLE chat DROP COLUMN current_message_id").await;
    let error = db.fetch_optional(&mut read, |row| row.text_opt("current_message_id")).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::SchemaMissing(what) if what.contains("current_message_id")),
        "{error:?}"
    );
    let shape = shape::refresh(&db).await.unwrap();
    assert_eq!(shape.all_missing(), ["chat.current_message_id"]);
    assert_eq!(shape.missing("chat"), ["current_message_id"]);
    assert!(!shape.is_known());
}
