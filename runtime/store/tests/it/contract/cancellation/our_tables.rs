//! Dropped calls that touch our own tables.

use innkeeper_model::kv::KvScope;
use innkeeper_model::permission::{Grant, Grants, Permission};
use innkeeper_model::plugin::PluginSettings;
use innkeeper_store::{Before, Decision};
use sea_query::Query;
use serde_json::json;

use super::super::invocations::receipt;
use super::super::plugins::{install, revision};
use super::super::*;
use super::{nothing, rows, whole};

claims! {
    dropped_writes_of_api_keys_are_whole,
    dropped_writes_of_plugins_are_whole,
    dropped_writes_of_valves_are_whole,
    dropped_writes_of_kv_are_whole,
    dropped_writes_of_invocations_are_whole,
}

async fn dropped_writes_of_api_keys_are_whole(world: &World) {
    let keys = world.store.api_keys();
    let create = async |n: usize| keys.create(&world.alice, &format!("k{n}")).await;
    let created =
        async |n: usize| vec![keys.list(None).await.unwrap().iter().any(|key| key.name == format!("k{n}"))];
    whole(world, "create", nothing, create, created).await;
    let key = tokio::sync::Mutex::new(None);
    let make = async |_| {
        let made = keys.create(&world.alice, "r").await.unwrap().0.id;
        *key.lock().await = Some((made, world.store.plugins().generation().await.unwrap()));
    };
    let revoke = async |_| {
        let id = key.lock().await.clone().unwrap().0;
        keys.revoke(&id).await
    };
    let revoked = async |_| {
        let (id, generation) = key.lock().await.clone().unwrap();
        let listed = keys.list(None).await.unwrap().iter().any(|key| key.id == id);
        vec![!listed, world.store.plugins().generation().await.unwrap() > generation]
    };
    whole(world, "revoke", make, revoke, revoked).await;
}

async fn dropped_writes_of_plugins_are_whole(world: &World) {
    let plugins = world.store.plugins();
    let name = |n: usize| plugin(&format!("p{n}"));
    let add = async |n: usize| plugins.install(revision(&format!("p{n}"), &[7; 100])).await;
    let there = async |n: usize| {
        let found = plugins.get(&name(n)).await.unwrap().is_some();
        vec![found, plugins.component(&name(n), 1).await.unwrap().is_some()]
    };
    whole(world, "install", nothing, add, there).await;
    let decided = || Decision {
        settings: PluginSettings { enabled: true, ..PluginSettings::default() },
        grants: Grants::default().with(Permission::Kv).with(Permission::ChatsRead),
    };
    let id = install(world, "decided", b"zero").await.id;
    let bytes = |n: usize| format!("component {n}").into_bytes();
    let undecided = async |_| {
        let back = |_: Before<'_>| Ok::<_, StoreError>(Some(Decision::default()));
        plugins.install_with(revision("decided", b"zero"), back).await.unwrap();
    };
    let decide = |_: Before<'_>| Ok::<_, StoreError>(Some(decided()));
    let replace = async |n: usize| plugins.install_with(revision("decided", &bytes(n)), decide).await;
    let replaced = async |n: usize| {
        let now = plugins.get(&id).await.unwrap().unwrap();
        let digest = blake3::hash(&bytes(n)).to_hex();
        vec![
            now.digest == digest.as_str(),
            now.settings == decided().settings,
            now.grants == decided().grants,
        ]
    };
    whole(world, "install_with", undecided, replace, replaced).await;

    let id = install(world, "echo", b"one").await.id;
    let last = tokio::sync::Mutex::new(0);
    let note = async |_| *last.lock().await = plugins.generation().await.unwrap();
    let moved = async || plugins.generation().await.unwrap() > *last.lock().await;
    let settings = |n: usize| PluginSettings {
        priority: i32::try_from(n).ok(),
        enabled: true,
        ..PluginSettings::default()
    };
    let set = async |n: usize| plugins.set_settings(&id, &settings(n)).await;
    let is_set = async |n: usize| {
        vec![plugins.get(&id).await.unwrap().unwrap().settings == settings(n), moved().await]
    };
    whole(world, "set_settings", note, set, is_set).await;

    let granted = async || plugins.get(&id).await.unwrap().unwrap().grants.get(Permission::Kv).is_some();
    let without = async |n: usize| {
        plugins.revoke_grant(&id, Permission::Kv).await.unwrap();
        note(n).await;
    };
    let grant = async |_| plugins.set_grant(&id, Permission::Kv, &Grant::default()).await;
    whole(world, "set_grant", without, grant, async |_| vec![granted().await, moved().await]).await;
    let with = async |n: usize| {
        plugins.set_grant(&id, Permission::Kv, &Grant::default()).await.unwrap();
        note(n).await;
    };
    let revoke = async |_| plugins.revoke_grant(&id, Permission::Kv).await;
    whole(world, "revoke_grant", with, revoke, async |_| vec![!granted().await, moved().await]).await;

    let fill = async |n: usize| {
        install(world, "victim", b"x").await;
        plugins.set_grant(&plugin("victim"), Permission::Kv, &Grant::default()).await.unwrap();
        note(n).await;
    };
    let remove = async |_| plugins.remove(&plugin("victim")).await;
    let gone = async |_| {
        let revisions = rows(world, "innkeeper_plugin_revision", "plugin_id", "victim").await;
        let grants = rows(world, "innkeeper_grant", "plugin_id", "victim").await;
        vec![
            plugins.get(&plugin("victim")).await.unwrap().is_none(),
            revisions == 0,
            grants == 0,
            moved().await,
        ]
    };
    whole(world, "remove", fill, remove, gone).await;
}

async fn dropped_writes_of_valves_are_whole(world: &World) {
    let (valves, plugins) = (world.store.valves(), world.store.plugins());
    let id = install(world, "echo", b"one").await.id;
    let last = tokio::sync::Mutex::new(0);
    let note = async |_| *last.lock().await = plugins.generation().await.unwrap();
    let moved = async || plugins.generation().await.unwrap() > *last.lock().await;
    let set = async |n: usize| valves.set(&id, &json!({"n": n})).await;
    let is_set =
        async |n: usize| vec![valves.get(&id).await.unwrap() == Some(json!({"n": n})), moved().await];
    whole(world, "set", note, set, is_set).await;
    let set = async |n: usize| valves.set_user(&id, &world.alice, &json!({"n": n})).await;
    let is_set = async |n: usize| {
        vec![valves.get_user(&id, &world.alice).await.unwrap() == Some(json!({"n": n})), moved().await]
    };
    whole(world, "set_user", note, set, is_set).await;
}

async fn dropped_writes_of_kv_are_whole(world: &World) {
    let (kv, scope) = (world.store.kv(), KvScope::User(plugin("p"), world.alice.clone()));
    let is = async |key: &str, value: &[u8]| {
        kv.get(&scope, key).await.unwrap().is_some_and(|entry| entry.value == value)
    };
    // What the scope is counted with is what it holds.
    let counted = async || {
        let mut tx = world.begin().await;
        let mut select = Query::select().columns(["entries", "bytes"]).from("innkeeper_kv_scope").take();
        let scope =
            tx.fetch_optional(&mut select, |row| Ok((row.int("entries")?, row.int("bytes")?))).await.unwrap();
        let mut select = Query::select().columns(["key", "value"]).from("innkeeper_kv").take();
        let sizes = tx
            .fetch_all(&mut select, 1000, |row| {
                Ok((row.bytes("key")?.len() + row.bytes("value")?.len()) as i64)
            })
            .await
            .unwrap();
        tx.rollback().await.unwrap();
        scope.unwrap_or_default() == (sizes.len() as i64, sizes.iter().sum())
    };
    let check = async |there: bool| if counted().await { vec![there] } else { vec![true, false] };
    let value = |n: usize| format!("value {n}").into_bytes();
    let set = async |n: usize| kv.set(&scope, "k", &value(n), None, &QUOTA).await;
    whole(world, "set", nothing, set, async |n| check(is("k", &value(n)).await).await).await;
    let put = async |n: usize| kv.put_if(&scope, &format!("put{n}"), b"x", None, None, &QUOTA).await;
    whole(world, "put_if", nothing, put, async |n| check(is(&format!("put{n}"), b"x").await).await).await;
    let increment = async |n: usize| kv.increment(&scope, &format!("n{n}"), 5, None, &QUOTA).await;
    whole(world, "increment", nothing, increment, async |n| check(is(&format!("n{n}"), b"5").await).await)
        .await;
    let make = async |_| {
        kv.set(&scope, "d", b"x", None, &QUOTA).await.unwrap();
    };
    let delete = async |_| kv.delete(&scope, "d").await;
    whole(world, "delete", make, delete, async |_| check(!is("d", b"x").await).await).await;
    let make = async |_| {
        kv.set(&scope, "old", b"x", Some(10), &QUOTA).await.unwrap();
        world.clock.advance(10);
    };
    let swept = async |_| {
        check(
            rows(world, "innkeeper_kv", "scope", "user").await
                == kv.keys(&scope, "", &first(200)).await.unwrap().items.len(),
        )
        .await
    };
    whole(world, "sweep", make, async |_| kv.sweep().await, swept).await;
}

async fn dropped_writes_of_invocations_are_whole(world: &World) {
    let invocations = world.store.invocations();
    let record = async |n: usize| {
        invocations
            .record(&[
                receipt(&format!("a{n}"), Some(&world.alice)),
                receipt(&format!("b{n}"), Some(&world.bob)),
            ])
            .await
    };
    let recorded = async |n: usize| {
        let there = async |id: String| invocations.get(&id).await.unwrap().is_some();
        vec![there(format!("a{n}")).await, there(format!("b{n}")).await]
    };
    whole(world, "record", nothing, record, recorded).await;
    let age = async |n: usize| {
        invocations
            .record(&[receipt(&format!("o{n}"), None), receipt(&format!("p{n}"), None)])
            .await
            .unwrap();
        world.clock.advance(100);
    };
    let pruned = async |n: usize| {
        let gone = async |id: String| invocations.get(&id).await.unwrap().is_none();
        vec![gone(format!("o{n}")).await, gone(format!("p{n}")).await]
    };
    whole(world, "prune", age, async |_| invocations.prune(50, 0).await, pruned).await;
}
