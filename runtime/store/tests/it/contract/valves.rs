//! Plugins' settings.

use serde_json::json;

use super::plugins::install;
use super::*;

claims! {
    settings_are_kept_per_plugin_and_person,
    settings_of_nobody_are_not_kept,
}

async fn settings_are_kept_per_plugin_and_person(world: &World) {
    let id = install(world, "echo", b"one").await.id;
    let valves = world.store.valves();
    assert_eq!(valves.get(&id).await.unwrap(), None);
    let before = world.store.plugins().generation().await.unwrap();
    valves.set(&id, &json!({"key": "v\u{0}\u{1f600}", "n": 1.5})).await.unwrap();
    assert_eq!(valves.get(&id).await.unwrap(), Some(json!({"key": "v\u{1f600}", "n": 1.5})));
    assert_eq!(valves.get_user(&id, &world.alice).await.unwrap(), None);
    for value in [1, 2] {
        valves.set_user(&id, &world.alice, &json!({"a": value})).await.unwrap();
        assert_eq!(valves.get_user(&id, &world.alice).await.unwrap(), Some(json!({"a": value})));
    }
    assert_eq!(valves.get_user(&id, &world.bob).await.unwrap(), None);
    assert_eq!(world.store.plugins().generation().await.unwrap(), before + 3);
}

async fn settings_of_nobody_are_not_kept(world: &World) {
    let id = install(world, "echo", b"one").await.id;
    let valves = world.store.valves();
    assert!(is_not_found(valves.set(&plugin("other"), &json!({})).await));
    assert!(is_not_found(valves.set_user(&plugin("other"), &world.alice, &json!({})).await));
    for nobody in ["nobody", "", "x\0"] {
        assert!(is_not_found(valves.set_user(&id, &nobody.into(), &json!({})).await));
        assert_eq!(valves.get_user(&id, &nobody.into()).await.unwrap(), None);
    }
}
