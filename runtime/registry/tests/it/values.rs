//! Valves: checked, completed, masked, and judged again by each revision.

use innkeeper_model::UserId;
use innkeeper_model::manifest::Manifest;
use innkeeper_registry::{MASK, PluginState, RegistryError};
use innkeeper_testing::guests::guest;
use serde_json::{Value, json};

use crate::environment::{World, id, tool, with_note, with_valves};

fn schema() -> Value {
    json!({"type": "object", "additionalProperties": false, "properties": {
        "url": {"type": "string", "default": "https://example.org"},
        "key": {"type": "string", "format": "password"},
        "count": {"type": "integer", "minimum": 1, "default": 3}}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_masked_and_the_mask_keeps_them() {
    let world = World::new().await;
    world.put(&with_valves(tool("set"), schema()), guest("calculator")).await;
    let registry = world.registry().await;
    let set = id("set");
    assert_eq!(registry.valves(&set).unwrap(), json!({"url": "https://example.org", "count": 3}));
    let shown = registry.set_valves(&set, json!({"key": "hunter2"})).await.unwrap();
    assert_eq!(shown, json!({"key": MASK, "url": "https://example.org", "count": 3}));
    let given = |registry: &innkeeper_registry::Registry| -> Value {
        serde_json::from_str(&registry.resolve(&set).unwrap().valves).unwrap()
    };
    assert_eq!(given(&registry), json!({"key": "hunter2", "url": "https://example.org", "count": 3}));
    registry.set_valves(&set, json!({"key": MASK, "count": 5})).await.unwrap();
    assert_eq!(given(&registry), json!({"key": "hunter2", "url": "https://example.org", "count": 5}));
    assert_eq!(world.store.valves().get(&set).await.unwrap(), Some(json!({"key": "hunter2", "count": 5})));
    registry.set_valves(&set, json!({})).await.unwrap();
    assert_eq!(given(&registry), json!({"url": "https://example.org", "count": 3}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_that_do_not_fit_are_refused_with_their_places() {
    let world = World::new().await;
    world.put(&with_valves(tool("set"), schema()), guest("calculator")).await;
    world.put(&tool("plain"), guest("calculator")).await;
    let registry = world.registry().await;
    let set = id("set");
    let check = async |value: Value, expected: &[&str]| {
        let RegistryError::Valves { problems, .. } = registry.set_valves(&set, value).await.unwrap_err()
        else {
            panic!()
        };
        assert_eq!(problems.iter().map(|problem| problem.path.as_str()).collect::<Vec<_>>(), expected);
    };
    check(json!({"count": 0, "url": 5}), &["/count", "/url"]).await;
    check(json!({"colour": "red"}), &[""]).await;
    check(json!([1]), &[""]).await;
    check(json!(null), &[""]).await;
    check(json!({"url": "x".repeat(100_000)}), &[""]).await;
    assert_eq!(world.store.valves().get(&set).await.unwrap(), None);
    assert_eq!(registry.valves(&id("plain")).unwrap(), json!({}));
    registry.set_valves(&id("plain"), json!({})).await.unwrap();
    assert!(registry.set_valves(&id("plain"), json!({"a": 1})).await.is_err());
    assert!(matches!(registry.valves(&id("nobody")), Err(RegistryError::NotFound(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kept_values_that_no_longer_fit_stop_the_plugin_until_they_are_set() {
    let world = World::new().await;
    world.put(&with_valves(tool("set"), schema()), guest("calculator")).await;
    let registry = world.registry().await;
    let set = id("set");
    registry.set_valves(&set, json!({"count": 2})).await.unwrap();
    let stricter = json!({"type": "object", "properties": {"count": {"type": "integer", "minimum": 10}}});
    world.put(&with_valves(tool("set"), stricter), with_note(guest("calculator"), 1)).await;
    let registry = world.registry().await;
    let view = registry.show(&set).unwrap();
    assert_eq!(view.state, PluginState::Failed);
    let error = registry.resolve(&set).unwrap_err();
    assert!(
        error.to_string().contains("`/count`") && error.to_string().contains("valves set --set"),
        "{error}"
    );
    assert_eq!(registry.valves(&set).unwrap(), json!({"count": 2}));
    registry.set_valves(&set, json!({"count": 20})).await.unwrap();
    assert_eq!(registry.show(&set).unwrap().state, PluginState::Ready);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_the_plugin_does_not_have_is_refused_unless_it_was_kept_from_before() {
    let world = World::new().await;
    let of = |schema: Value| with_valves(tool("set"), schema);
    let before = json!({"type": "object", "properties": {"url": {"type": "string"}, "gone": {}}});
    world.put(&of(before), guest("calculator")).await;
    let registry = world.registry().await;
    let set = id("set");
    registry.set_valves(&set, json!({"gone": 1})).await.unwrap();
    let mut note = 0;
    let mut with = async |schema: Value| {
        note += 1;
        world.put(&of(schema), with_note(guest("calculator"), note)).await;
        world.registry().await
    };
    let named = json!({"type": "object", "properties": {"url": {"type": "string"}, "count": {}}});
    let registry = with(named).await;
    let error = registry.set_valves(&set, json!({"URL": "x", "a/b": 1, "gone": 1})).await.unwrap_err();
    let RegistryError::Valves { problems, .. } = &error else { panic!("{error}") };
    let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(paths, ["/URL", "/a~1b"]);
    assert!(error.to_string().contains("it has: count, url"), "{error}");
    assert_eq!(world.store.valves().get(&set).await.unwrap(), Some(json!({"gone": 1})));
    registry.set_valves(&set, json!({"url": "x", "gone": 2})).await.unwrap();
    for open in [
        json!({"properties": {"url": {}}, "additionalProperties": true}),
        json!({"properties": {"url": {}}, "patternProperties": {"^U": {}}}),
        json!({"properties": {"url": {}}, "propertyNames": {"maxLength": 9}}),
        json!({"type": "object"}),
    ] {
        let registry = with(open).await;
        registry.set_valves(&set, json!({"URL": "x"})).await.unwrap();
        registry.set_valves(&set, json!({})).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_have_values_of_their_own() {
    let world = World::new().await;
    let user_valves = json!({"type": "object", "properties": {
        "text": {"type": "string", "default": "none"}, "key": {"type": "string", "writeOnly": true}}});
    world.put(&Manifest { user_valves: Some(user_valves), ..tool("set") }, guest("calculator")).await;
    let registry = world.registry().await;
    let (set, user) = (id("set"), &world.user);
    let plugin = registry.resolve(&set).unwrap();
    assert_eq!(&*plugin.user_valves(user).await.unwrap(), r#"{"text":"none"}"#);
    let shown = registry.set_user_valves(&set, user, json!({"text": "a", "key": "secret"})).await.unwrap();
    assert_eq!(shown, json!({"text": "a", "key": MASK}));
    let given: Value = serde_json::from_str(&plugin.user_valves(user).await.unwrap()).unwrap();
    assert_eq!(given, json!({"text": "a", "key": "secret"}));
    let before = world.store.statements();
    plugin.user_valves(user).await.unwrap();
    assert_eq!(world.store.statements(), before, "what is known is not read again");
    assert!(registry.set_user_valves(&set, user, json!({"text": 5})).await.is_err());
    assert!(registry.set_user_valves(&set, &UserId::new("nobody"), json!({"text": "a"})).await.is_err());
    assert_eq!(registry.user_valves(&set, &UserId::new("nobody")).await.unwrap(), json!({"text": "none"}));
}
