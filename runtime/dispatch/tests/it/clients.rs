//! Clients that go away, servers that stop, and work that goes on in the background.

use std::time::Duration;

use innkeeper_dispatch::{ChatTurn, Frame, ToolTurn, TurnHandle};
use innkeeper_model::kv::KvScope;
use innkeeper_model::principal::Role;
use innkeeper_model::{Permission, Principal};
use serde_json::json;

use crate::upstream::{Answer, Upstream};
use crate::world::{World, id, order, plugin, read, soon, world};

/// Reads until there is a piece of the answer.
async fn begun(handle: &mut TurnHandle) {
    let frame = tokio::time::timeout(Duration::from_secs(20), handle.frames.recv()).await.unwrap();
    assert!(matches!(frame, Some(Frame::Chunk(_))), "{frame:?}");
}

async fn outcomes(world: &World, plugin: &str) -> Vec<String> {
    world.receipts_of(plugin).await.iter().map(|receipt| receipt.outcome.as_str().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_ends_its_turn_and_the_pipe() {
    let world = world()
        .plugin(plugin("misbehave"))
        .plugin(plugin("nothing").filter(|filter| filter.toggle = false).global())
        .build()
        .await;
    for text in ["feed:wait", "feed:loop", "feed:silent-stream", "feed:many-chunks", "feed:sleep"] {
        let mut handle = world.dispatch.chat(world.turn("misbehave", text)).await.unwrap();
        if text != "feed:silent-stream" {
            begun(&mut handle).await;
        }
        drop(handle);
        let ended = tokio::time::timeout(Duration::from_secs(3), world.assert_idle()).await;
        assert!(ended.is_ok(), "{text}");
    }
    let pipes = outcomes(&world, "misbehave").await;
    assert_eq!(pipes.len(), 5);
    assert!(pipes.iter().all(|outcome| outcome == "cancelled"), "{pipes:?}");
    assert_eq!(outcomes(&world, "nothing").await.len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_ends_what_a_filter_was_doing() {
    let world = world()
        .plugin(plugin("echo"))
        .plugin(plugin("misbehave").filter(|filter| filter.toggle = false).global())
        .build()
        .await;
    for text in ["inlet:wait", "request:wait", "inlet:sleep"] {
        let handle = world.dispatch.chat(world.turn("echo", text)).await.unwrap();
        soon("the filter is at work", || world.sandbox.free_instances() < world.slots() - 1).await;
        drop(handle);
        world.assert_idle().await;
    }
    assert_eq!(outcomes(&world, "misbehave").await, ["cancelled"; 3]);
    assert!(outcomes(&world, "echo").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_ends_the_request_to_the_provider() {
    let upstream = Upstream::start().await;
    upstream.answer(Answer::Hang);
    let grants = &[Permission::Completions];
    let world = world().provider(upstream.config()).plugin(plugin("forward").grant(grants)).build().await;
    for model in ["gpt-fake", "forward.gpt-fake"] {
        let mut handle = world.dispatch.chat(world.turn(model, "hi")).await.unwrap();
        begun(&mut handle).await;
        assert_eq!(upstream.hanging(), 1);
        drop(handle);
        world.assert_idle().await;
        soon("the provider sees it", || upstream.hanging() == 0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_client_holds_its_turn_back_and_leaves_nothing_behind() {
    let world = world().plugin(plugin("misbehave")).build().await;
    let mut handle = world.dispatch.chat(world.turn("misbehave", "feed:many-chunks 500")).await.unwrap();
    begun(&mut handle).await;
    // Time enough for all pieces, if they went anywhere.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(world.sandbox.free_instances(), world.slots() - 1, "the pipe is still at work");
    let said = read(handle).await;
    assert_eq!(said.end.error, None);
    assert!(said.chunks.len() >= 500);
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn background_work_goes_on_after_the_end_and_after_the_client_has_gone() {
    let grants = &[Permission::Kv, Permission::Toolbox];
    let world = world().plugin(plugin("probe").grant(grants)).plugin(plugin("misbehave")).build().await;
    let sleeps = json!({ "plugin": "misbehave", "name": "misbehave", "arguments": {"how": "sleep", "amount": 500}, "report": "slept" });
    let text = order("background", "toolbox.call", sleeps);
    let handle = world.dispatch.chat(world.turn("probe.one", &text)).await.unwrap();
    let said = read(handle).await;
    assert!(said.text().contains("later"));
    assert_eq!(world.dispatch.running(), 1);
    let key = || async {
        world.store.kv().get(&KvScope::User(id("probe"), world.ada.clone()), "slept").await.unwrap()
    };
    assert!(key().await.is_none());
    world.assert_idle().await;
    assert!(key().await.is_some());
    let receipt = &world.receipts(&said.end.receipts).await[0];
    assert_eq!(receipt.outcome.as_str(), "ok");
    assert_eq!(receipt.background.as_ref().unwrap().outcome.as_str(), "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn background_work_of_a_tool_goes_on_after_its_result() {
    let world = world()
        .plugin(plugin("probe").grant(&[Permission::Kv]))
        .plugin(plugin("misbehave").grant(&[Permission::Kv]).limit("background", 300))
        .build()
        .await;
    let args = json!({ "import": "kv.set", "args": {"scope": "User", "key": "k", "value": "v"}, "place": "background" });
    assert_eq!(world.tool("probe", "call", args).await.unwrap(), json!({"ok": "later"}));
    world.assert_idle().await;
    assert!(
        world.store.kv().get(&KvScope::User(id("probe"), world.ada.clone()), "k").await.unwrap().is_some()
    );
    for _ in 0..2 {
        world.tool("misbehave", "misbehave", json!({"how": "background-calls"})).await.unwrap();
        world.assert_idle().await;
    }
    let receipts = world.receipts_of("misbehave").await;
    assert_eq!(receipts.len(), 2);
    for receipt in receipts {
        let background = receipt.background.expect("a second part");
        assert_eq!(receipt.outcome.as_str(), "ok");
        assert!(background.outcome.as_str() == "limit-exceeded", "{background:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_waits_for_turns_and_cuts_those_that_take_too_long() {
    let world = world().plugin(plugin("misbehave")).plugin(plugin("probe")).build().await;
    let sleeps = order("run", "wasi.sleep", json!({"milliseconds": 300}));
    let quick = world.dispatch.chat(world.turn("probe.one", &sleeps)).await.unwrap();
    let mut slow = world.dispatch.chat(world.turn("misbehave", "feed:wait")).await.unwrap();
    begun(&mut slow).await;
    let begun_at = std::time::Instant::now();
    let (quick, slow, ()) =
        tokio::join!(read(quick), read(slow), world.dispatch.drain(Duration::from_millis(800)));
    assert!(quick.text().contains("ok"));
    assert_eq!(slow.error().code(), "cancelled");
    assert!(begun_at.elapsed() < Duration::from_secs(4), "{:?}", begun_at.elapsed());
    let refused = world.chat(world.turn("misbehave", "nothing")).await.error();
    assert_eq!(refused.code(), "unavailable");
    // The receipts of what was cut are written before the drain is over.
    assert_eq!(outcomes(&world, "misbehave").await, ["cancelled"]);
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_without_turns_ends_at_once() {
    let world = world().build().await;
    let drained =
        tokio::time::timeout(Duration::from_secs(1), world.dispatch.drain(Duration::from_secs(60))).await;
    assert!(drained.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disabling_a_plugin_ends_its_calls() {
    let world = world().plugin(plugin("misbehave")).build().await;
    let mut handle = world.dispatch.chat(world.turn("misbehave", "feed:wait")).await.unwrap();
    begun(&mut handle).await;
    world.registry.disable(&id("misbehave")).await.unwrap();
    let error = tokio::time::timeout(Duration::from_secs(2), read(handle)).await.unwrap().error();
    assert_eq!(error.code(), "cancelled");
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_while_its_turn_waits_for_a_slot_leaves_the_queue() {
    let world = world().instances(3).plugin(plugin("misbehave")).plugin(plugin("echo")).build().await;
    let mut holders = Vec::new();
    for _ in 0..2 {
        let mut handle = world.dispatch.chat(world.turn("misbehave", "feed:wait")).await.unwrap();
        begun(&mut handle).await;
        holders.push(handle);
    }
    let waits = world.dispatch.chat(world.turn("echo", "hi")).await.unwrap();
    soon("it waits", || world.dispatch.running() == 3).await;
    drop(waits);
    soon("the queue is left", || world.dispatch.running() == 2).await;
    drop(holders);
    world.assert_idle().await;
    assert!(outcomes(&world, "echo").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_is_there_and_reads_nothing_is_given_up() {
    let world = world()
        .stall_timeout(Duration::from_millis(300))
        .plugin(plugin("misbehave").grant(&[Permission::EventsEmit]))
        .build()
        .await;
    // Pieces of the answer, events, and what comes after the last piece.
    for text in ["feed:many-chunks 500", "many-events 500", "feed:many-chunks 30"] {
        let handle = world.dispatch.chat(world.turn("misbehave", text)).await.unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(5), world.assert_idle()).await;
        assert!(ended.is_ok(), "{text}");
        drop(handle);
    }
    let outcomes = outcomes(&world, "misbehave").await;
    assert_eq!(outcomes, ["ok", "cancelled", "cancelled"], "latest first");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_neither_reads_nor_goes_does_not_keep_a_turn_that_was_cancelled() {
    let world = world().plugin(plugin("misbehave")).build().await;
    let handle = world.dispatch.chat(world.turn("misbehave", "feed:many-chunks 500")).await.unwrap();
    soon("the pipe is at work", || world.sandbox.free_instances() < world.slots()).await;
    world.dispatch.stop_now();
    soon("it is over", || world.dispatch.running() == 0).await;
    drop(handle);
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_of_turns_are_short_and_plain() {
    let world = world().plugin(plugin("echo")).build().await;
    let named = |id: &str| ChatTurn { turn_id: Some(id.to_owned()), ..world.turn("echo", "hi") };
    for id in ["a", "A-b_c.d:1", &"x".repeat(128)] {
        let handle = world.dispatch.chat(named(id)).await.unwrap();
        assert_eq!(handle.id, id);
        let said = read(handle).await;
        assert!(world.receipts(&said.end.receipts).await.iter().all(|receipt| receipt.turn == id));
    }
    for id in ["", &"x".repeat(129), "a b", "a/b", "\u{e4}", "a\n"] {
        assert_eq!(world.chat(named(id)).await.error().code(), "invalid_request", "{id:?}");
    }
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_who_was_not_admitted_gets_anything() {
    let world = world().plugin(plugin("echo")).plugin(plugin("calculator")).build().await;
    let pending = Principal::person(world.ada.clone(), Role::Pending);
    let chat = ChatTurn { principal: pending.clone(), ..world.turn("echo", "hi") };
    let error = world.chat(chat).await.error();
    assert!(
        error.code() == "not_allowed" && error.to_string().contains("an admin has to admit you first"),
        "{error}"
    );
    let arguments = json!({ "expression": "1" });
    let tool =
        ToolTurn { principal: pending.clone(), ..world.tool_turn("calculator", "calculate", arguments) };
    assert_eq!(world.dispatch.call_tool(tool).await.unwrap_err(), error);
    assert!(world.dispatch.models(&pending).await.is_empty());
    assert!(!world.dispatch.models(&world.principal()).await.is_empty());
    world.assert_idle().await;
    assert!(outcomes(&world, "calculator").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_is_for_people_and_not_for_jobs() {
    let world = world().plugin(plugin("echo")).build().await;
    let chat = world.new_chat(&world.ada, "Ada's").await;
    for store_turn in [false, true] {
        let named = ChatTurn { chat: Some(chat.clone()), store_turn, ..world.turn("echo", "hi") };
        let job = ChatTurn { principal: Principal::Service, ..named };
        assert_eq!(world.chat(job).await.error().code(), "not_allowed", "stored {store_turn}");
    }
    let alone = ChatTurn { principal: Principal::Service, ..world.turn("echo", "hi") };
    assert_eq!(world.chat(alone).await.text(), "hi");
    world.assert_idle().await;
}
