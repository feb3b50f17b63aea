//! Installs that stop in the middle, because the process ends or the database has no space left.

use innkeeper_model::Permission;
use innkeeper_model::permission::Grant;
use innkeeper_model::plugin::InstalledPlugin;
use innkeeper_registry::{InstallOptions, PluginState, RegistryError};
use innkeeper_store::StoreError;
use innkeeper_testing::guests::guest;
use tokio::runtime::{Builder, Runtime};

use crate::environment::{GRANTED, REPLACE, World, id, kept_cache, open, sandbox, with_note};

/// More statements than any install sends.
const STATEMENTS_MAX: u64 = 100;

#[test]
fn a_process_that_ends_after_any_statement_leaves_a_whole_new_plugin_or_none() {
    let runtime = runtime();
    let world = runtime.block_on(World::new());
    let plugins = world.store.plugins();
    for statements in 0..STATEMENTS_MAX {
        let ended = install_until(&world, guest("rate-limit"), statements);
        runtime.block_on(settled(&world));
        let found = runtime.block_on(plugins.get(&id("rate-limit"))).unwrap();
        if let Some(found) = &found {
            assert!(found.settings.enabled, "after {statements} statements");
            assert!(found.grants.get(Permission::Kv).is_some(), "after {statements} statements");
            assert!(runtime.block_on(plugins.component(&found.id, found.revision)).unwrap().is_some());
            runtime.block_on(plugins.remove(&found.id)).unwrap();
        }
        if ended {
            assert!(found.is_some() && statements > 5);
            return;
        }
    }
    panic!("the install never ends");
}

#[test]
fn a_process_that_ends_after_any_statement_leaves_the_old_revision_or_the_new_one() {
    let runtime = runtime();
    let world = runtime.block_on(World::new());
    let plugins = world.store.plugins();
    let prepare = async || {
        let registry = world.registry().await;
        registry.install(guest("rate-limit"), GRANTED).await.unwrap();
        plugins.get(&id("rate-limit")).await.unwrap().unwrap()
    };
    for statements in 0..STATEMENTS_MAX {
        let old = runtime.block_on(prepare());
        // The same id with another program, which asks for nothing.
        let other = crate::environment::changed("calculator", &[("calculator", "rate-limit")]);
        let ended = install_until(&world, other, statements);
        runtime.block_on(settled(&world));
        let now = runtime.block_on(plugins.get(&old.id)).unwrap().unwrap();
        let (is_old, is_new) = (now == old, now.digest != old.digest && now.grants.0.is_empty());
        assert!(is_old || is_new, "after {statements} statements: {now:?}");
        assert!(now.settings.enabled);
        if ended {
            assert!(is_new && statements > 5);
            return;
        }
        runtime.block_on(plugins.remove(&old.id)).unwrap();
    }
    panic!("the install never ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_further_revision_that_does_not_fit_leaves_the_one_before() {
    let world = World::new().await;
    let before = {
        let registry = world.registry().await;
        registry.install(guest("probe"), GRANTED).await.unwrap();
        registry.grant(&id("probe"), Permission::EmailRead, Grant::default()).await.unwrap();
        stored(&world).await
    };
    let full = world.store_of(|options| options.sqlite_max_pages = Some(1)).await;
    let registry = open(full, sandbox(kept_cache())).await;
    let plugin = registry.resolve(&id("probe")).unwrap();
    let error = registry.install(with_note(guest("probe"), 1), REPLACE).await.unwrap_err();
    assert!(matches!(error, RegistryError::Store(StoreError::Full)), "{error:?}");
    assert_eq!(stored(&world).await, before);
    let second = world.store.plugins().component(&id("probe"), before.revision + 1).await.unwrap();
    assert_eq!((before.revision, second), (1, None));
    assert!(!plugin.grants.ended().is_cancelled(), "its calls go on");
    assert_eq!(registry.show(&id("probe")).unwrap().state, PluginState::Ready);
}

async fn stored(world: &World) -> InstalledPlugin {
    world.store.plugins().get(&id("probe")).await.unwrap().unwrap()
}

/// Installs in a server of its own that ends with everything it was doing once it has sent so many statements.
/// Whether the install came to its end before.
fn install_until(world: &World, component: Vec<u8>, statements: u64) -> bool {
    let server = runtime();
    let ended = server.block_on(async {
        let store = world.store_of(|_| {}).await;
        let registry = open(store.clone(), sandbox(kept_cache())).await;
        let last = store.statements() + statements;
        let options = InstallOptions { grant_requested: true, replace: true };
        tokio::select! {
            biased;
            () = async {
                while store.statements() <= last {
                    tokio::task::yield_now().await;
                }
            } => false,
            installed = registry.install(component, options) => installed.map(|_| true).unwrap(),
        }
    });
    server.shutdown_background();
    ended
}

/// Waits for the database's lock: what the driver's thread was doing when the server ended is then done or taken back.
async fn settled(world: &World) {
    assert!(!world.store.plugins().remove(&id("nobody")).await.unwrap());
}

/// One thread, so that nothing goes on while the test looks.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}
