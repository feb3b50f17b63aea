//! `forward`: models of the server under its own name.

use innkeeper_dispatch::DispatchError;
use innkeeper_model::Permission;
use serde_json::{Value, json};

use super::user;
use crate::upstream::Upstream;
use crate::world::{World, id, plugin, world};

async fn with(upstream: &Upstream, valves: Value) -> World {
    world()
        .provider(upstream.config())
        .plugin(plugin("echo"))
        .plugin(plugin("forward").grant(&[Permission::Completions]).valves(valves))
        .build()
        .await
}

/// Id and name of the models that it offers.
async fn offered(world: &World) -> Vec<(String, String)> {
    let models = world.dispatch.models(&world.principal()).await;
    let own = models.into_iter().filter(|model| model.owned_by == "forward");
    own.map(|model| (model.id, model.name)).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|&(id, name)| (id.to_owned(), name.to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_prefix_stands_before_each_name_and_pipes_are_left_out() {
    let upstream = Upstream::start().await;
    let world = with(&upstream, json!({ "prefix": "House: " })).await;
    let expected =
        pairs(&[("forward.gpt-fake", "House: gpt-fake"), ("forward.gpt.other", "House: gpt.other")]);
    assert_eq!(offered(&world).await, expected);
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_system_prompt_comes_first() {
    let upstream = Upstream::start().await;
    let world = with(&upstream, json!({ "system_prompt": "Be brief." })).await;
    for stream in [true, false] {
        assert_eq!(world.chat(world.turn_of(user("forward.gpt-fake", stream, "hi"))).await.text(), "hi");
    }
    let asked = upstream.asked();
    assert_eq!(asked.len(), 2);
    for body in asked {
        assert_eq!(body["model"], "gpt-fake");
        let expected =
            json!([{ "role": "system", "content": "Be brief." }, { "role": "user", "content": "hi" }]);
        assert_eq!(body["messages"], expected);
    }
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_it_does_not_offer_is_refused_before_anybody_is_asked() {
    let upstream = Upstream::start().await;
    let world = with(&upstream, json!({ "models": ["gpt-fake", "echo"] })).await;
    assert_eq!(offered(&world).await, pairs(&[("forward.echo", "Echo"), ("forward.gpt-fake", "gpt-fake")]));
    for stream in [true, false] {
        let error = world.chat(world.turn_of(user("forward.gpt.other", stream, "hi"))).await.error();
        let message = "The model `gpt.other` is not offered here.".to_owned();
        assert_eq!(error, DispatchError::Rejected { plugin: id("forward"), message });
    }
    assert!(upstream.asked().is_empty());
    // One that it offers by name may be a pipe.
    assert_eq!(world.chat(world.turn("forward.echo", "one two")).await.text(), "one two");
    assert_eq!(world.chat(world.turn("forward.gpt-fake", "hi")).await.text(), "hi");
    assert_eq!(upstream.asked().len(), 1);
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_grant_it_offers_and_forwards_nothing() {
    let upstream = Upstream::start().await;
    let world = world().provider(upstream.config()).plugin(plugin("forward")).build().await;
    assert!(offered(&world).await.is_empty());
    let error = world.chat(world.turn("forward.gpt-fake", "hi")).await.error().to_string();
    assert!(error.contains("was denied `completions`"), "{error}");
    assert!(upstream.asked().is_empty());
    world.assert_idle().await;
}
