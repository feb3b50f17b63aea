//! Installed plugins.

use innkeeper_model::kv::KvScope;
use innkeeper_model::manifest::{Kinds, Manifest};
use innkeeper_model::permission::{Grant, Grants, Permission, Scope};
use innkeeper_model::plugin::{InstalledPlugin, OnFailure, PluginSettings};
use innkeeper_store::{Before, Decision, NewRevision};
use sea_query::{Expr, ExprTrait, Query};
use serde_json::json;

use super::*;

claims! {
    revisions_are_numbered_and_never_twice,
    the_same_component_is_the_same_revision,
    a_removed_plugin_starts_from_nothing,
    a_component_comes_back_whole_or_not_at_all,
    what_the_operator_decides_is_kept_and_moves_the_generation,
    concurrent_installs_make_one_plugin,
    a_decision_is_kept_in_the_same_transaction,
    a_plugin_that_cannot_be_read_hides_no_other,
    what_takes_the_place_of_a_plugin_that_cannot_be_read_starts_from_nothing,
}

async fn revisions_are_numbered_and_never_twice(world: &World) {
    let plugins = world.store.plugins();
    assert_eq!(install(world, "echo", b"one").await.revision, 1);
    let two = install(world, "echo", b"two").await;
    assert_eq!(two.revision, 2);
    assert_eq!(plugins.get(&two.id).await.unwrap(), Some(two.clone()));
    assert_eq!(revisions(world, &two.id).await, [1, 2]);
    assert!(plugins.remove(&two.id).await.unwrap());
    assert!(!plugins.remove(&two.id).await.unwrap());
    assert_eq!(install(world, "echo", b"one").await.revision, 3);
    install(world, "another", b"x").await;
    let ids: Vec<_> = plugins.list().await.unwrap().into_iter().map(|plugin| plugin.id).collect();
    assert_eq!(ids, [plugin("another"), plugin("echo")]);
}

async fn the_same_component_is_the_same_revision(world: &World) {
    let plugins = world.store.plugins();
    let one = install(world, "echo", b"one").await;
    let generation = plugins.generation().await.unwrap();
    assert_eq!(install(world, "echo", b"one").await, one);
    assert_eq!(plugins.generation().await.unwrap(), generation, "nothing has changed");
    install(world, "echo", b"two").await;
    let back = install(world, "echo", b"one").await;
    assert_eq!((back.revision, back.digest), (1, one.digest));
    assert_eq!(revisions(world, &one.id).await, [1, 2]);
}

/// Which of the first ten revisions are stored.
async fn revisions(world: &World, id: &PluginId) -> Vec<i64> {
    let mut found = Vec::new();
    for revision in 1..=10 {
        if world.store.plugins().component(id, revision).await.unwrap().is_some() {
            found.push(revision);
        }
    }
    found
}

async fn a_removed_plugin_starts_from_nothing(world: &World) {
    let (plugins, store) = (world.store.plugins(), &world.store);
    let id = install(world, "echo", b"one").await.id;
    plugins.set_grant(&id, Permission::Kv, &Grant::default()).await.unwrap();
    plugins.set_settings(&id, &PluginSettings { enabled: true, ..PluginSettings::default() }).await.unwrap();
    store.valves().set(&id, &json!({"a": 1})).await.unwrap();
    store.valves().set_user(&id, &world.alice, &json!({"a": 1})).await.unwrap();
    let shared = KvScope::Shared(id.clone());
    store.kv().set(&shared, "k", b"v", None, &QUOTA).await.unwrap();
    assert!(plugins.remove(&id).await.unwrap());
    assert_eq!(plugins.get(&id).await.unwrap(), None);
    assert_eq!(plugins.component(&id, 1).await.unwrap(), None);
    // What a call that was still running wrote after the removal does not come back either.
    store.kv().set(&shared, "late", b"v", None, &QUOTA).await.unwrap();
    let again = install(world, "echo", b"one").await;
    assert!(again.grants.0.is_empty() && !again.settings.enabled);
    assert_eq!(store.valves().get(&id).await.unwrap(), None);
    assert_eq!(store.valves().get_user(&id, &world.alice).await.unwrap(), None);
    assert!(store.kv().keys(&shared, "", &first(0)).await.unwrap().items.is_empty());
}

async fn a_component_comes_back_whole_or_not_at_all(world: &World) {
    let plugins = world.store.plugins();
    let bytes: Vec<u8> = (0..3_500_000_u32).map(|n| (n % 251) as u8).collect();
    let id = install(world, "big", &bytes).await.id;
    assert_eq!(plugins.component(&id, 1).await.unwrap().unwrap(), bytes);
    assert_eq!(plugins.component(&id, 2).await.unwrap(), None);
    let damage = Query::delete()
        .from_table("innkeeper_plugin_component")
        .and_where(Expr::col("position").eq(1))
        .take();
    world.run(&damage).await;
    assert!(matches!(plugins.component(&id, 1).await, Err(StoreError::Corrupt { .. })));
    let mut wrong = revision("echo", b"one");
    wrong.digest = blake3::hash(b"two").to_hex().to_string();
    assert!(is_invalid(plugins.install(wrong).await));
    let mut wrong = revision("echo", b"one");
    wrong.size = 4;
    assert!(is_invalid(plugins.install(wrong).await));
    assert_eq!(plugins.list().await.unwrap().len(), 1);
}

async fn what_the_operator_decides_is_kept_and_moves_the_generation(world: &World) {
    let plugins = world.store.plugins();
    let id = install(world, "echo", b"one").await.id;
    let mut generation = plugins.generation().await.unwrap();
    let mut moved = async |what: &str| {
        let now = plugins.generation().await.unwrap();
        assert!(now > generation, "{what}");
        generation = now;
    };
    world.clock.advance(7);
    let settings = PluginSettings {
        enabled: true,
        global: true,
        models: vec!["m".to_owned()],
        on_failure: OnFailure::Skip,
        priority: Some(-3),
        limits: [("fuel".to_owned(), 5)].into(),
    };
    plugins.set_settings(&id, &settings).await.unwrap();
    moved("settings").await;
    let grant = Grant { scope: Scope::All, unattended: true, event_types: vec!["x".to_owned()] };
    plugins.set_grant(&id, Permission::ChatsRead, &Grant::default()).await.unwrap();
    plugins.set_grant(&id, Permission::ChatsRead, &grant).await.unwrap();
    moved("grant").await;
    let stored = plugins.get(&id).await.unwrap().unwrap();
    assert_eq!((&stored.settings, stored.grants.get(Permission::ChatsRead)), (&settings, Some(&grant)));
    assert_eq!((stored.installed_at, stored.updated_at), (START, START + 7));
    assert!(plugins.revoke_grant(&id, Permission::ChatsRead).await.unwrap());
    moved("revocation").await;
    assert!(!plugins.revoke_grant(&id, Permission::ChatsRead).await.unwrap());
    let other = plugin("other");
    assert!(is_not_found(plugins.set_settings(&other, &settings).await));
    assert!(is_not_found(plugins.set_grant(&other, Permission::Kv, &grant).await));
    plugins.remove(&id).await.unwrap();
    moved("removal").await;
}

async fn concurrent_installs_make_one_plugin(world: &World) {
    let install = |number: u8| {
        let plugins = world.store.plugins();
        tokio::spawn(async move { plugins.install(revision("echo", &[number % 3])).await })
    };
    let mut revisions = Vec::new();
    for outcome in futures::future::join_all((0..9).map(install)).await {
        revisions.push(outcome.unwrap().unwrap().revision);
    }
    revisions.sort_unstable();
    assert_eq!(revisions, [1, 1, 1, 2, 2, 2, 3, 3, 3]);
    assert_eq!(world.store.plugins().list().await.unwrap().len(), 1);
}

async fn a_decision_is_kept_in_the_same_transaction(world: &World) {
    let plugins = world.store.plugins();
    let decision = |permissions: &[Permission]| Decision {
        settings: PluginSettings { enabled: true, ..PluginSettings::default() },
        grants: permissions.iter().fold(Grants::default(), |grants, permission| grants.with(*permission)),
    };
    let new = plugins
        .install_with(revision("echo", b"one"), |before| {
            assert_eq!(before, Before::Nothing);
            Ok::<_, StoreError>(Some(decision(&[Permission::Kv, Permission::ChatsRead])))
        })
        .await
        .unwrap();
    assert!(new.settings.enabled && new.grants.0.len() == 2);
    let next = plugins
        .install_with(revision("echo", b"two"), |before| {
            assert_eq!(before, Before::Plugin(&new));
            Ok::<_, StoreError>(Some(decision(&[Permission::Kv])))
        })
        .await
        .unwrap();
    assert_eq!((next.revision, next.grants.0.len()), (2, 1));
    let same = |_: Before<'_>| Ok::<_, StoreError>(Some(Decision::default()));
    let same = plugins.install_with(revision("echo", b"two"), same).await.unwrap();
    assert_eq!((same.revision, same.grants.0.len(), same.settings.enabled), (2, 0, false));
    let refuse = |_: Before<'_>| Err(StoreError::Conflict("the test".to_owned()));
    assert!(is_conflict(plugins.install_with(revision("echo", b"three"), refuse).await));
    assert!(plugins.component(&same.id, 3).await.unwrap().is_none(), "nothing is installed");
    assert_eq!(plugins.get(&same.id).await.unwrap(), Some(same));
}

async fn a_plugin_that_cannot_be_read_hides_no_other(world: &World) {
    let plugins = world.store.plugins();
    let newer = install(world, "newer", b"x").await.id;
    install(world, "echo", b"x").await;
    make_unreadable(world, &newer).await;
    let ids: Vec<_> = plugins.list().await.unwrap().into_iter().map(|plugin| plugin.id).collect();
    assert_eq!(ids, [plugin("echo")]);
    assert!(matches!(plugins.get(&newer).await, Err(StoreError::Corrupt { .. })));
    assert_eq!(install(world, "newer", b"y").await.revision, 2, "it can be replaced");
    assert_eq!(plugins.list().await.unwrap().len(), 2);
}

async fn what_takes_the_place_of_a_plugin_that_cannot_be_read_starts_from_nothing(world: &World) {
    let (plugins, store) = (world.store.plugins(), &world.store);
    let id = install(world, "newer", b"x").await.id;
    plugins.set_grant(&id, Permission::Kv, &Grant::default()).await.unwrap();
    store.valves().set(&id, &json!({"secret": 1})).await.unwrap();
    store.valves().set_user(&id, &world.alice, &json!({"secret": 1})).await.unwrap();
    let shared = KvScope::Shared(id.clone());
    store.kv().set(&shared, "k", b"v", None, &QUOTA).await.unwrap();
    make_unreadable(world, &id).await;
    let refuse = |before: Before<'_>| {
        assert_eq!(before, Before::Unreadable { revision: 1 });
        Err(StoreError::Conflict("the test".to_owned()))
    };
    assert!(is_conflict(plugins.install_with(revision("newer", b"y"), refuse).await));
    assert!(store.valves().get(&id).await.unwrap().is_some(), "nothing is changed");
    // The same bytes are no way back to what was granted and set, either.
    let new = install(world, "newer", b"x").await;
    assert!(new.revision == 2 && new.grants.0.is_empty() && !new.settings.enabled, "{new:?}");
    assert_eq!(store.valves().get(&id).await.unwrap(), None);
    assert_eq!(store.valves().get_user(&id, &world.alice).await.unwrap(), None);
    assert!(store.kv().get(&shared, "k").await.unwrap().is_none());
}

/// As a newer program might have installed it.
async fn make_unreadable(world: &World, id: &PluginId) {
    let update = Query::update()
        .table("innkeeper_plugin_revision")
        .value("manifest", r#"{"from":"the future"}"#)
        .and_where(Expr::col("plugin_id").eq(id.as_str()))
        .take();
    world.run(&update).await;
}

pub(super) async fn install(world: &World, id: &str, component: &[u8]) -> InstalledPlugin {
    world.store.plugins().install(revision(id, component)).await.unwrap()
}

pub(super) fn revision(id: &str, component: &[u8]) -> NewRevision {
    let manifest = Manifest {
        id: plugin(id),
        name: format!("{id} \u{1f600}"),
        version: "0.1.0".to_owned(),
        description: "'quoted' \"text\" \\ %".to_owned(),
        authors: vec!["A".to_owned()],
        license: None,
        homepage: None,
        permissions: Vec::new(),
        limits: [("fuel".to_owned(), 7)].into(),
        valves: Some(json!({"type": "object", "properties": {}})),
        user_valves: None,
        tools: Vec::new(),
        actions: Vec::new(),
        jobs: Vec::new(),
        filter: None,
        kinds: Kinds { pipe: true, ..Kinds::default() },
    };
    let digest = blake3::hash(component).to_hex().to_string();
    NewRevision { manifest, digest, size: component.len() as u64, component: component.to_vec() }
}
