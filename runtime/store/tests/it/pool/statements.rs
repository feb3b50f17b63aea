//! One statement for three backends, and what bounds it.

use std::sync::Arc;

use innkeeper_store::pool::{bigint, json};
use innkeeper_store::{RowBudget, StoreError};
use innkeeper_testing::databases::Backend;
use innkeeper_testing::on_each_backend;
use sea_query::{Alias, Expr, ExprTrait, Func, Query};
use tokio::sync::Semaphore;

use super::{ids, insert, probe};

on_each_backend!(
    values_come_back_as_they_went_in,
    reads_stop_at_the_cap_and_at_the_budget,
    statements_are_counted,
    a_share_holds_a_plugin_back,
    a_taken_key_is_a_conflict_without_its_value,
    a_failed_statement_spoils_its_transaction,
);

async fn values_come_back_as_they_went_in(backend: Backend) {
    let Some((_database, db)) = probe(backend).await else { return };
    let document = r#"{"b":1.0,"a":[1e2,12345678901234567890,"\u0041 ü 🎈"],"b":2}"#;
    let raw: Vec<u8> = (0..=255).collect();
    let columns = ["id", "number", "flag", "doc", "raw"].map(Alias::new);
    for (id, number, flag, doc, raw) in [
        ("full", Some(i64::MIN), Some(true), Some(document), Some(raw.clone())),
        ("none", None, None, None, None),
        ("Full", Some(i64::MAX), Some(false), Some("null"), Some(Vec::new())),
    ] {
        let doc = doc.map_or(Expr::null(), |doc| json(db.backend(), doc));
        let values = [id.into(), Expr::val(number), Expr::val(flag), doc, Expr::val(raw)];
        let insert = Query::insert()
            .into_table(Alias::new("probe"))
            .columns(columns.clone())
            .values_panic(values)
            .to_owned();
        assert_eq!(db.execute(&insert).await.unwrap(), 1);
    }
    let mut select = Query::select().columns(columns).from(Alias::new("probe")).to_owned();
    let mut rows = db
        .fetch_all(&mut select, 10, |row| {
            let id = row.text("id")?;
            let values =
                (row.int_opt("number")?, row.flag_opt("flag")?, row.text_opt("doc")?, row.bytes_opt("raw")?);
            Ok((id, values, row.json("doc")))
        })
        .await
        .unwrap();
    rows.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(rows.len(), 3, "ids differ by case");
    let (_, full_upper, null) = rows.remove(0);
    assert_eq!(full_upper, (Some(i64::MAX), Some(false), Some("null".to_owned()), Some(Vec::new())));
    assert!(null.unwrap().is_null());
    let (_, full, _) = rows.remove(0);
    assert_eq!(full, (Some(i64::MIN), Some(true), Some(document.to_owned()), Some(raw)));
    let (_, none, absent) = rows.remove(0);
    assert_eq!(none, (None, None, None, None));
    assert!(absent.unwrap().is_null());

    let update = Query::update()
        .table(Alias::new("probe"))
        .value(Alias::new("doc"), json(db.backend(), "[]"))
        .and_where(Expr::col(Alias::new("flag")).eq(true))
        .to_owned();
    assert_eq!(db.execute(&update).await.unwrap(), 1);
    assert_eq!(db.execute(&update).await.unwrap(), 1, "rows that are found count, changed or not");
    let missing = Query::select().column(Alias::new("absent")).from(Alias::new("probe")).to_owned();
    let error = db.fetch_all(&mut missing.clone(), 1, |row| row.text("absent")).await.unwrap_err();
    assert!(matches!(error, StoreError::SchemaMissing(_)), "{error:?}");
    let sum = bigint(db.backend(), Func::sum(Expr::col(Alias::new("number"))).into());
    let mut select = Query::select().expr_as(sum, Alias::new("total")).from(Alias::new("probe")).to_owned();
    assert_eq!(db.fetch_optional(&mut select, |row| row.int("total")).await.unwrap(), Some(-1));
}

async fn reads_stop_at_the_cap_and_at_the_budget(backend: Backend) {
    let Some((_database, db)) = probe(backend).await else { return };
    for number in 0..20 {
        db.execute(&insert(&format!("id{number:02}"), number)).await.unwrap();
    }
    assert_eq!(db.fetch_all(&mut ids(), 5, |row| row.text("id")).await.unwrap().len(), 5);
    assert_eq!(db.fetch_all(&mut ids(), 50, |row| row.text("id")).await.unwrap().len(), 20);
    assert!(db.fetch_all(&mut ids(), 0, |row| row.text("id")).await.unwrap().is_empty());

    let budget = Arc::new(RowBudget::new(12, 1000));
    let bounded = db.with_budget(Arc::clone(&budget));
    assert_eq!(bounded.fetch_all(&mut ids(), 10, |row| row.text("id")).await.unwrap().len(), 10);
    assert_eq!((budget.rows_left(), budget.bytes_left()), (2, 960));
    let error = bounded.fetch_all(&mut ids(), 10, |row| row.text("id")).await.unwrap_err();
    assert!(matches!(error, StoreError::RowLimit));
    let statements = db.statements();
    assert!(matches!(
        bounded.fetch_optional(&mut ids(), |row| row.text("id")).await,
        Err(StoreError::RowLimit)
    ));
    assert_eq!(db.statements(), statements, "a budget that is used up sends nothing");

    let bounded = db.with_budget(Arc::new(RowBudget::new(100, 10)));
    let error = bounded.fetch_all(&mut ids(), 10, |row| row.text("id")).await.unwrap_err();
    assert!(matches!(error, StoreError::ByteLimit));
    assert_eq!(
        db.fetch_all(&mut ids(), 50, |row| row.text("id")).await.unwrap().len(),
        20,
        "the pool is clean"
    );
}

async fn statements_are_counted(backend: Backend) {
    let Some((_database, db)) = probe(backend).await else { return };
    let copy = db.clone();
    db.execute(&insert("a", 1)).await.unwrap();
    copy.fetch_optional(&mut ids(), |row| row.text("id")).await.unwrap();
    let mut tx = copy.begin().await.unwrap();
    tx.execute(&insert("b", 1)).await.unwrap();
    tx.fetch_all(&mut ids(), 5, |row| row.text("id")).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(db.statements(), 4);
}

async fn a_share_holds_a_plugin_back(backend: Backend) {
    let Some((_database, db)) = probe(backend).await else { return };
    let plugin = db.with_share(Arc::new(Semaphore::new(1)));
    let held = plugin.begin().await.unwrap();
    let waiting = tokio::spawn({
        let plugin = plugin.clone();
        async move { plugin.fetch_optional(&mut ids(), |row| row.text("id")).await }
    });
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert!(!waiting.is_finished(), "the share is one connection");
    assert!(
        db.fetch_optional(&mut ids(), |row| row.text("id")).await.unwrap().is_none(),
        "others are not held back"
    );
    held.rollback().await.unwrap();
    assert!(waiting.await.unwrap().unwrap().is_none());
}

async fn a_taken_key_is_a_conflict_without_its_value(backend: Backend) {
    let Some((_database, db)) = probe(backend).await else { return };
    db.execute(&insert("secret-value", 1)).await.unwrap();
    let error = db.execute(&insert("secret-value", 2)).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict(_)), "{error:?}");
    assert!(!error.to_string().contains("secret"), "{error}");
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
}

async fn a_failed_statement_spoils_its_transaction(backend: Backend) {
    let Some((_database, db)) = probe(backend).await else { return };
    let mut tx = db.begin().await.unwrap();
    tx.execute(&insert("a", 1)).await.unwrap();
    assert!(matches!(tx.execute(&insert("a", 2)).await, Err(StoreError::Conflict(_))));
    assert!(matches!(tx.commit().await, Err(StoreError::Invalid(_))));
    assert!(db.fetch_optional(&mut ids(), |row| row.text("id")).await.unwrap().is_none());
}
