//! Lists of models: of pipes that are slow, that fail, and that tell each person something else.

use std::time::{Duration, Instant};

use innkeeper_dispatch::ModelEntry;
use innkeeper_model::permission::Grant;
use innkeeper_model::principal::Role;
use innkeeper_model::{Permission, Principal, UserId};
use serde_json::{Value, json};

use crate::world::{Installed, World, id, order, plugin, world};

/// `probe`, which does this whenever it is asked for its models.
fn lists(name: &'static str, import: &str, args: Value) -> Installed {
    plugin("probe").named(name).valves(json!({ "job": order("models", import, args) }))
}

/// `probe`, which describes its models so.
fn described(name: &'static str, description: &str) -> Installed {
    lists(name, "context.locale", json!({ "description": description }))
}

async fn models(world: &World, user: &UserId) -> Vec<ModelEntry> {
    world.dispatch.models(&Principal::person(user.clone(), Role::User)).await
}

async fn asked(world: &World, plugin: &str) -> usize {
    world.assert_idle().await;
    world.receipts_of(plugin).await.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_pipes_are_left_out_and_left_alone_for_a_while() {
    let sleeps = |name| lists(name, "wasi.sleep", json!({ "milliseconds": 20_000 }));
    let world = world()
        .plugin(sleeps("slow"))
        .plugin(sleeps("slower"))
        .plugin(sleeps("slowest"))
        .plugin(plugin("echo"))
        .build()
        .await;
    let begun = Instant::now();
    let ids = |models: Vec<ModelEntry>| models.into_iter().map(|model| model.id).collect::<Vec<_>>();
    assert_eq!(ids(models(&world, &world.ada).await), ["echo"]);
    assert!(begun.elapsed() < Duration::from_secs(9), "asked one after another: {:?}", begun.elapsed());
    let again = Instant::now();
    assert_eq!(ids(models(&world, &world.ada).await), ["echo"]);
    assert!(again.elapsed() < Duration::from_secs(2), "{:?}", again.elapsed());
    assert_eq!(asked(&world, "slow").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_is_asked_for_anew_where_what_it_was_made_of_has_changed() {
    let job = |description: &str| {
        let args = json!({ "cache_seconds": 600, "description": description });
        json!({ "job": order("models", "context.locale", args) })
    };
    let world = world().plugin(plugin("probe").named("tells").valves(job("first"))).build().await;
    let lists = async |role: Role| {
        let models = world.dispatch.models(&Principal::person(world.ada.clone(), role)).await;
        models[0].description.clone().unwrap()
    };
    let tells = id("tells");
    for (expected, description) in [(1, "first"), (1, "first")] {
        assert_eq!((lists(Role::User).await.as_str(), asked(&world, "tells").await), (description, expected));
    }
    world.registry.set_valves(&tells, job("second")).await.unwrap();
    assert_eq!((lists(Role::User).await.as_str(), asked(&world, "tells").await), ("second", 2));
    world.registry.grant(&tells, Permission::Kv, Grant::default()).await.unwrap();
    assert_eq!((lists(Role::User).await.as_str(), asked(&world, "tells").await), ("second", 3));
    world.registry.set_user_valves(&tells, &world.ada, json!({ "text": "mine" })).await.unwrap();
    assert_eq!((lists(Role::User).await.as_str(), asked(&world, "tells").await), ("second", 4));
    assert_eq!((lists(Role::Admin).await.as_str(), asked(&world, "tells").await), ("second", 5));
    lists(Role::Admin).await;
    assert_eq!(asked(&world, "tells").await, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_ask_for_models_at_once_all_get_the_whole_list() {
    let world = world()
        .plugin(lists("slow", "wasi.sleep", json!({ "milliseconds": 300 })))
        .plugin(plugin("probe").grant(&[Permission::Completions]))
        .build()
        .await;
    let asks = json!({ "import": "completions.models", "times": 3 });
    let answers = world.tool("probe", "call", asks).await.unwrap();
    for answer in answers.as_array().unwrap() {
        assert!(answer.to_string().contains("slow.one"), "{answers}");
    }
    assert_eq!(asked(&world, "slow").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_kept_for_each_person_apart_and_as_long_as_the_plugin_stays() {
    let world = world().plugin(lists("tells", "invocation", json!({ "cache_seconds": 600 }))).build().await;
    for _ in 0..2 {
        for user in [&world.ada, &world.bob] {
            let list = models(&world, user).await;
            let told = list[0].extra.as_deref().unwrap();
            assert!(told.contains(user.as_str()), "{told}");
        }
    }
    assert_eq!(asked(&world, "tells").await, 2);
    world.registry.disable(&id("tells")).await.unwrap();
    assert!(models(&world, &world.ada).await.is_empty());
    world.registry.enable(&id("tells")).await.unwrap();
    assert_eq!(models(&world, &world.ada).await.len(), 2);
    assert_eq!(asked(&world, "tells").await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_description_has_bounds_and_no_control_characters_but_new_lines() {
    let world = world()
        .plugin(described("long", &"d".repeat(4_096)))
        .plugin(described("longer", &"d".repeat(4_097)))
        .plugin(described("lines", "first\nsecond"))
        .plugin(described("red", "\u{1b}[31mred"))
        .plugin(described("returns", "first\r\nsecond"))
        .build()
        .await;
    let listed = models(&world, &world.ada).await;
    let shown: Vec<_> =
        listed.iter().map(|model| (model.id.as_str(), model.description.as_deref().map(str::len))).collect();
    let both = |plugin: [&'static str; 2], length| plugin.map(|id| (id, Some(length)));
    let expected = [both(["lines.one", "lines.two"], 12), both(["long.one", "long.two"], 4_096)].concat();
    assert_eq!(shown, expected);
    world.assert_idle().await;
}
