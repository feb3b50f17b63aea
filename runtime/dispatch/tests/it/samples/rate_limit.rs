//! `rate-limit`: so many requests of each person in so many seconds.

use futures::future::join_all;
use innkeeper_model::Permission;
use serde_json::{Value, json};

use super::{at_every_hook, both, either_way, turn_by, user};
use crate::upstream::Upstream;
use crate::world::{Builder, Installed, World, plugin};

fn limited(valves: Value) -> Installed {
    plugin("rate-limit").grant(&[Permission::Kv]).valves(valves).filter(at_every_hook).global()
}

async fn worlds(valves: Value) -> [World; 2] {
    either_way(|builder: Builder| builder.plugin(plugin("echo")).plugin(limited(valves.clone()))).await
}

/// When Ada's window ends, in seconds since 1970.
async fn ends(world: &World) -> i64 {
    let expires = "SELECT expires_at FROM innkeeper_kv WHERE plugin_id = 'rate-limit' AND subject = ?";
    sqlx::query_scalar(expires).bind(world.ada.as_str()).fetch_one(world.sqlite()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_third_request_of_two_is_refused() {
    let upstream = Upstream::start().await;
    let filter = || limited(json!({ "requests": 2, "seconds": 600 }));
    let bodies = [user("echo", true, "one"), user("echo", false, "two"), user("echo", true, "three")];
    for mut said in both(filter, &upstream, &bodies).await {
        let third = said.pop().unwrap().error();
        assert_eq!(third.code(), "rejected");
        let message = third.to_string();
        assert!(message.starts_with("You have reached the limit of 2 requests in 10 minutes."), "{message}");
        assert!(message.ends_with("Please try again in 10 minutes."), "{message}");
        assert_eq!(said.iter().map(crate::world::Said::text).collect::<Vec<_>>(), ["one", "two"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_people_are_counted_apart() {
    for world in worlds(json!({ "requests": 1, "seconds": 600 })).await {
        let turn = || world.turn("echo", "hi");
        assert_eq!(world.chat(turn()).await.text(), "hi");
        assert_eq!(world.chat(turn()).await.error().code(), "rejected");
        assert_eq!(world.chat(turn_by(&world.bob, turn())).await.text(), "hi");
        assert_eq!(world.chat(turn_by(&world.bob, turn())).await.error().code(), "rejected");
        world.assert_idle().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_begins_with_its_first_request_and_ends() {
    for world in worlds(json!({ "requests": 2, "seconds": 600 })).await {
        let turn = || world.turn("echo", "hi");
        let before = world.store.clock().seconds();
        world.chat(turn()).await.text();
        let first = ends(&world).await;
        assert!((before + 600..=world.store.clock().seconds() + 600).contains(&first), "{before} {first}");
        // Neither a request nor a refusal moves the end.
        let moved = "UPDATE innkeeper_kv SET expires_at = expires_at - 100 WHERE plugin_id = 'rate-limit'";
        sqlx::query(moved).execute(world.sqlite()).await.unwrap();
        world.chat(turn()).await.text();
        let refused = world.chat(turn()).await.error().to_string();
        assert!(refused.contains("Please try again in 9 minutes."), "{refused}");
        assert_eq!(ends(&world).await, first - 100);

        let over = "UPDATE innkeeper_kv SET expires_at = ? WHERE plugin_id = 'rate-limit'";
        let now = world.store.clock().seconds();
        sqlx::query(over).bind(now).execute(world.sqlite()).await.unwrap();
        world.chat(turn()).await.text();
        assert!(ends(&world).await >= now + 600, "a new window");
        world.chat(turn()).await.text();
        assert_eq!(world.chat(turn()).await.error().code(), "rejected");
        world.assert_idle().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zero_requests_are_no_limit() {
    for world in worlds(json!({ "requests": 0, "seconds": 600 })).await {
        for _ in 0..25 {
            assert_eq!(world.chat(world.whole_turn("echo", "hi")).await.text(), "hi");
        }
        world.assert_idle().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_at_the_same_moment_never_exceed_the_limit() {
    for world in worlds(json!({ "requests": 3, "seconds": 600 })).await {
        let said = join_all((0..12).map(|_| world.chat(world.whole_turn("echo", "hi")))).await;
        let (passed, refused): (Vec<_>, Vec<_>) = said.into_iter().partition(|said| said.end.error.is_none());
        assert_eq!((passed.len(), refused.len()), (3, 9));
        for said in refused {
            assert_eq!(said.error().code(), "rejected");
        }
        world.assert_idle().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_grant_it_lets_nobody_through() {
    let build = |builder: Builder| {
        let filter = plugin("rate-limit").filter(at_every_hook).global();
        builder.plugin(plugin("echo")).plugin(filter)
    };
    for world in either_way(build).await {
        let error = world.chat(world.turn("echo", "hi")).await.error().to_string();
        assert!(error.contains("was denied `kv`"), "{error}");
        world.assert_idle().await;
    }
}
