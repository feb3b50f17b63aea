//! Hundreds of turns that go wrong, in a row and side by side.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use futures::StreamExt;
use innkeeper_dispatch::ActionTurn;
use innkeeper_model::Permission;
use innkeeper_model::authority::Authority;
use innkeeper_model::chat_message::{NewMessage, StoredMessage};
use innkeeper_model::receipt::{Outcome, Receipt};
use innkeeper_model::tool::ToolContent;
use serde_json::json;

use crate::world::{World, id, order, plugin, world};

const TURNS: usize = 400;

/// How a call ended, as its receipt says, and how its background work did.
fn ending(receipt: &Receipt) -> String {
    let said = |outcome: &Outcome| match outcome {
        Outcome::LimitExceeded { limit } => limit.clone(),
        other => other.as_str().to_owned(),
    };
    match &receipt.background {
        Some(background) => format!("{}, {}", said(&receipt.outcome), said(&background.outcome)),
        None => said(&receipt.outcome),
    }
}

/// How a call that misbehaves in this way in this place may end.
fn expected(place: &str, how: &str) -> &'static [&'static str] {
    let is_pipe = matches!(place, "run:" | "feed:");
    match how.split(' ').next().unwrap_or(how) {
        // How fast this machine is decides whether the fuel of a busy guest or its time is up first.
        "loop" | "allocate" | "background-loop" | "background-allocate" if is_pipe => &["fuel", "active"],
        "loop" | "allocate" | "background-loop" | "background-allocate" => &["fuel", "hook"],
        "background-calls" => &["ok, background", "ok, background-fuel", "ok, host-calls"],
        "wait" if is_pipe => &["active"],
        "wait" => &["hook"],
        "flood" => &["host-calls"],
        "trap" | "panic" | "exit" | "recurse" => &["trapped"],
        "invalid-json" => &["invalid"],
        // A stream says that it failed in a piece, and ends well with it.
        "huge-error" if place == "feed:" => &["chunk-bytes"],
        "nest" if place == "feed:" => &["ok"],
        "huge-error" | "nest" => &["failed"],
        _ => &["ok"],
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_misbehaving_turns_leave_it_healthy() {
    let limits = [
        ("fuel", 3_000_000),
        ("active", 700),
        ("waiting", 700),
        ("hook", 600),
        ("background", 100),
        ("background-fuel", 2_000_000),
    ];
    let misbehave =
        limits.iter().fold(plugin("misbehave"), |plugin, (name, value)| plugin.limit(name, *value));
    let world = world()
        .connections(2)
        .plugin(misbehave.global().grant(&[
            Permission::Kv,
            Permission::EventsEmit,
            Permission::EventsCall,
            Permission::Toolbox,
            Permission::FilesWrite,
        ]))
        .plugin(plugin("echo"))
        .plugin(plugin("nothing").filter(|filter| filter.toggle = false).global())
        .build()
        .await;
    let hows = [
        "loop",
        "recurse",
        "trap",
        "panic",
        "exit",
        "allocate 200",
        "flood 100000",
        "flood-at-once 40",
        "huge-error 1",
        "open-streams 50",
        "sleep 5",
        "wait",
        "logs 5",
        "background-loop",
        "background-calls",
        "background-allocate",
        "drop-calls 5",
        "many-events 3",
        "nest",
        "invalid-json",
        "forbidden-events",
        "reach-out",
        "nothing",
    ];
    let places = ["run:", "feed:", "inlet:", "request:", "chunk:", "outlet:"];
    let seen = Mutex::new(BTreeSet::new());
    let turns = (0..TURNS).map(|number| {
        let (world, seen) = (&world, &seen);
        async move {
            let (how, place) = (hows[number % hows.len()], places[(number / hows.len()) % places.len()]);
            let in_pipe = matches!(place, "run:" | "feed:");
            let (model, text) = (if in_pipe { "misbehave" } else { "echo" }, format!("{place}{how}"));
            // A piece holds its order whole where it is the only one.
            let mut turn =
                if place == "chunk:" { world.whole_turn(model, &text) } else { world.turn(model, &text) };
            turn.filter_ids = vec!["misbehave".to_owned()];
            if number % 7 == 0 {
                // A client that leaves at some time or other.
                let handle = world.dispatch.chat(turn).await;
                tokio::time::sleep(Duration::from_millis(number as u64 % 40)).await;
                drop(handle);
                return;
            }
            let said = tokio::time::timeout(Duration::from_secs(20), world.chat(turn)).await;
            let said = said.unwrap_or_else(|_| panic!("{place}{how} does not end"));
            let receipts = world.receipts(&said.end.receipts).await;
            let kind = if in_pipe { "pipe." } else { "filter." };
            let receipt = receipts
                .iter()
                .find(|receipt| receipt.plugin == id("misbehave") && receipt.export.starts_with(kind));
            let receipt = receipt.unwrap_or_else(|| panic!("{place}{how}: {receipts:?}"));
            let (ended, expected) = (ending(receipt), expected(place, how));
            assert!(expected.contains(&ended.as_str()), "{place}{how} ended as {ended}, not {expected:?}");
            seen.lock().unwrap().insert((place, how));
            if let Some(error) = said.end.error {
                assert_ne!(error.code(), "internal_error", "{place}{how}: {error:?}");
                assert!(!error.to_string().contains(['\n', '\u{1b}']), "{error:?}");
            }
        }
    });
    futures::stream::iter(turns).buffer_unordered(4).for_each(|()| async {}).await;
    assert_eq!(seen.lock().unwrap().len(), hows.len() * places.len(), "each way in each place");
    world.assert_idle().await;
    assert_eq!(world.chat(world.turn("echo", "still here")).await.text(), "still here");
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn turns_that_find_no_instance_are_told_when_to_come_back() {
    let world = world()
        .instances(4)
        .plugin(plugin("misbehave"))
        .plugin(plugin("echo").limit("calls-per-plugin", 1))
        .build()
        .await;
    let sleeps = || async { world.dispatch.chat(world.turn("echo", "hi")).await };
    let first = sleeps().await.unwrap();
    let said = crate::world::read(first).await;
    assert_eq!(said.end.error, None);
    let mut handles: Vec<_> =
        futures::future::join_all((0..3).map(|_| world.dispatch.chat(world.turn("misbehave", "feed:wait"))))
            .await;
    for handle in &mut handles {
        // It has its slot where its answer has begun.
        handle.as_mut().unwrap().frames.recv().await.unwrap();
    }
    let many: Vec<_> = (0..4).map(|_| world.chat(world.turn("echo", "a b c d"))).collect();
    let blocked = futures::future::join_all(many);
    let blocked = tokio::time::timeout(Duration::from_millis(500), blocked).await;
    assert!(blocked.is_err(), "all slots are taken, so turns wait in the queue");
    drop(handles);
    world.assert_idle().await;
    assert_eq!(world.chat(world.turn("echo", "hi")).await.text(), "hi");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn html_in_embeds_needs_its_permission() {
    let world = world().plugin(plugin("probe").grant(&[Permission::EventsEmit])).build().await;
    let html = json!({ "event": {"Embeds": {"items": ["<b>x</b>"], "replace": false}} });
    assert_eq!(world.probe("events.emit", html.clone()).await["error"]["code"], "denied");
    world.registry.grant(&id("probe"), Permission::EventsHtml, Default::default()).await.unwrap();
    assert!(world.probe("events.emit", html).await.get("ok").is_some());
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn html_in_a_result_needs_its_permission() {
    let world = world().plugin(plugin("probe").grant(&[Permission::EventsEmit])).build().await;
    let shows = |content: &[ToolContent]| {
        content.iter().any(|part| matches!(part, ToolContent::Html { html, .. } if html == "<b>x</b>"))
    };
    let tool = || world.dispatch.call_tool(world.tool_turn("probe", "html", json!({ "html": "<b>x</b>" })));
    let text = order("call", "context.locale", json!({ "html": "<b>x</b>" }));
    let messages = stored_messages(&world, &text).await;
    let action = || {
        world.dispatch.run_action(ActionTurn {
            messages: Some(messages.clone()),
            ..world.action_turn("probe", "probe", None)
        })
    };
    for error in [tool().await.unwrap_err(), action().await.unwrap_err()] {
        assert_eq!(error.code(), "plugin_failed");
        assert!(error.to_string().contains("events.html"), "{error}");
    }
    world.registry.grant(&id("probe"), Permission::EventsHtml, Default::default()).await.unwrap();
    assert!(shows(&tool().await.unwrap().result.content));
    assert!(shows(&action().await.unwrap().result.unwrap().content));
    world.assert_idle().await;
}

/// A message as a client sends it along with an action.
async fn stored_messages(world: &World, text: &str) -> Vec<StoredMessage> {
    let authority = Authority::Own(world.ada.clone());
    let chat = world.new_chat(&world.ada, "t").await;
    let message = NewMessage { role: "user".to_owned(), content: text.to_owned(), ..NewMessage::default() };
    vec![world.store.chat_messages().append(&authority, &chat, message).await.unwrap()]
}
