//! `/api/tools`.

use axum::http::Method;
use innkeeper_model::Permission;
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
async fn a_chat_that_only_a_header_names_need_not_be_ours() {
    let world = world().await;
    world.install("probe", &[Permission::EventsEmit]).await;
    world.install("echo", &[]).await;
    let theirs = world.post("/api/chats", &world.admin, &json!({})).await.expect(201).json();
    let mine = world.post("/api/chats", &world.user, &json!({})).await.expect(201).json();
    let (theirs, mine) = (theirs["id"].as_str().unwrap(), mine["id"].as_str().unwrap());
    let turn = json!({"model": "echo", "message_id": "m1", "messages": [{"role": "user", "content": "x"}]});
    world.post(&format!("/api/chats/{mine}/completions"), &world.user, &turn).await.expect(200);
    let mut events = world.dispatch.hub().subscribe(&world.user.id).unwrap();
    let event = json!({"Status": {"description": "x", "done": false, "hidden": false}});
    let body = json!({"import": "events.emit", "args": {"event": event}}).to_string();
    let nobodys = "00000000-0000-4000-8000-000000000000";
    for (chat, message, about) in [
        (mine, "m1", (Some(mine), Some("m1"))),
        (mine, "m2", (Some(mine), None)),
        (theirs, "m1", (None, None)),
        (nobodys, "m1", (None, None)),
        ("temporary:1", "m1", (Some("temporary:1"), Some("m1"))),
        ("", "", (None, None)),
    ] {
        let request = crate::world::request(Method::POST, "/api/tools/probe/call", &world.user.key)
            .header("x-openwebui-chat-id", chat)
            .header("x-openwebui-message-id", message)
            .body(axum::body::Body::from(body.clone()))
            .unwrap();
        world.send(request).await.expect(200);
        let event = events.next().await.unwrap();
        let named = (event.chat.as_ref().map(|id| id.as_str()), event.message.as_ref().map(|id| id.as_str()));
        assert_eq!(named, about, "{chat} {message}");
    }
}
