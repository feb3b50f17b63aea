//! `/api/chats`: chats that this server stores.

use axum::http::Method;
use sea_query::{Expr, Query};
use serde_json::{Value, json};

use crate::world::{frames, world};

#[tokio::test]
async fn a_turn_in_an_own_chat_is_stored() {
    let world = world().await;
    world.install("echo", &[]).await;
    let chat = world.post("/api/chats", &world.user, &json!({"title": "Test"})).await.expect(201).json();
    let path = format!("/api/chats/{}", chat["id"].as_str().unwrap());
    let body = json!({"model": "echo", "messages": [{"role": "user", "content": "hello there"}]});
    world.post(&format!("{path}/completions"), &world.user, &body).await.expect(200);
    let messages = world.get(&format!("{path}/messages"), &world.user).await.expect(200).json();
    let said = |messages: &Value| -> Vec<(String, String)> {
        let text = |message: &Value, field: &str| message[field].as_str().unwrap().to_owned();
        messages["data"].as_array().unwrap().iter().map(|m| (text(m, "role"), text(m, "content"))).collect()
    };
    let expected =
        [("user", "hello there"), ("assistant", "hello there")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(said(&messages), expected);
    assert!(messages["data"].as_array().unwrap().iter().all(|message| message["done"] == json!(true)));
}

#[tokio::test]
async fn a_turn_with_a_chat_is_stored_only_when_that_is_asked_for() {
    let world = world().await;
    world.install("echo", &[]).await;
    let chat = world.post("/api/chats", &world.user, &json!({})).await.expect(201).json();
    let id = chat["id"].as_str().unwrap();
    let mut body = json!({"model": "echo", "chat_id": id, "stream": true, "messages": [{"role": "user", "content": "x"}]});
    world.post("/v1/chat/completions", &world.user, &body).await.expect(200);
    let count = async || {
        world.get(&format!("/api/chats/{id}/messages"), &world.user).await.expect(200).json()["data"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(count().await, 0);
    body["store"] = json!(true);
    let answer = world.post("/v1/chat/completions", &world.user, &body).await.expect(200);
    assert_eq!(frames(&answer.text).last().map(String::as_str), Some("[DONE]"));
    assert_eq!(count().await, 2);
}

#[tokio::test]
async fn a_chat_is_its_owners_alone() {
    let world = world().await;
    world.install("echo", &[]).await;
    let chat = world.post("/api/chats", &world.user, &json!({})).await.expect(201).json();
    let id = chat["id"].as_str().unwrap();
    let path = format!("/api/chats/{id}");
    // An admin is no exception here.
    assert_eq!(world.get(&path, &world.admin).await.expect(404).code(), "unknown-chat");
    world.get(&format!("{path}/messages"), &world.admin).await.expect(404);
    world
        .post(&format!("{path}/messages"), &world.admin, &json!({"role": "user", "content": "x"}))
        .await
        .expect(404);
    world.call(Method::DELETE, &path, &world.admin).await.expect(404);
    let body = json!({"model": "echo", "chat_id": id, "store": true, "messages": [{"role": "user", "content": "x"}]});
    world.post("/v1/chat/completions", &world.admin, &body).await.expect(403);
    world.post(&format!("{path}/completions"), &world.admin, &body).await.expect(403);
    assert_eq!(world.get("/api/chats", &world.admin).await.expect(200).json()["data"], json!([]));

    world
        .post(&format!("{path}/messages"), &world.user, &json!({"role": "user", "content": "x"}))
        .await
        .expect(201);
    assert_eq!(
        world.get("/api/chats", &world.user).await.expect(200).json()["data"].as_array().unwrap().len(),
        1
    );
    world.call(Method::DELETE, &path, &world.user).await.expect(204);
    world.get(&path, &world.user).await.expect(404);
}

#[tokio::test]
async fn a_chat_that_only_a_header_names_need_not_be_ours() {
    let world = world().await;
    world.install("echo", &[]).await;
    let chat = world.post("/api/chats", &world.admin, &json!({})).await.expect(201).json();
    let foreign = chat["id"].as_str().unwrap();
    let body = json!({"model": "echo", "messages": [{"role": "user", "content": "x"}]});
    let send = async |body: &Value| {
        let request = crate::world::request(Method::POST, "/v1/chat/completions", &world.user.key)
            .header("content-type", "application/json")
            .header("x-openwebui-chat-id", foreign);
        world.send(request.body(axum::body::Body::from(body.to_string())).unwrap()).await
    };
    send(&body).await.expect(200);
    let mut stored = body.clone();
    stored["store"] = json!(true);
    send(&stored).await.expect(403);
    let mut named = body;
    named["chat_id"] = json!(foreign);
    send(&named).await.expect(403);
}

#[tokio::test]
async fn a_chat_that_grows_too_large_is_refused_with_what_to_do() {
    let world = world().await;
    let chat = world.post("/api/chats", &world.user, &json!({})).await.expect(201).json();
    let path = format!("/api/chats/{}/messages", chat["id"].as_str().unwrap());
    let message = json!({"role": "user", "content": "x".repeat(7 << 20)});
    world.post(&path, &world.user, &message).await.expect(201);
    world.post(&path, &world.user, &message).await.expect(201);
    let refused = world.post(&path, &world.user, &message).await.expect(413);
    assert_eq!(refused.code(), "limit-exceeded");
    assert!(refused.message().contains("begin a new one"), "{}", refused.message());
    assert_eq!(world.get(&path, &world.user).await.expect(200).json()["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_list_that_would_be_too_large_is_refused_with_what_to_do() {
    let world = world().await;
    let chat = world.post("/api/chats", &world.user, &json!({})).await.expect(201).json();
    let path = format!("/api/chats/{}/messages", chat["id"].as_str().unwrap());
    let message = json!({"role": "user", "content": "x".repeat(7 << 20)});
    world.post(&path, &world.user, &message).await.expect(201);
    // More than Innkeeper stores in a chat, as another program may have done.
    let columns = ["chat_id", "user_id", "role", "content", "done", "created_at", "updated_at"];
    for number in 0..5 {
        let first = Query::select()
            .expr(Expr::val(format!("more-{number}")))
            .columns(columns)
            .from("chat_message")
            .limit(1)
            .take();
        let mut insert =
            Query::insert().into_table("chat_message").columns(["id"].into_iter().chain(columns)).take();
        let insert = insert.select_from(first).unwrap();
        innkeeper_store::Db::new(world.store.pool().clone()).execute(&*insert).await.unwrap();
    }
    let refused = world.get(&path, &world.user).await.expect(413);
    assert_eq!(refused.code(), "limit-exceeded");
    assert!(refused.message().contains("`limit`"), "{}", refused.message());
    let some = world.get(&format!("{path}?limit=3"), &world.user).await.expect(200).json();
    assert_eq!(some["data"].as_array().unwrap().len(), 3);
}
