//! From HTTP through a plugin to SQL and back, on each kind of database.

use innkeeper_testing::databases::Backend;
use innkeeper_testing::on_each_backend;
use serde_json::json;

use crate::events::{confirm, event, subscribe};
use crate::world::world_of;

on_each_backend! {
    a_tool_writes_and_reads_what_is_the_persons,
    a_turn_is_stored_and_read_by_the_next_plugin,
    a_question_is_asked_and_answered,
}

async fn a_tool_writes_and_reads_what_is_the_persons(backend: Backend) {
    let Some(world) = world_of(backend).await else { return };
    world.install("notes", &[]).await;
    let text = "café ☕ 'quoted' \\ \u{1f600}";
    let added =
        world.post("/api/tools/notes/add_note", &world.user, &json!({"text": text})).await.expect(200).json();
    let found = async |who| {
        let path = "/api/tools/notes/search_notes";
        world.post(path, who, &json!({"words": "café quoted"})).await.expect(200).text
    };
    assert!(found(&world.user).await.contains("café ☕"));
    assert!(!found(&world.admin).await.contains("café"), "notes are one person's");
    world.dispatch.receipts().flush().await;
    let call = added["call"].as_str().unwrap();
    let receipt = world.get(&format!("/api/receipts/{call}"), &world.user).await.expect(200).json();
    assert_eq!((&receipt["plugin"], &receipt["outcome"]), (&json!("notes"), &json!("ok")), "{receipt}");
}

async fn a_turn_is_stored_and_read_by_the_next_plugin(backend: Backend) {
    let Some(world) = world_of(backend).await else { return };
    world.install("echo", &[]).await;
    world.install("probe", &[]).await;
    let chat = world.post("/api/chats", &world.user, &json!({"title": "T"})).await.expect(201).json();
    let (id, path) = (chat["id"].as_str().unwrap(), format!("/api/chats/{}", chat["id"].as_str().unwrap()));
    let body = json!({"model": "echo", "messages": [{"role": "user", "content": "hello ☕"}]});
    world.post(&format!("{path}/completions"), &world.user, &body).await.expect(200);
    let messages = world.get(&format!("{path}/messages"), &world.user).await.expect(200).json();
    let said: Vec<_> = messages["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| (&m["role"], &m["content"], &m["done"]))
        .collect();
    let (hello, yes) = (json!("hello ☕"), json!(true));
    assert_eq!(said, [(&json!("user"), &hello, &yes), (&json!("assistant"), &hello, &yes)]);
    let read = json!({"import": "chat-messages.branch", "args": {"chat": id}});
    let read = world.post("/api/tools/probe/call", &world.user, &read).await.expect(200);
    assert!(read.text.contains("hello ☕"), "{}", read.text);
    let stolen = json!({"import": "chat-messages.branch", "args": {"chat": id}});
    let stolen = world.post("/api/tools/probe/call", &world.admin, &stolen).await.expect(200);
    assert!(!stolen.text.contains("hello"), "{}", stolen.text);
}

async fn a_question_is_asked_and_answered(backend: Backend) {
    let Some(world) = world_of(backend).await else { return };
    world.install("ask-user", &[]).await;
    let listening = world.listen().await;
    let mut own = subscribe(&listening, &world.user, "").await;
    let call = confirm(&listening, &world.user);
    let question = event(&mut own).await;
    assert_eq!(world.store.pool().in_use(), 0, "a question holds no connection");
    let path = format!("/api/events/answers/{}", question["ask"].as_str().unwrap());
    world.post(&path, &world.user, &json!({"answer": true})).await.expect(204);
    let (status, outcome) = call.await.unwrap();
    assert_eq!((status, &outcome["result"]["content"][0]["text"]), (200, &json!("yes")), "{outcome}");
}
