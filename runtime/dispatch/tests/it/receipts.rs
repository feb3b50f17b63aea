//! Receipts on their way to the database.

use std::sync::Arc;
use std::time::Duration;

use innkeeper_dispatch::ReceiptLog;
use innkeeper_model::page::PageRequest;
use innkeeper_model::receipt::{Outcome, Receipt, Usage};
use innkeeper_model::time::Clock;
use innkeeper_store::{LocalFiles, Options, Pool, Store, StoredReceipt, connect, migrate};

use crate::world::{World, id, plugin, soon, world};

fn receipt(number: usize) -> Receipt {
    Receipt {
        id: format!("call-{number}"),
        turn: "turn".to_owned(),
        parent: None,
        plugin: id("echo"),
        revision: 1,
        export: "pipe.run".to_owned(),
        user: None,
        started_at: 1,
        outcome: Outcome::Ok,
        delivered: Usage::default(),
        background: None,
    }
}

async fn stored(world: &World) -> Vec<StoredReceipt> {
    let mut receipts = Vec::new();
    let mut cursor = None;
    loop {
        let page = PageRequest { cursor, limit: 100 };
        let page = world.store.invocations().list(&Default::default(), &page).await.unwrap();
        receipts.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            receipts.reverse();
            return receipts;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_are_written_in_groups_in_order_and_without_gaps() {
    let world = world().build().await;
    let log = ReceiptLog::start(world.store.clone());
    let before = world.store.statements();
    (0..1_234).for_each(|number| log.record(receipt(number)));
    log.flush().await;
    let statements = world.store.statements() - before;
    assert!(statements <= 60, "{statements} statements for 1,234 receipts");
    let stored = stored(&world).await;
    assert_eq!(stored.len(), 1_234);
    assert!(stored.iter().enumerate().all(|(number, stored)| stored.receipt.id == format!("call-{number}")));
    assert!(stored.windows(2).all(|pair| pair[1].sequence == pair[0].sequence + 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_is_written_soon_without_a_flush() {
    let world = world().build().await;
    let log = ReceiptLog::start(world.store.clone());
    log.record(receipt(1));
    let is_there = async {
        while stored(&world).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), is_there).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_of_nothing_returns_and_flushes_may_be_many() {
    let world = world().build().await;
    let log = ReceiptLog::start(world.store.clone());
    let flushed = futures::future::join_all((0..50).map(|_| log.flush()));
    tokio::time::timeout(Duration::from_secs(2), flushed).await.unwrap();
    (0..10).for_each(|number| log.record(receipt(number)));
    futures::future::join_all((0..5).map(|_| log.flush())).await;
    assert_eq!(stored(&world).await.len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_recorded_before_the_log_was_dropped_is_written() {
    let world = world().build().await;
    let log = ReceiptLog::start(world.store.clone());
    (0..20).for_each(|number| log.record(receipt(number)));
    drop(log);
    for _ in 0..200 {
        if stored(&world).await.len() == 20 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("receipts are lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_turns_at_once_leave_one_receipt_for_each_call() {
    let world = world().plugin(plugin("echo")).build().await;
    let turns = futures::future::join_all((0..24).map(|_| world.chat(world.turn("echo", "hi")))).await;
    world.dispatch.receipts().flush().await;
    let mut named: Vec<_> = turns.into_iter().flat_map(|said| said.end.receipts).collect();
    world.assert_idle().await;
    world.dispatch.receipts().flush().await;
    let mut written: Vec<_> = stored(&world).await.into_iter().map(|stored| stored.receipt.id).collect();
    named.sort();
    written.sort();
    assert_eq!((named.len(), named), (24, written));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_that_cannot_be_written_at_present_are_tried_again_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:///{}", directory.path().join("data.db").display());
    let pool = connect(&Options { max_connections: 1, ..Options::new(&url) }).await.unwrap();
    migrate::upgrade(&pool, &Clock::System, migrate::Target::Latest).await.unwrap();
    let files = Arc::new(LocalFiles::new(directory.path().join("files")).unwrap());
    let store = Store::new(pool, Clock::System, files);
    let Pool::Sqlite(pool) = store.pool() else { panic!("these tests run on SQLite") };
    let allow = async |pages: u32| {
        sqlx::query(sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}")))
            .execute(pool)
            .await
            .unwrap();
    };
    // The disk is full.
    allow(1).await;
    let log = ReceiptLog::start(store.clone());
    let before = store.statements();
    (0..2_000).for_each(|number| log.record(receipt(number)));
    log.flush().await;
    // One attempt of a group, a second one by the flush, and nothing for each receipt.
    let statements = store.statements() - before;
    assert!(statements <= 20, "{statements} statements while nothing can be written");
    let stored = async || {
        let mut ids = Vec::new();
        let mut page = PageRequest { cursor: None, limit: 200 };
        loop {
            let found = store.invocations().list(&Default::default(), &page).await.unwrap();
            ids.extend(found.items.into_iter().map(|stored| stored.receipt.id));
            match found.next {
                Some(next) => page.cursor = Some(next),
                None => break,
            }
        }
        ids.reverse();
        ids
    };
    assert!(stored().await.len() < 2_000);
    allow(1_000_000).await;
    for _ in 0..50 {
        log.flush().await;
        if stored().await.len() == 2_000 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(stored().await, (0..2_000).map(|number| format!("call-{number}")).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_beyond_those_that_may_wait_are_counted_as_lost() {
    let world = world().connections(1).build().await;
    sqlx::query("PRAGMA query_only = ON").execute(world.sqlite()).await.unwrap();
    let lost = || {
        let metrics = world.dispatch.metrics().unwrap();
        let lost = metrics.lines().find_map(|line| line.strip_prefix("innkeeper_receipts_lost_total "));
        lost.unwrap().parse::<usize>().unwrap()
    };
    let log = world.dispatch.receipts();
    (0..20_000).for_each(|number| log.record(receipt(number)));
    assert_eq!(lost(), 0, "so many may wait");
    // As many wait to be written, and as many on their way there.
    (20_000..60_000).for_each(|number| log.record(receipt(number)));
    soon("the others are lost", || lost() >= 20_000).await;
    sqlx::query("PRAGMA query_only = OFF").execute(world.sqlite()).await.unwrap();
    log.flush().await;
    let page = PageRequest { cursor: None, limit: 1 };
    assert!(!world.store.invocations().list(&Default::default(), &page).await.unwrap().items.is_empty());
}
