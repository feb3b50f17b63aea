//! `/api/tools`.

use axum::http::Method;
use serde_json::json;

use crate::world::{hide, world};

#[tokio::test]
async fn tools_are_listed_and_called() {
    let world = world().await;
    world.install("calculator", &[]).await;
    insta::assert_json_snapshot!("tools", world.get("/api/tools", &world.user).await.expect(200).json());
    let arguments = json!({"expression": "2 * (3 + sqrt(16))"});
    let answer =
        world.post("/api/tools/calculator/calculate", &world.user, &arguments).await.expect(200).json();
    insta::assert_json_snapshot!("tool-call", hide(answer.clone(), &["/turn", "/call"]));
    // The call's receipt is there as soon as the call is.
    let receipt = world
        .get(&format!("/api/receipts/{}", answer["call"].as_str().unwrap()), &world.user)
        .await
        .expect(200)
        .json();
    assert_eq!(receipt["outcome"], json!("ok"));
    assert_eq!(receipt["export"], json!("tool.call"));
}

#[tokio::test]
async fn calls_that_make_no_sense_say_why() {
    let world = world().await;
    world.install("calculator", &[]).await;
    let check = async |path: &str, body: &str, status: u16, code: &str| {
        let answer = world.text(Method::POST, path, &world.user, body).await.expect(status);
        assert_eq!(answer.code(), code, "{path} {body}: {}", answer.text);
    };
    check("/api/tools/nothing/x", "{}", 404, "unknown-plugin").await;
    check("/api/tools/NOTHING/x", "{}", 404, "unknown-plugin").await;
    check("/api/tools/calculator/x", "{}", 404, "unknown-tool").await;
    check("/api/tools/calculator/calculate", "{}", 400, "invalid-arguments").await;
    check("/api/tools/calculator/calculate", "[]", 400, "invalid-body").await;
    check("/api/tools/calculator/calculate", r#"{"expression": 5}"#, 400, "invalid-arguments").await;
    check("/api/tools/calculator/calculate", r#"{"expression": "1 +"}"#, 502, "plugin-failed").await;
    let id = innkeeper_model::PluginId::parse("calculator").unwrap();
    world.registry.disable(&id).await.unwrap();
    check("/api/tools/calculator/calculate", r#"{"expression": "1"}"#, 404, "unknown-plugin").await;
    assert_eq!(world.get("/api/tools", &world.user).await.json()["data"], json!([]));
}

#[tokio::test]
async fn limits_end_a_call_with_the_limits_name() {
    let world = world().await;
    world.install("misbehave", &[]).await;
    let answer =
        world.post("/api/tools/misbehave/misbehave", &world.user, &json!({"how": "loop"})).await.expect(502);
    assert_eq!(answer.code(), "limit-exceeded");
    assert_eq!(answer.json()["error"]["details"], json!({"plugin": "misbehave", "limit": "fuel"}));
}

#[tokio::test]
async fn a_chat_of_somebody_else_cannot_be_named() {
    let world = world().await;
    world.install("calculator", &[]).await;
    let chat = world.post("/api/chats", &world.admin, &json!({})).await.expect(201).json();
    let ask = async |chat: &str| {
        let request = crate::world::request(Method::POST, "/api/tools/calculator/calculate", &world.user.key)
            .header("x-openwebui-chat-id", chat)
            .body(axum::body::Body::from(r#"{"expression": "1"}"#))
            .unwrap();
        world.send(request).await
    };
    let others = ask(chat["id"].as_str().unwrap()).await.expect(403);
    let nobodys = ask("00000000-0000-4000-8000-000000000000").await.expect(403);
    assert_eq!(others.text, nobodys.text);
    ask("temporary:1").await.expect(200);
    ask("").await.expect(200);
}
