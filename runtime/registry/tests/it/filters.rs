//! Which filters a turn has, and what is done about those that cannot run.

use innkeeper_model::plugin::{OnFailure, PluginSettings};
use innkeeper_registry::{Registry, RegistryError};
use innkeeper_testing::guests::guest;
use serde_json::json;

use crate::environment::{World, filter, id, ids, with_valves};

fn on(models: &[&str], on_failure: OnFailure) -> PluginSettings {
    let models: Vec<String> = models.iter().map(|&model| model.to_owned()).collect();
    PluginSettings {
        enabled: true,
        global: models.is_empty(),
        models,
        on_failure,
        ..PluginSettings::default()
    }
}

fn check_filters(registry: &Registry, model: &str, toggles: &[&str], expected: &[&str]) {
    let toggles: Vec<String> = toggles.iter().map(|&id| id.to_owned()).collect();
    let filters = registry.snapshot().filters_for(model, &toggles).unwrap();
    assert_eq!(ids(&filters), expected, "{model} {toggles:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_run_by_priority_and_id_where_they_apply() {
    let world = World::new().await;
    let component = || guest("context-clip");
    world.put(&filter("later", 10), component()).await;
    world.put(&filter("beta", 0), component()).await;
    world.put(&filter("alpha", 0), component()).await;
    world.put(&filter("of-model", -5), component()).await;
    let mut toggle = filter("toggled", 5);
    toggle.filter.as_mut().unwrap().toggle = true;
    world.put(&toggle, component()).await;
    let mut guard = filter("guards", 1);
    guard.filter.as_mut().unwrap().guard = true;
    world.put(&guard, component()).await;
    world.store.plugins().set_settings(&id("of-model"), &on(&["gpt"], OnFailure::Closed)).await.unwrap();
    let registry = world.registry().await;

    check_filters(&registry, "other", &[], &["alpha", "beta", "guards", "later"]);
    check_filters(&registry, "gpt", &[], &["of-model", "alpha", "beta", "guards", "later"]);
    check_filters(
        &registry,
        "gpt",
        &["toggled"],
        &["of-model", "alpha", "beta", "guards", "toggled", "later"],
    );
    assert_eq!(ids(&registry.snapshot().guards_for("gpt", &[]).unwrap()), ["guards"]);

    let first = PluginSettings { priority: Some(-100), ..on(&[], OnFailure::Closed) };
    registry.set_settings(&id("later"), first).await.unwrap();
    registry.disable(&id("alpha")).await.unwrap();
    check_filters(&registry, "other", &[], &["later", "beta", "guards"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_that_cannot_run_is_passed_over_only_where_the_operator_says_so() {
    let world = World::new().await;
    let needs_key = json!({"type": "object", "required": ["key"], "properties": {"key": {"type": "string"}}});
    world.put(&with_valves(filter("needs-key", 0), needs_key), guest("context-clip")).await;
    let registry = world.registry().await;
    let error = registry.snapshot().filters_for("gpt", &[]).unwrap_err();
    assert!(
        matches!(&error, RegistryError::NotReady { plugin, .. } if *plugin == id("needs-key")),
        "{error}"
    );
    assert!(error.to_string().contains("key"), "{error}");
    for passing in [OnFailure::Skip, OnFailure::Quarantine] {
        registry.set_settings(&id("needs-key"), on(&[], passing)).await.unwrap();
        check_filters(&registry, "gpt", &[], &[]);
    }
    registry.set_valves(&id("needs-key"), json!({"key": "k"})).await.unwrap();
    check_filters(&registry, "gpt", &[], &["needs-key"]);
    registry.disable(&id("needs-key")).await.unwrap();
    check_filters(&registry, "gpt", &[], &[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_that_breaks_rests_longer_each_time() {
    let world = World::new().await;
    world.put(&filter("breaks", 0), guest("context-clip")).await;
    let registry = world.registry().await;
    let breaks = id("breaks");
    registry.report_failure(&breaks);
    check_filters(&registry, "gpt", &[], &["breaks"]);
    registry.set_settings(&breaks, on(&[], OnFailure::Quarantine)).await.unwrap();
    for seconds in [10, 20, 40] {
        registry.report_failure(&breaks);
        check_filters(&registry, "gpt", &[], &[]);
        assert_eq!(registry.show(&breaks).unwrap().quarantined_until, Some(world.clock.seconds() + seconds));
        world.clock.advance(seconds - 1);
        check_filters(&registry, "gpt", &[], &[]);
        world.clock.advance(1);
        check_filters(&registry, "gpt", &[], &["breaks"]);
    }
    registry.report_success(&breaks);
    registry.report_failure(&breaks);
    // A change that has nothing to do with it does not end the rest.
    registry
        .set_settings(&breaks, PluginSettings { priority: Some(1), ..on(&[], OnFailure::Quarantine) })
        .await
        .unwrap();
    check_filters(&registry, "gpt", &[], &[]);
    world.clock.advance(10);
    check_filters(&registry, "gpt", &[], &["breaks"]);
}
