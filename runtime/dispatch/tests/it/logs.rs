//! What goes to the operator's log while a turn runs, and how much of it.

use innkeeper_dispatch::DispatchError;
use innkeeper_model::Permission;
use innkeeper_testing::logs::listen;
use serde_json::{Value, json};

use crate::world::{id, order, plugin, world};

/// An order for `probe` to feed so many events of a type, and then a text.
fn events(count: usize, kind: &str) -> String {
    let event = json!({ "Event": {"kind": kind, "data": "{\"description\":\"x\"}"} });
    let mut chunks = vec![event; count];
    chunks.push(json!({ "Text": "text" }));
    order("feed", "chunks", json!({ "chunks": chunks }))
}

#[tokio::test]
async fn events_that_are_dropped_from_an_answer_are_lines_of_its_plugin() {
    let world = world().plugin(plugin("probe").limit("log-lines", 5)).build().await;
    let logs = listen("info");
    let said = world.chat(world.turn("probe.one", &events(40, "exe\u{1b}cute\n"))).await;
    assert_eq!(said.text(), "text");
    assert!(said.events().is_empty());
    let dropped = logs.lines_with("an event inside an answer was dropped");
    assert_eq!(dropped.len(), 5, "{dropped:?}");
    for line in dropped {
        assert!(line.contains(" WARN ") && line.contains(" call{plugin=probe call="), "{line}");
        assert!(line.contains("events.emit") && !line.contains('\u{1b}'), "{line}");
    }
    let receipt = &world.receipts(&said.end.receipts).await[0];
    assert_eq!(receipt.delivered.log_lines, 5);
    // Those that were still on their way when the guest had ended are not in its receipt.
    assert!(receipt.delivered.log_lines_dropped > 0, "{receipt:?}");
    world.assert_idle().await;
}

#[tokio::test]
async fn events_of_an_answer_are_host_calls_too() {
    let probe = plugin("probe").limit("host-calls", 10).grant(&[Permission::EventsEmit]);
    let world = world().plugin(probe).build().await;
    for kind in ["status", "execute"] {
        let said = world.chat(world.turn("probe.one", &events(40, kind))).await;
        assert!(said.events().len() <= 10, "{kind}: {}", said.events().len());
        assert_eq!(said.partial(), "", "{kind}: what follows does not come");
        assert_eq!(said.error(), DispatchError::Limit { plugin: id("probe"), limit: "host-calls" });
    }
    world.assert_idle().await;
}

#[tokio::test]
async fn a_provider_whose_events_are_dropped_is_named_once() {
    let upstream = crate::upstream::Upstream::start().await;
    let script: Value = json!({ "event": {"type": "execute", "data": {"code": "alert(1)"}} });
    upstream.say(vec![script.to_string(); 30]);
    let world = world().provider(upstream.config()).build().await;
    let logs = listen("info");
    let said = world.chat(world.turn("gpt-fake", "hi")).await;
    assert!(said.events().is_empty());
    let dropped = logs.lines_with("an event of a provider was dropped");
    assert!(matches!(dropped.as_slice(), [line] if line.contains("provider=\"fake\"")), "{dropped:?}");
    world.assert_idle().await;
}

#[tokio::test]
async fn what_the_host_logs_of_a_call_names_it() {
    let grants = &[Permission::MemoriesWrite, Permission::MemoriesRead];
    let world = world().connections(1).plugin(plugin("probe").grant(grants)).build().await;
    let pool = world.sqlite();
    let logs = listen("info");
    sqlx::query("PRAGMA query_only = ON").execute(pool).await.unwrap();
    let refused = world.probe("memories.add", json!({"content": "milk"})).await;
    assert_eq!(refused["error"]["code"], "unavailable", "{refused}");
    sqlx::query("PRAGMA query_only = OFF").execute(pool).await.unwrap();
    sqlx::query("DROP TABLE memory").execute(pool).await.unwrap();
    let refused = world.probe("memories.list", json!({"page": {"limit": 1}})).await;
    assert!(refused.get("error").is_some(), "{refused}");
    for (line, level) in [
        ("the database cannot serve a host call at present", " WARN "),
        ("a host call needs what the database lacks", " WARN "),
    ] {
        let logged = logs.lines_with(line);
        let [line] = logged.as_slice() else { panic!("{line}: {logged:?}") };
        assert!(line.contains(level) && line.contains(" call{plugin=probe call="), "{line}");
    }
    world.assert_idle().await;
}
