//! Bodies that cannot be used.

use std::time::Duration;

use axum::body::Body;
use axum::http::Method;
use innkeeper_server::ServerOptions;
use serde_json::json;

use crate::world::{request, world, world_with};

const CHAT: &str = "/v1/chat/completions";

#[tokio::test]
async fn malformed_json_names_its_line_and_column() {
    let world = world().await;
    let body = "{\"model\": \"echo\",\n \"messages\": [}";
    let answer = world.text(Method::POST, CHAT, &world.user, body).await.expect(400);
    assert_eq!(answer.code(), "malformed_json");
    assert!(answer.message().contains("line 2 column 15"), "{}", answer.message());
    let answer = world.text(Method::POST, "/api/keys", &world.user, "{\"name\" 1}").await.expect(400);
    assert_eq!(answer.code(), "malformed-json");
    assert!(answer.message().contains("line 1 column 9"), "{}", answer.message());
}

#[tokio::test]
async fn a_body_nested_ten_thousand_deep_is_refused() {
    let world = world().await;
    world.install("calculator", &[]).await;
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    for path in [CHAT, "/api/tools/calculator/calculate", "/api/keys", "/api/chats"] {
        let answer = world.text(Method::POST, path, &world.user, &deep).await.expect(400);
        assert_eq!(answer.code().replace('_', "-"), "too-deep", "{path}");
        assert!(answer.message().contains("128 levels at line 1 column"), "{}", answer.message());
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_announced_or_not() {
    let world = world_with(ServerOptions { json_max: 1_000, ..ServerOptions::default() }).await;
    let body =
        json!({"model": "echo", "messages": [{"role": "user", "content": "x".repeat(2_000)}]}).to_string();
    let announced = request(Method::POST, CHAT, &world.user.key).header("content-length", body.len());
    let answer = world.send(announced.body(Body::from(body.clone())).unwrap()).await.expect(413);
    assert!(answer.message().contains("1000 bytes"), "{}", answer.message());
    let pieces = futures::stream::iter(
        body.into_bytes()
            .chunks(100)
            .map(|piece| Ok::<_, std::io::Error>(piece.to_vec()))
            .collect::<Vec<_>>(),
    );
    let streamed = request(Method::POST, CHAT, &world.user.key).body(Body::from_stream(pieces)).unwrap();
    assert_eq!(world.send(streamed).await.expect(413).code(), "body_too_large");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let world =
        world_with(ServerOptions { body_timeout: Duration::from_millis(100), ..ServerOptions::default() })
            .await;
    let never = Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let answer =
        world.send(request(Method::POST, CHAT, &world.user.key).body(never).unwrap()).await.expect(408);
    assert_eq!(answer.code(), "body_too_slow");
}

#[tokio::test]
async fn bytes_that_are_no_text_are_refused() {
    let world = world().await;
    let body = Body::from(b"{\"model\": \"\xff\"}".to_vec());
    let answer =
        world.send(request(Method::POST, CHAT, &world.user.key).body(body).unwrap()).await.expect(400);
    assert!(answer.message().contains("byte 11"), "{}", answer.message());
}

#[tokio::test]
async fn fields_of_the_wrong_type_are_named() {
    let world = world().await;
    let check = async |body: serde_json::Value, param: &str| {
        let answer = world.post(CHAT, &world.user, &body).await.expect(400);
        assert_eq!(answer.json()["error"]["param"], json!(param), "{body}: {}", answer.text);
        assert_eq!(answer.json()["error"]["type"], json!("invalid_request_error"));
    };
    check(json!({"messages": []}), "model").await;
    check(json!({"model": "echo"}), "messages").await;
    check(json!({"model": "echo", "messages": 1}), "messages").await;
    check(json!({"model": "echo", "messages": [], "chat_id": 1}), "chat_id").await;
    let unknown = world.post("/api/keys", &world.user, &json!({"name": "x", "nmae": 1})).await.expect(400);
    assert!(unknown.message().contains("nmae"), "{}", unknown.message());
}

#[tokio::test]
async fn unknown_addresses_and_methods_get_the_envelope_of_their_protocol() {
    let world = world().await;
    assert_eq!(world.get("/nothing", &world.user).await.expect(404).code(), "not-found");
    let openai = world.get("/v1/nothing", &world.user).await.expect(404).json();
    assert_eq!(openai["error"]["type"], json!("invalid_request_error"));
    assert_eq!(
        world.call(Method::DELETE, "/api/tools", &world.user).await.expect(405).code(),
        "method-not-allowed"
    );
    world.call(Method::GET, CHAT, &world.user).await.expect(405);
    // A path that is no UTF-8, and one that would lead out of anything that has a root.
    world.get("/api/plugins/%ff", &world.admin).await.expect(400);
    world.get("/api/plugins/..%2f..%2fetc", &world.admin).await.expect(404);
}

#[tokio::test]
async fn a_body_of_more_values_than_are_taken_apart_is_refused() {
    let world = world().await;
    world.install("calculator", &[]).await;
    // Half a megabyte of text, and a value for every other byte of it.
    let many = format!("{{\"x\":[{}0]}}", "0,".repeat(250_000));
    for path in ["/api/tools/calculator/calculate", "/api/keys", "/api/chats"] {
        let answer = world.text(Method::POST, path, &world.user, &many).await.expect(400);
        assert_eq!(answer.code(), "too-many-values", "{path}");
        assert!(answer.message().contains("more than 200000 values"), "{}", answer.message());
    }
    let listening = world.listen().await;
    let answer = format!("{{\"type\":\"answer\",\"ask\":\"x\",\"answer\":{many}}}");
    let refused = crate::sockets::say_once(&listening, &world.user, &answer).await;
    assert_eq!(refused["error"]["code"], json!("invalid-message"), "{refused}");
    assert!(refused["error"]["message"].as_str().unwrap().contains("200000"), "{refused}");
}
