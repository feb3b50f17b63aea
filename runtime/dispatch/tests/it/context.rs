//! What a plugin is called with, as each place sees it, and the settings of the server that it may read.

use innkeeper_dispatch::ChatTurn;
use innkeeper_model::Permission;
use serde_json::{Value, json};

use crate::world::{World, order, plugin, world};

/// A turn with every field that there is, in which `probe` is asked this from a place.
fn turn(world: &World, model: &str, place: &str, import: &str) -> ChatTurn {
    let text = order(place, import, json!({}));
    let body = json!({ "model": model, "messages": [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": text, "name": "ada"},
    ]});
    ChatTurn {
        locale: Some("de-CH".to_owned()),
        metadata: Some(r#"{"task":"title_generation","task_body":{"n":1.0},"other":[true]}"#.to_owned()),
        files: Some(r#"[{"id":"f1"}]"#.to_owned()),
        features: Some(r#"{"web_search":true}"#.to_owned()),
        variables: Some(r#"{"{{USER_NAME}}":"Ada"}"#.to_owned()),
        ..world.turn_of(body)
    }
}

/// Each function of `context` and what it says of such a turn.
fn expected(model: &str, text: &str) -> [(&'static str, Value); 8] {
    let message = |role: &str, text: &str, name: Option<&str>| {
        json!({
            "role": role, "content": {"Text": text}, "name": name, "tool_call_id": null, "tool_calls": [], "extra": null,
        })
    };
    [
        (
            "context.messages",
            json!([message("system", "be brief", None), message("user", text, Some("ada"))]),
        ),
        ("context.model", json!({ "id": model })),
        ("context.files", json!([{ "id": "f1" }])),
        ("context.features", json!({ "web_search": true })),
        ("context.variables", json!({ "{{USER_NAME}}": "Ada" })),
        ("context.locale", json!("de-CH")),
        ("context.metadata", json!({ "task": "title_generation", "task_body": {"n": 1.0}, "other": [true] })),
        ("context.task", json!({ "name": "title_generation", "body": "{\"n\":1.0}", "extra": null })),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipe_and_a_filter_see_what_the_client_sent() {
    let world = world()
        .plugin(plugin("echo"))
        .plugin(plugin("probe").filter(|filter| filter.toggle = false).global())
        .build()
        .await;
    for (model, place) in [("probe.one", "run"), ("echo", "stream")] {
        for (import, _) in expected(model, "") {
            let turn = turn(&world, model, place, import);
            let text = turn.request.messages[1].content.clone();
            let Some(innkeeper_model::chat_request::Content::Text(text)) = text else { panic!("{text:?}") };
            let said = world.chat(turn).await;
            said.text();
            // The filter adds what it saw to the piece that holds its order.
            let seen: Value = serde_json::from_str(said.texts().last().unwrap()).unwrap();
            let (_, expected) = expected(model, &text).into_iter().find(|(name, _)| *name == import).unwrap();
            assert_eq!(seen, json!({ "ok": expected }), "{place} {import}");
        }
    }
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_without_them_has_empty_ones() {
    let world = world().plugin(plugin("probe")).build().await;
    for (import, empty) in [
        ("context.files", json!([])),
        ("context.features", json!({})),
        ("context.variables", json!({})),
        ("context.locale", Value::Null),
        ("context.metadata", json!({})),
        ("context.task", Value::Null),
    ] {
        let said = world.chat(world.turn("probe.one", &order("run", import, json!({})))).await;
        assert_eq!(said.text(), json!({ "ok": empty }).to_string(), "{import}");
    }
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_of_the_server_that_are_on_the_list_are_read() {
    let world = world().plugin(plugin("probe").grant(&[Permission::ConfigRead])).build().await;
    let pool = world.sqlite();
    for (key, value) in [("ui.name", "\"The Inn\""), ("rag.top_k", "3"), ("openai.api_keys", "[\"sk-1\"]")] {
        sqlx::query("INSERT INTO config (key, value) VALUES (?, ?)")
            .bind(key)
            .bind(value)
            .execute(pool)
            .await
            .unwrap();
    }
    let get = async |key: &str| world.probe("config.get", json!({ "key": key })).await;
    assert_eq!(get("ui.name").await, json!({ "ok": "\"The Inn\"" }));
    assert_eq!(get("rag.top_k").await, json!({ "ok": "3" }));
    assert_eq!(get("rag.chunk_size").await, json!({ "ok": null }));
    assert_eq!(get("openai.api_keys").await["error"]["code"], "denied");
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn images_of_the_conversation_stay_with_the_host() {
    let world = world().plugin(plugin("probe")).build().await;
    let image = format!("data:image/png;base64,{}", "A".repeat(40_000));
    let asks = order("run", "context.messages", json!({}));
    let turn = world.turn_of(json!({ "model": "probe.one", "messages": [
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": image}}]},
        {"role": "user", "content": asks},
    ]}));
    let seen = world.chat(turn).await.text();
    assert!(seen.contains("image/png") && seen.len() < 10_000, "{} bytes: {seen:.500}", seen.len());
    world.assert_idle().await;
}
