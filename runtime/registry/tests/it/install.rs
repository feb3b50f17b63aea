//! Installing real guests, once and again.

use std::time::Duration;

use innkeeper_model::Permission;
use innkeeper_model::permission::Grant;
use innkeeper_model::plugin::PluginSettings;
use innkeeper_registry::{ArgumentError, InstallOptions, PluginState, RegistryError};
use innkeeper_store::{Db, StoreError};
use innkeeper_testing::guests::guest;
use sea_query::Query;
use serde_json::json;

use crate::environment::{
    GRANTED, NEW, REPLACE, World, changed, id, ids, kept_cache, open, sandbox, with_note,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_plugin_is_enabled_and_has_no_grants() {
    let world = World::new().await;
    let registry = world.registry().await;
    let view = registry.install(guest("probe"), NEW).await.unwrap();
    assert_eq!(
        (view.state, view.revision, view.settings.enabled),
        (PluginState::Ready, 1, true),
        "{:?}",
        view.error
    );
    assert!(view.grants.0.is_empty());
    assert_eq!(view.kinds, ["tool", "pipe", "filter", "action", "job"]);
    let plugin = registry.resolve(&id("probe")).unwrap();
    assert!(plugin.grants.get().0.is_empty());
    let snapshot = registry.snapshot();
    for plugins in [snapshot.tools(), snapshot.pipes(), snapshot.actions(), snapshot.jobs()] {
        assert_eq!(ids(plugins), ["probe"]);
    }
    assert!(snapshot.filters_for("any", &["probe".to_owned()]).unwrap().is_empty(), "it is on no model yet");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn granting_what_is_requested_leaves_out_what_acts_on_people() {
    let world = World::new().await;
    let registry = world.registry().await;
    let view = registry.install(guest("probe"), GRANTED).await.unwrap();
    assert!(view.grants.get(Permission::ChatsRead).is_some());
    for dangerous in
        [Permission::EventsScript, Permission::EventsHtml, Permission::EmailRead, Permission::ActAsAdmin]
    {
        assert!(view.grants.get(dangerous).is_none(), "{dangerous}");
    }
    assert_eq!(*registry.resolve(&view.id).unwrap().grants.get(), view.grants);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_further_revision_keeps_settings_and_only_the_grants_that_it_asks_for() {
    let world = World::new().await;
    let registry = world.registry().await;
    let view = registry.install(guest("rate-limit"), NEW).await.unwrap();
    assert_eq!(view.missing_permissions, [Permission::Kv]);
    registry.grant(&view.id, Permission::Kv, Grant::default()).await.unwrap();
    let settings = PluginSettings { enabled: true, priority: Some(5), ..PluginSettings::default() };
    registry.set_settings(&view.id, settings.clone()).await.unwrap();
    let first = registry.resolve(&view.id).unwrap();

    let same_request = registry.install(with_note(guest("rate-limit"), 1), REPLACE).await.unwrap();
    assert_eq!((same_request.revision, &same_request.settings), (2, &settings));
    assert!(same_request.grants.get(Permission::Kv).is_some());
    assert!(first.grants.ended().is_cancelled(), "calls of the revision before have to end");

    let other_program = changed("calculator", &[("calculator", "rate-limit")]);
    let options = InstallOptions { grant_requested: true, replace: true };
    let without = registry.install(other_program, options).await.unwrap();
    assert_eq!((without.revision, without.state), (3, PluginState::Ready), "{:?}", without.error);
    assert!(without.grants.0.is_empty());

    let again = registry.install(with_note(guest("rate-limit"), 1), REPLACE).await.unwrap();
    assert_eq!(again.revision, 2, "the same bytes are the same revision");
    assert_eq!(again.missing_permissions, [Permission::Kv], "a new request is not granted silently");
    assert!(registry.resolve(&view.id).unwrap().grants.get().0.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_that_is_taken_is_an_error_and_changes_nothing() {
    let world = World::new().await;
    let registry = world.registry().await;
    let view = registry.install(guest("rate-limit"), GRANTED).await.unwrap();
    let plugin = registry.resolve(&view.id).unwrap();
    let stored = world.store.plugins().get(&view.id).await.unwrap();
    // A stranger's program under the name of a plugin that has grants, and the plugin itself once more.
    for component in [changed("calculator", &[("calculator", "rate-limit")]), guest("rate-limit")] {
        let error = registry.install(component, GRANTED).await.unwrap_err();
        assert!(
            matches!(&error, RegistryError::Duplicate { plugin, revision: 1 } if *plugin == view.id),
            "{error:?}"
        );
        assert!(error.to_string().contains("`--replace`"), "{error}");
    }
    assert_eq!(world.store.plugins().get(&view.id).await.unwrap(), stored);
    assert!(!plugin.grants.ended().is_cancelled(), "its calls go on");
    // Neither does another server's registry, which has not noticed the plugin yet, overlook it.
    let other = open(world.other_store().await, sandbox(kept_cache())).await;
    other.remove(&view.id).await.unwrap();
    other.install(guest("rate-limit"), NEW).await.unwrap();
    assert!(matches!(registry.install(guest("rate-limit"), NEW).await, Err(RegistryError::Duplicate { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_newer_program_installed_is_not_taken_over_without_being_told() {
    let world = World::new().await;
    let registry = world.registry().await;
    let view = registry.install(guest("probe"), GRANTED).await.unwrap();
    registry.set_valves(&view.id, json!({"number": 8})).await.unwrap();
    let update = Query::update()
        .table("innkeeper_plugin_revision")
        .value("manifest", r#"{"from":"the future"}"#)
        .take();
    Db::new(world.store.pool().clone()).execute(&update).await.unwrap();
    let stranger = || with_note(guest("probe"), 1);
    let error = registry.install(stranger(), GRANTED).await.unwrap_err();
    assert!(
        matches!(&error, RegistryError::Duplicate { plugin, revision: 1 } if *plugin == view.id),
        "{error:?}"
    );
    assert!(world.store.valves().get(&view.id).await.unwrap().is_some(), "nothing is changed");
    let taken = registry.install(stranger(), REPLACE).await.unwrap();
    assert!(taken.grants.0.is_empty() && taken.settings.enabled);
    assert_eq!(registry.valves(&view.id).unwrap()["number"], 7, "the values were for another program");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_bytes_again_change_nothing() {
    let world = World::new().await;
    let registry = world.registry().await;
    let view = registry.install(guest("calculator"), NEW).await.unwrap();
    let plugin = registry.resolve(&view.id).unwrap();
    let again = registry.install(guest("calculator"), REPLACE).await.unwrap();
    assert_eq!(again.revision, view.revision);
    assert!(!plugin.grants.ended().is_cancelled());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_plugin_starts_from_nothing() {
    let world = World::new().await;
    let registry = world.registry().await;
    let view = registry.install(guest("probe"), GRANTED).await.unwrap();
    registry.set_valves(&view.id, json!({"number": 8})).await.unwrap();
    let plugin = registry.resolve(&view.id).unwrap();
    registry.remove(&view.id).await.unwrap();
    assert!(plugin.grants.ended().is_cancelled());
    assert!(registry.show(&view.id).is_none());
    assert!(matches!(registry.resolve(&view.id), Err(RegistryError::NotFound(_))));
    assert!(matches!(registry.remove(&view.id).await, Err(RegistryError::NotFound(_))));
    let again = registry.install(guest("probe"), NEW).await.unwrap();
    assert!(again.grants.0.is_empty());
    assert_eq!(again.revision, 2);
    assert_eq!(registry.valves(&view.id).unwrap()["number"], 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arguments_are_checked_against_the_tools_schema() {
    let world = World::new().await;
    let registry = world.registry().await;
    registry.install(guest("calculator"), NEW).await.unwrap();
    let plugin = registry.resolve(&id("calculator")).unwrap();
    plugin.check_arguments("calculate", &json!({"expression": "1 + 1"})).unwrap();
    let error = plugin.check_arguments("calculate", &json!({"expression": 5})).unwrap_err();
    assert!(error.to_string().contains("`/expression`"), "{error}");
    let error = plugin.check_arguments("calculate", &json!("1 + 1")).unwrap_err();
    assert!(matches!(error, ArgumentError::Invalid(_)));
    let error = plugin.check_arguments("shell", &json!({})).unwrap_err();
    assert_eq!(error.to_string(), "plugin `calculator` has no tool of that name; it has `calculate`");
    let deep = (0..500).fold(json!(1), |inner, _| json!([inner]));
    let error = plugin.check_arguments("calculate", &json!({"expression": deep})).unwrap_err();
    assert!(error.to_string().contains("deeper"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn installs_at_the_same_moment_all_succeed() {
    let world = World::new().await;
    let registry = world.registry().await;
    let install = |bytes| {
        let registry = registry.clone();
        tokio::spawn(async move { registry.install(bytes, REPLACE).await.unwrap() })
    };
    let all = [guest("calculator"), with_note(guest("calculator"), 1), guest("echo"), guest("nothing")]
        .map(install);
    for one in all {
        one.await.unwrap();
    }
    assert_eq!(ids(registry.snapshot().plugins()), ["calculator", "echo", "nothing"]);
    assert_eq!(world.store.plugins().list().await.unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_database_has_all_of_a_plugin_or_nothing() {
    let world = World::new().await;
    let full = world.store_of(|options| options.sqlite_max_pages = Some(300)).await;
    let registry = open(full, sandbox(kept_cache())).await;
    let error = registry.install(guest("probe"), GRANTED).await.unwrap_err();
    assert!(matches!(error, RegistryError::Store(StoreError::Full)), "{error:?}");
    assert!(registry.list().is_empty() && world.store.plugins().list().await.unwrap().is_empty());
    registry.install(guest("echo"), NEW).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_install_that_nobody_waits_for_is_whole_or_nothing() {
    let world = World::new().await;
    let registry = world.registry().await;
    registry.install(guest("echo"), NEW).await.unwrap();
    for milliseconds in [0, 1, 3, 10, 30, 100] {
        let install = registry.install(guest("nothing"), GRANTED);
        drop(tokio::time::timeout(Duration::from_millis(milliseconds), install).await);
        // A change of another plugin comes after whatever is under way.
        registry.disable(&id("echo")).await.unwrap();
        if let Some(plugin) = world.store.plugins().get(&id("nothing")).await.unwrap() {
            assert!(plugin.settings.enabled && !plugin.grants.0.is_empty());
            assert_eq!(registry.show(&plugin.id).unwrap().state, PluginState::Ready);
            registry.remove(&plugin.id).await.unwrap();
        }
    }
}
