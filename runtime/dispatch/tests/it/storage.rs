//! A database that is away, or cannot be written, while a turn runs.

use innkeeper_dispatch::ToolTurn;
use innkeeper_model::authority::Authority;
use innkeeper_model::chat_message::StoredMessage;
use innkeeper_model::{ChatId, Permission};
use innkeeper_store::Db;
use serde_json::{Value, json};

use crate::world::{World, order, plugin, read, soon, stored, world};

async fn messages(world: &World, chat: &ChatId) -> Vec<StoredMessage> {
    world.store.chat_messages().branch(&Authority::Own(world.ada.clone()), chat, None).await.unwrap()
}

/// Whether the one connection that there is may write.
async fn let_write(world: &World, may: bool) {
    let pragma = if may { "PRAGMA query_only = OFF" } else { "PRAGMA query_only = ON" };
    sqlx::query(pragma).execute(world.sqlite()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_are_kept_wait_while_the_database_is_away() {
    const EVENTS: usize = 90;
    let world = world().plugin(plugin("misbehave").grant(&[Permission::EventsEmit])).build().await;
    let chat = world.new_chat(&world.ada, "Stored").await;
    // Nobody reads the answer yet, so the turn stays in the middle of its events.
    let turn = stored(world.turn("misbehave", &format!("many-events {EVENTS}")), &chat);
    let handle = world.dispatch.chat(turn).await.unwrap();
    let lock = Db::new(world.store.pool().clone()).begin().await.unwrap();
    soon("it tries to write", || world.store.pool().in_use() > 1).await;
    soon("it has given up for now", || world.store.pool().in_use() == 1).await;
    lock.rollback().await.unwrap();
    read(handle).await.text();
    let answer = messages(&world, &chat).await.pop().unwrap();
    let history: Vec<Value> = serde_json::from_str(answer.status_history.as_deref().unwrap()).unwrap();
    let numbers: Vec<_> =
        history.iter().map(|event| event["description"].as_str().unwrap().to_owned()).collect();
    assert_eq!(numbers, (0..EVENTS).map(|number| number.to_string()).collect::<Vec<_>>());
    assert!(answer.done);
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_that_cannot_be_stored_does_not_begin() {
    let world = world().connections(1).plugin(plugin("echo")).build().await;
    let chat = world.new_chat(&world.ada, "Stored").await;
    let_write(&world, false).await;
    let error = world.chat(stored(world.turn("echo", "hi"), &chat)).await.error();
    assert_eq!(error.code(), "storage_unavailable");
    // One that is not to be stored needs no writing.
    assert_eq!(world.chat(world.turn("echo", "hi")).await.text(), "hi");
    let_write(&world, true).await;
    assert!(messages(&world, &chat).await.is_empty());
    world.chat(stored(world.turn("echo", "hi"), &chat)).await.text();
    assert_eq!(messages(&world, &chat).await.len(), 2);
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_whose_answer_cannot_be_stored_says_so() {
    let world =
        world().connections(1).plugin(plugin("misbehave").grant(&[Permission::EventsEmit])).build().await;
    let chat = world.new_chat(&world.ada, "Stored").await;
    let handle = world.dispatch.chat(stored(world.turn("misbehave", "many-events 90"), &chat)).await.unwrap();
    let_write(&world, false).await;
    let said = read(handle).await;
    assert_eq!(said.events().len(), 90, "the client has the answer");
    assert_eq!(said.error().code(), "storage_unavailable");
    let_write(&world, true).await;
    assert!(!messages(&world, &chat).await.pop().unwrap().done, "it shows as not complete");
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_call_hears_that_the_database_is_away() {
    let grants = &[Permission::MemoriesWrite, Permission::MemoriesRead];
    let world = world().connections(1).plugin(plugin("probe").grant(grants)).build().await;
    let chat = world.new_chat(&world.ada, "Stored").await;
    let add = || world.probe("memories.add", json!({"content": "milk"}));
    let_write(&world, false).await;
    let refused = add().await;
    assert_eq!(refused["error"]["code"], "unavailable", "{refused}");
    let_write(&world, true).await;
    assert!(add().await["ok"]["id"].is_string());
    let turn = world.turn("probe.one", &order("run", "memories.add", json!({"content": "bread"})));
    let_write(&world, false).await;
    assert!(world.chat(turn).await.text().contains("unavailable"));
    world.store.pool().close().await;
    assert_eq!(add().await["error"]["code"], "unavailable");
    // What has to be looked up before any plugin runs is the server's own failure.
    let turn =
        ToolTurn { chat: Some(chat), ..world.tool_turn("probe", "call", json!({"import": "users.me"})) };
    assert_eq!(world.dispatch.call_tool(turn).await.unwrap_err().code(), "storage_unavailable");
}
