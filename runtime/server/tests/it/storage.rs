//! A database that goes away, is locked, or cannot be written, while something is done.

use std::time::Duration;

use axum::body::Body;
use axum::http::Method;
use innkeeper_server::ServerOptions;
use innkeeper_testing::guests::guest;
use serde_json::json;

use crate::world::{Answer, World, request, world, world_on};

async fn install(world: &World) -> Answer {
    let request = request(Method::POST, "/api/plugins", &world.admin.key);
    world
        .send(request.header("content-type", "application/wasm").body(Body::from(guest("echo"))).unwrap())
        .await
}

/// What a turn that is to be stored, a tool call that writes and an installation are told.
async fn told(world: &World, chat: &str) -> [Answer; 3] {
    let path = format!("{chat}/completions");
    let turn = json!({"model": "misbehave", "messages": [{"role": "user", "content": "x"}]});
    let note = json!({"text": "milk"});
    let (turn, tool, installed) = tokio::join!(
        world.post(&path, &world.user, &turn),
        world.post("/api/tools/notes/add_note", &world.user, &note),
        install(world),
    );
    [turn, tool, installed]
}

async fn prepare(world: &World) -> String {
    world.install("notes", &[]).await;
    world.install("misbehave", &[]).await;
    let chat = world.post("/api/chats", &world.user, &json!({})).await.expect(201).json();
    // Keys that were looked up just now need no database.
    world.get("/api/users/me", &world.admin).await.expect(200);
    format!("/api/chats/{}", chat["id"].as_str().unwrap())
}

#[tokio::test]
async fn a_locked_database_is_unavailable_and_leaves_nothing_half_written() {
    let world =
        world_on(ServerOptions::default(), |options| options.lock_timeout = Duration::from_millis(300)).await;
    let chat = prepare(&world).await;
    let lock = world.lock().await;
    let [turn, tool, installed] = told(&world, &chat).await;
    drop(lock);
    assert_eq!((turn.status.as_u16(), turn.code().as_str()), (503, "storage_unavailable"), "{}", turn.text);
    assert!(turn.headers.contains_key("retry-after"));
    assert_eq!((tool.status.as_u16(), tool.code().as_str()), (502, "plugin-failed"), "{}", tool.text);
    assert_eq!(
        (installed.status.as_u16(), installed.code().as_str()),
        (503, "storage-busy"),
        "{}",
        installed.text
    );
    let messages = world.get(&format!("{chat}/messages"), &world.user).await.expect(200).json();
    assert_eq!(messages["data"], json!([]));
    world.get("/api/plugins/echo", &world.admin).await.expect(404);
    install(&world).await.expect(201);
    world.post("/api/tools/notes/add_note", &world.user, &json!({"text": "milk"})).await.expect(200);
}

#[tokio::test]
async fn a_database_that_has_gone_is_unavailable() {
    let world = world().await;
    let chat = prepare(&world).await;
    world.store.pool().close().await;
    let expected = [(503, "storage_unavailable"), (502, "plugin-failed"), (503, "storage-unreachable")];
    for (answer, expected) in told(&world, &chat).await.into_iter().zip(expected) {
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), expected, "{}", answer.text);
        assert_eq!(answer.headers.contains_key("retry-after"), expected.0 == 503);
    }
}

#[tokio::test]
async fn a_message_id_that_is_taken_is_a_conflict() {
    let world = world().await;
    world.install("echo", &[]).await;
    let chat = world.post("/api/chats", &world.user, &json!({})).await.expect(201).json();
    let path = format!("/api/chats/{}", chat["id"].as_str().unwrap());
    let turn = json!({"model": "echo", "id": "answer-1", "messages": [{"role": "user", "content": "x"}]});
    world.post(&format!("{path}/completions"), &world.user, &turn).await.expect(200);
    let again = world.post(&format!("{path}/completions"), &world.user, &turn).await.expect(409);
    assert_eq!(again.code(), "conflict");
    let messages = world.get(&format!("{path}/messages"), &world.user).await.expect(200).json();
    assert_eq!(messages["data"].as_array().unwrap().len(), 2, "the question was not stored again either");
}
