//! What guests answer: JSON that is none, HTML without permission, errors too long, and every way to crash.

use innkeeper_model::chunk::Chunk;
use innkeeper_model::receipt::Outcome;
use innkeeper_model::{Permission, PluginError};
use innkeeper_sandbox::{Ask, CallError};
use serde_json::json;

use crate::guests::Guest;
use crate::places::message as stored;
use crate::world::{World, read_chunks, request, tool};

#[tokio::test]
async fn text_that_is_no_json_is_refused_wherever_json_is_due() {
    let world = World::new().await;
    let misbehave = world.load("misbehave").await;
    let message = stored("outlet:invalid-json");
    for ask in [
        tool("misbehave", json!({"how": "invalid-json"})),
        tool("misbehave", json!({"how": "invalid-extra"})),
        Ask::Run(request("run:invalid-json")),
        Ask::Inlet(request("inlet:invalid-json")),
        Ask::Request(request("request:invalid-json")),
        Ask::Stream(vec![Chunk::Text("chunk:invalid-json".into())]),
        Ask::Outlet(vec![message]),
    ] {
        let place = ask.export();
        let (answer, receipt) = world.call(&misbehave).ask(ask).await;
        assert!(matches!(answer, Err(CallError::Invalid(_))), "{place}: {answer:?}");
        assert_eq!(receipt.outcome, Outcome::Invalid, "{place}");
    }
}

#[tokio::test]
async fn fields_of_later_versions_are_no_way_round_json_that_parses() {
    let world = World::new().await;
    // A result with one part: HTML of no text, with one byte of memory as its `extra`.
    let html = |byte: u32, length: u32| {
        Guest::calls(&format!(
            "(i32.store (i32.const 8) (i32.const 64)) (i32.store (i32.const 12) (i32.const 1)) (i32.store8 (i32.const 64) (i32.const 2))
             (i32.store8 (i32.const 88) (i32.const 1)) (i32.store (i32.const 92) (i32.const 200)) (i32.store (i32.const 96) (i32.const {length}))
             (i32.store (i32.const 200) (i32.const {byte}))"
        ))
    };
    // `[]` and `{}`.
    for (bytes, fits) in [(0x5d5b, false), (0x7d7b, true)] {
        let plugin = world.sandbox.load(&html(bytes, 2).build()).await.unwrap();
        let call = world.call(&plugin).grant(&[Permission::EventsHtml]);
        let (result, _) = call.tool("run", json!({})).await;
        match result {
            Ok(result) => assert!(fits && result.content.len() == 1, "{result:?}"),
            Err(CallError::Invalid(why)) => assert!(!fits && why.contains("html.extra"), "{why}"),
            Err(error) => panic!("{error:?}"),
        }
    }
    let probe = world.load("probe").await;
    for (extra, fits) in [("[]", false), ("{}", true)] {
        let order = json!({"import": "context.locale", "args": {"extra": extra}, "place": "call"});
        let ask = Ask::Action { id: "probe".into(), messages: vec![stored(&order.to_string())] };
        let (answer, _) = world.call(&probe).ask(ask).await;
        let refused = matches!(&answer, Err(CallError::Invalid(why)) if why.contains("extra"));
        assert_eq!((answer.is_ok(), refused), (fits, !fits), "{answer:?}");
    }
}

#[tokio::test]
async fn a_stream_that_breaks_ends_the_call_with_its_reason() {
    let world = World::new().await;
    let misbehave = world.load("misbehave").await;
    for (order, expected) in [
        ("feed:invalid-json", "invalid"),
        ("feed:cut-stream", "invalid"),
        ("feed:silent-stream", "limit-exceeded"),
        ("feed:trap", "trapped"),
        ("feed:loop", "limit-exceeded"),
        ("feed:allocate", "limit-exceeded"),
        ("feed:exit", "trapped"),
        ("feed:nothing", "ok"),
    ] {
        let call = world.call(&misbehave).limit("active", 1_500).limit("fuel", 100_000_000);
        let (delivery, running) = call.start(Ask::Run(request(order))).await;
        let reading = async {
            let answer = delivery.await.unwrap();
            read_chunks(answer.unwrap()).await.unwrap()
        };
        // The reader comes to an end as well, whatever became of the guest.
        let (receipt, read) = tokio::join!(running, reading);
        assert_eq!(receipt.outcome.as_str(), expected, "{order}: {receipt:?}");
        assert_eq!(receipt.export, "pipe.run");
        assert_eq!(read.last().is_some_and(Chunk::is_end), order == "feed:nothing", "{order}: {read:?}");
    }
    world.assert_idle(16).await;
}

#[tokio::test]
async fn every_way_to_crash_is_a_trap_with_its_own_words() {
    let world = World::new().await;
    let misbehave = world.load("misbehave").await;
    for (how, words) in [
        ("trap", "unreachable"),
        ("panic", "unreachable"),
        ("exit", "called `exit`"),
        // Its stack is in its own memory, at the bottom.
        ("recurse", "out of bounds memory access"),
    ] {
        let (result, receipt) = world.call(&misbehave).misbehave(how, 0).await;
        let Err(CallError::Trap(text)) = result else { panic!("{how}: {result:?}") };
        assert!(text.contains(words), "{how}: {text}");
        assert_eq!(receipt.outcome, Outcome::Trapped { trap: text });
    }
    let recurses = Guest::calls("(call $deeper)").with("(func $deeper (call $deeper))");
    let plugin = world.sandbox.load(&recurses.build()).await.unwrap();
    let (result, _) = world.call(&plugin).tool("run", json!({})).await;
    assert_eq!(result, Err(CallError::Limit("stack")));
}

#[tokio::test]
async fn a_plugins_own_error_is_cut() {
    let world = World::new().await;
    let misbehave = world.load("misbehave").await;
    let (result, receipt) = world.call(&misbehave).misbehave("huge-error", 2).await;
    let Err(CallError::Plugin(PluginError::Failed(text))) = result else { panic!("{result:?}") };
    assert!(text.len() <= 4096, "{}", text.len());
    assert_eq!(receipt.outcome, Outcome::Failed);
}

#[tokio::test]
async fn a_guest_finds_no_files_no_variables_and_no_network() {
    let world = World::new().await;
    let misbehave = world.load("misbehave").await;
    let seen = world.call(&misbehave).misbehave("reach-out", 0).await.0.unwrap();
    for line in seen.lines() {
        let nothing = line.contains("Err(") || line.ends_with(": 0");
        assert!(nothing, "{seen}");
    }
}

#[tokio::test]
async fn html_in_a_result_needs_the_permission_that_html_in_an_event_needs() {
    let world = World::new().await;
    // A result with one part: HTML of no text.
    let guest = Guest::calls(
        "(i32.store (i32.const 8) (i32.const 64)) (i32.store (i32.const 12) (i32.const 1)) (i32.store8 (i32.const 64) (i32.const 2))",
    );
    let plugin = world.sandbox.load(&guest.build()).await.unwrap();
    let (result, receipt) = world.call(&plugin).tool("run", json!({})).await;
    let Err(CallError::Plugin(PluginError::Host(error))) = result else { panic!("{result:?}") };
    assert_eq!(error.subject.as_deref(), Some("events.html"));
    assert_eq!(receipt.outcome, Outcome::Failed);
    world.call(&plugin).grant(&[Permission::EventsHtml]).tool("run", json!({})).await.0.unwrap();
}
