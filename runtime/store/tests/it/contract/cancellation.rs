//! A call that is dropped at any of its awaits has written all or nothing, and leaves connections that work.
//!
//! Each write is started again and again, polled once more each time, and dropped there, until it comes to its end.

mod our_tables;
mod shared_tables;

use std::time::Duration;

use sea_query::{Expr, ExprTrait, Query};

use super::*;
use crate::cut;

/// More polls than any write needs.
const POLLS_MAX: usize = 2000;

/// Cuts `write` after 0, 1, 2 … polls until it ends. `parts` says of each part of the write whether it is there:
/// all must be or none, and all once it has ended.
async fn whole<T, E: std::fmt::Debug>(
    world: &World,
    what: &str,
    prepare: impl AsyncFn(usize),
    write: impl AsyncFn(usize) -> Result<T, E>,
    parts: impl AsyncFn(usize) -> Vec<bool>,
) {
    for polls in 0..POLLS_MAX {
        prepare(polls).await;
        let ended = cut(write(polls), polls).await;
        let Some(outcome) = ended else {
            let seen = settled(&parts, polls).await;
            assert!(all_or_none(&seen), "{what} cut after {polls} polls: {seen:?}");
            continue;
        };
        outcome.unwrap_or_else(|error| panic!("{what} after {polls} polls: {error:?}"));
        let seen = parts(polls).await;
        assert!(seen.iter().all(|part| *part), "{what} ended: {seen:?}");
        works(world).await;
        return;
    }
    panic!("{what} never ends");
}

/// What is there once the database has done with a statement whose caller has gone.
async fn settled(parts: &impl AsyncFn(usize) -> Vec<bool>, polls: usize) -> Vec<bool> {
    tokio::time::sleep(Duration::from_millis(5)).await;
    let mut seen = parts(polls).await;
    for _ in 0..40 {
        if all_or_none(&seen) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
        seen = parts(polls).await;
    }
    seen
}

fn all_or_none(parts: &[bool]) -> bool {
    parts.iter().all(|part| *part) || parts.iter().all(|part| !part)
}

/// All connections of the pool can be had at once, and none is in somebody's transaction.
async fn works(world: &World) {
    settle(&world.store).await;
    let reads = (0..16).map(|_| {
        let store = world.store.clone();
        tokio::spawn(async move { store.users().count().await })
    });
    for read in futures::future::join_all(reads).await {
        assert!(read.unwrap().unwrap() >= 3);
    }
    let mut tx = world.begin().await;
    let touch = Query::update().table("user").value("gender", Expr::null()).take();
    tx.execute(&touch).await.unwrap();
    tx.commit().await.unwrap();
}

async fn nothing(_: usize) {}

async fn rows(world: &World, table: &'static str, column: &'static str, value: &str) -> usize {
    let mut tx = world.begin().await;
    let mut select = Query::select().column(column).from(table).and_where(Expr::col(column).eq(value)).take();
    let found = tx.fetch_all(&mut select, 100, |_| Ok(())).await.unwrap().len();
    tx.rollback().await.unwrap();
    found
}
