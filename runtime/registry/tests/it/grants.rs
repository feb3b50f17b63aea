//! Grants, settings and limits; what running calls see of a change.

use std::sync::Arc;

use innkeeper_model::Permission;
use innkeeper_model::limits::Limits;
use innkeeper_model::permission::Grant;
use innkeeper_model::plugin::{OnFailure, PluginSettings};
use innkeeper_registry::{LimitsConfig, PluginState, Registry, RegistryError};
use innkeeper_testing::guests::guest;

use crate::environment::{COMPONENT_MAX, World, asking, filter, id, kept_cache, sandbox, tool};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn running_calls_see_grants_change_at_once() {
    let world = World::new().await;
    world.put(&asking(tool("asks"), &[Permission::Kv, Permission::ChatsRead]), guest("calculator")).await;
    let registry = world.registry().await;
    let running = registry.resolve(&id("asks")).unwrap();
    let view = registry.grant(&id("asks"), Permission::Kv, Grant::default()).await.unwrap();
    assert_eq!(view.missing_permissions, [Permission::ChatsRead]);
    assert!(running.grants.get().get(Permission::Kv).is_some());
    assert!(Arc::ptr_eq(&running.grants, &registry.resolve(&id("asks")).unwrap().grants));
    registry.revoke(&id("asks"), Permission::Kv).await.unwrap();
    assert!(running.grants.get().get(Permission::Kv).is_none());
    assert!(!running.grants.ended().is_cancelled());
    registry.revoke(&id("asks"), Permission::Kv).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_requested_can_be_granted() {
    let world = World::new().await;
    world.put(&asking(tool("asks"), &[Permission::EventsOther]), guest("calculator")).await;
    let registry = world.registry().await;
    let asks = id("asks");
    let error = registry.grant(&asks, Permission::Kv, Grant::default()).await.unwrap_err();
    assert!(matches!(error, RegistryError::NotRequested { permission: Permission::Kv, .. }), "{error}");
    let types = |types: &[&str]| Grant {
        event_types: types.iter().map(|&kind| kind.into()).collect(),
        ..Grant::default()
    };
    for bad in [types(&[]), types(&[""]), types(&["a\nb"]), types(&["Execute:x"])] {
        let error = registry.grant(&asks, Permission::EventsOther, bad).await.unwrap_err();
        assert!(matches!(error, RegistryError::Grant { .. }), "{error}");
    }
    let error = registry.grant(&asks, Permission::Kv, types(&["a"])).await.unwrap_err();
    assert!(matches!(error, RegistryError::Grant { .. }), "{error}");
    registry.grant(&asks, Permission::EventsOther, types(&["terminal:open"])).await.unwrap();
    let error = registry.grant(&id("nobody"), Permission::Kv, Grant::default()).await.unwrap_err();
    assert!(matches!(error, RegistryError::NotFound(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disabling_ends_calls_and_enabling_begins_anew() {
    let world = World::new().await;
    world.put(&asking(tool("asks"), &[Permission::Kv]), guest("calculator")).await;
    let registry = world.registry().await;
    let asks = id("asks");
    registry.grant(&asks, Permission::Kv, Grant::default()).await.unwrap();
    let running = registry.resolve(&asks).unwrap();
    let view = registry.disable(&asks).await.unwrap();
    assert_eq!(view.state, PluginState::Disabled);
    assert!(running.grants.ended().is_cancelled() && running.grants.get().0.is_empty());
    assert!(matches!(registry.resolve(&asks), Err(RegistryError::Disabled(_))));
    assert!(registry.snapshot().tools().is_empty());
    let view = registry.enable(&asks).await.unwrap();
    assert_eq!(view.state, PluginState::Ready);
    let again = registry.resolve(&asks).unwrap();
    assert!(again.grants.get().get(Permission::Kv).is_some() && !again.grants.ended().is_cancelled());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_are_settings_over_wishes_within_ceilings() {
    let world = World::new().await;
    let mut manifest = tool("asks");
    manifest.limits.extend([("fuel".to_owned(), 900_000_000), ("memory".to_owned(), 1 << 30)]);
    world.put(&manifest, guest("calculator")).await;
    let limits = LimitsConfig {
        ceilings: Limits { memory: 256 << 20, ..Limits::ceilings() },
        ..LimitsConfig::default()
    };
    let registry =
        Registry::open(world.store.clone(), sandbox(kept_cache()), limits, COMPONENT_MAX).await.unwrap();
    let asks = id("asks");
    let view = registry.show(&asks).unwrap();
    assert_eq!((view.limits.fuel, view.limits.memory), (900_000_000, 256 << 20));
    assert_eq!(view.cut_limits.iter().map(|cut| cut.name).collect::<Vec<_>>(), ["memory"]);

    let mut settings = view.settings.clone();
    settings.limits.extend([("fuel".to_owned(), 5), ("memory".to_owned(), 1 << 20)]);
    let view = registry.set_settings(&asks, settings.clone()).await.unwrap();
    assert_eq!((view.limits.fuel, view.limits.memory), (5, 1 << 20));
    assert_eq!(registry.resolve(&asks).unwrap().limits.fuel, 5);

    settings.limits.insert("memory".to_owned(), 1 << 30);
    let error = registry.set_settings(&asks, settings.clone()).await.unwrap_err();
    assert!(matches!(error, RegistryError::Limit(_)), "{error}");
    settings.limits.clear();
    settings.limits.insert("memroy".to_owned(), 1);
    let error = registry.set_settings(&asks, settings).await.unwrap_err();
    assert!(error.to_string().contains("`memroy`"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guard_cannot_be_set_to_fail_open() {
    let world = World::new().await;
    let mut manifest = filter("guards", 0);
    manifest.filter.as_mut().unwrap().guard = true;
    world.put(&manifest, guest("context-clip")).await;
    let registry = world.registry().await;
    let settings = PluginSettings { enabled: true, on_failure: OnFailure::Skip, ..PluginSettings::default() };
    let error = registry.set_settings(&id("guards"), settings).await.unwrap_err();
    assert!(matches!(error, RegistryError::Settings(_)), "{error}");
    let settings = PluginSettings { models: vec![String::new()], ..PluginSettings::default() };
    let error = registry.set_settings(&id("guards"), settings).await.unwrap_err();
    assert!(matches!(error, RegistryError::Settings(_)), "{error}");
}
