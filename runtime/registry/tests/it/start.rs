//! Starting with plugins that are there already, in good order or not.

use std::time::{Duration, Instant};

use innkeeper_registry::{PluginState, RegistryError};
use innkeeper_store::Db;
use innkeeper_testing::guests::guest;

use crate::environment::{World, id, ids, kept_cache, manifest, open, sandbox, tool, with_note};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_does_not_load_is_listed_with_its_error() {
    let world = World::new().await;
    world.put(&tool("good"), guest("calculator")).await;
    world.put(&tool("bytes"), b"not a component".to_vec()).await;
    world.put(&tool("other-kind"), guest("echo")).await;
    world.put(&tool("torn"), with_note(guest("echo"), 7)).await;
    let torn = sea_query::Query::update()
        .table("innkeeper_plugin_component")
        .value("bytes", vec![1_u8, 2, 3])
        .and_where(sea_query::ExprTrait::eq(sea_query::Expr::col("plugin_id"), "torn"))
        .take();
    Db::new(world.store.pool().clone()).execute(&torn).await.unwrap();
    let registry = world.registry().await;
    let check = |plugin: &str, reason: &str| {
        let view = registry.show(&id(plugin)).unwrap();
        assert_eq!(view.state, PluginState::Failed, "{plugin}");
        assert!(view.error.as_ref().unwrap().contains(reason), "{plugin}: {:?}", view.error);
        let error = registry.resolve(&id(plugin)).unwrap_err();
        assert!(matches!(error, RegistryError::NotReady { .. }), "{error}");
    };
    check("bytes", "not a WebAssembly component");
    check("other-kind", "install it again");
    check("torn", "digest");
    assert_eq!(ids(registry.snapshot().plugins()), ["good"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn machine_code_that_is_gone_is_made_again() {
    let world = World::new().await;
    world.put(&tool("good"), guest("calculator")).await;
    let cache = tempfile::tempdir().unwrap();
    let registry = open(world.store.clone(), sandbox(cache.path().join("a"))).await;
    assert_eq!(registry.show(&id("good")).unwrap().state, PluginState::Ready);
    let files = walk(&cache.path().join("a"));
    assert!(!files.is_empty());
    for file in files {
        std::fs::write(file, b"torn").unwrap();
    }
    let registry = open(world.store.clone(), sandbox(cache.path().join("a"))).await;
    assert_eq!(registry.show(&id("good")).unwrap().state, PluginState::Ready);
}

fn walk(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disabled_plugin_is_not_loaded() {
    let world = World::new().await;
    let bad = world.put(&tool("bytes"), b"not a component".to_vec()).await;
    world.store.plugins().set_settings(&bad, &Default::default()).await.unwrap();
    let registry = world.registry().await;
    let view = registry.show(&bad).unwrap();
    assert_eq!((view.state, view.error), (PluginState::Disabled, None));
    let view = registry.enable(&bad).await.unwrap();
    assert_eq!(view.state, PluginState::Failed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_plugins_with_machine_code_load_quickly() {
    let world = World::new().await;
    let kinds = innkeeper_model::manifest::Kinds { pipe: true, ..Default::default() };
    for number in 0..100 {
        world.put(&manifest(&format!("echo-{number}"), kinds), guest("echo")).await;
    }
    // The first start makes the machine code.
    let registry = world.registry().await;
    assert_eq!(registry.snapshot().pipes().len(), 100);
    drop(registry);
    let sandbox = sandbox(kept_cache());
    let statements = world.store.statements();
    let begun = Instant::now();
    let registry = open(world.store.clone(), sandbox).await;
    let took = begun.elapsed();
    assert_eq!(registry.snapshot().pipes().len(), 100);
    let statements = world.store.statements() - statements;
    assert!(statements < 10, "{statements} statements: components are not read where there is machine code");
    println!("100 plugins loaded in {took:?}");
    assert!(took < Duration::from_secs(15), "{took:?}");
}
