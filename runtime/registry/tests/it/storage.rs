//! Installing on a database that is locked, cannot be written, or has gone.

use std::time::Duration;

use innkeeper_registry::{Registry, RegistryError};
use innkeeper_store::{Store, StoreError};
use innkeeper_testing::guests::guest;

use crate::environment::{GRANTED, NEW, REPLACE, World, kept_cache, open, sandbox, with_note};

/// A server whose database has one plugin.
async fn prepared(world: &World, store: Store) -> Registry {
    world.registry().await.install(guest("echo"), GRANTED).await.unwrap();
    open(store, sandbox(kept_cache())).await
}

/// Neither a new plugin nor a further revision gets in, and what was there goes on.
async fn refuses(world: &World, registry: &Registry, is_expected: fn(&StoreError) -> bool) {
    let plugin = registry.resolve(&crate::environment::id("echo")).unwrap();
    for (component, options) in [(guest("calculator"), NEW), (with_note(guest("echo"), 1), REPLACE)] {
        let error = registry.install(component, options).await.unwrap_err();
        assert!(matches!(&error, RegistryError::Store(error) if is_expected(error)), "{error:?}");
    }
    assert!(!plugin.grants.ended().is_cancelled());
    let stored = world.store.plugins().list().await.unwrap();
    assert_eq!((stored.len(), stored[0].revision), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_database_is_an_error_and_no_damage() {
    let world = World::new().await;
    let store = world.store_of(|options| options.lock_timeout = Duration::from_millis(200)).await;
    let registry = prepared(&world, store).await;
    let lock = innkeeper_store::Db::new(world.store.pool().clone()).begin().await.unwrap();
    refuses(&world, &registry, |error| matches!(error, StoreError::Busy(_))).await;
    lock.rollback().await.unwrap();
    registry.install(guest("calculator"), NEW).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_only_read_is_an_error_and_no_damage() {
    let world = World::new().await;
    let store = world.store_of(|options| options.url.push_str("?mode=ro")).await;
    let registry = prepared(&world, store).await;
    refuses(&world, &registry, |error| matches!(error, StoreError::ReadOnly(_))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_has_gone_is_an_error_and_no_damage() {
    let world = World::new().await;
    let store = world.other_store().await;
    let registry = prepared(&world, store.clone()).await;
    store.pool().close().await;
    refuses(&world, &registry, |error| matches!(error, StoreError::Unreachable { .. })).await;
}
