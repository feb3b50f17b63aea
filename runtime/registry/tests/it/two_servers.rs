//! Two registries over one database are two servers, whichever kind of database it is.

use std::sync::Arc;
use std::time::Duration;

use innkeeper_model::Permission;
use innkeeper_model::manifest::Manifest;
use innkeeper_model::permission::Grant;
use innkeeper_registry::Registry;
use innkeeper_testing::databases::Backend;
use innkeeper_testing::guests::guest;
use innkeeper_testing::on_each_backend;
use serde_json::json;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::environment::{World, asking, id, kept_cache, open, sandbox, soon, tool, with_note, with_valves};

on_each_backend! {
    a_revoked_grant_ends_on_the_other_server,
    disabling_and_removing_end_calls_on_the_other_server,
    a_further_revision_replaces_the_one_on_the_other_server,
    values_reach_the_other_server,
}

const PROMISED: Duration = Duration::from_secs(2);

struct Servers {
    world: World,
    here: Registry,
    there: Registry,
    _watching: DropGuard,
}

/// None where there is no database of this kind here.
async fn servers(backend: Backend, manifest: &Manifest) -> Option<Servers> {
    let world = World::on(backend).await?;
    world.put(manifest, guest("calculator")).await;
    let here = world.registry().await;
    let there = open(world.other_store().await, sandbox(kept_cache())).await;
    let cancel = CancellationToken::new();
    for registry in [here.clone(), there.clone()] {
        let cancel = cancel.clone();
        tokio::spawn(async move { registry.watch(cancel).await });
    }
    Some(Servers { world, here, there, _watching: cancel.drop_guard() })
}

async fn a_revoked_grant_ends_on_the_other_server(backend: Backend) {
    let Some(servers) = servers(backend, &asking(tool("asks"), &[Permission::Kv])).await else { return };
    let asks = id("asks");
    let running = servers.there.resolve(&asks).unwrap();
    let has = || running.grants.get().get(Permission::Kv).is_some();
    servers.here.grant(&asks, Permission::Kv, Grant::default()).await.unwrap();
    soon(PROMISED, "granted", has).await;
    servers.here.revoke(&asks, Permission::Kv).await.unwrap();
    soon(PROMISED, "revoked", || !has()).await;
    assert!(!running.grants.ended().is_cancelled());
    assert!(Arc::ptr_eq(&running.grants, &servers.there.resolve(&asks).unwrap().grants));
}

async fn disabling_and_removing_end_calls_on_the_other_server(backend: Backend) {
    let Some(servers) = servers(backend, &tool("asks")).await else { return };
    let asks = id("asks");
    let running = servers.there.resolve(&asks).unwrap();
    servers.here.disable(&asks).await.unwrap();
    soon(PROMISED, "disabled", || running.grants.ended().is_cancelled()).await;
    servers.here.enable(&asks).await.unwrap();
    soon(PROMISED, "enabled", || servers.there.resolve(&asks).is_ok()).await;
    let running = servers.there.resolve(&asks).unwrap();
    servers.here.remove(&asks).await.unwrap();
    soon(PROMISED, "removed", || running.grants.ended().is_cancelled()).await;
    soon(PROMISED, "gone", || servers.there.show(&asks).is_none()).await;
}

async fn a_further_revision_replaces_the_one_on_the_other_server(backend: Backend) {
    let Some(servers) = servers(backend, &tool("asks")).await else { return };
    let asks = id("asks");
    let running = servers.there.resolve(&asks).unwrap();
    servers.world.put(&tool("asks"), with_note(guest("calculator"), 9)).await;
    soon(PROMISED, "ended", || running.grants.ended().is_cancelled()).await;
    let replaced = || servers.there.resolve(&asks).is_ok_and(|plugin| plugin.revision == 2);
    soon(Duration::from_secs(60), "compiled there", replaced).await;
}

async fn values_reach_the_other_server(backend: Backend) {
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
    let mut manifest = with_valves(tool("asks"), schema.clone());
    manifest.user_valves = Some(schema);
    let Some(servers) = servers(backend, &manifest).await else { return };
    let (asks, user) = (id("asks"), servers.world.user.clone());
    for value in 1..4 {
        let text = format!(r#"{{"a":{value}}}"#);
        servers.here.set_valves(&asks, json!({"a": value})).await.unwrap();
        soon(PROMISED, "valves", || *servers.there.resolve(&asks).unwrap().valves == *text).await;
        servers.here.set_user_valves(&asks, &user, json!({"a": value})).await.unwrap();
        let plugin = servers.there.resolve(&asks).unwrap();
        let arrived = async {
            while *plugin.user_valves(&user).await.unwrap() != *text {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PROMISED, arrived).await.unwrap();
    }
}
