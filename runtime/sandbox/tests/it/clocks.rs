//! Two clocks, hooks, and a receipt in two parts.

use std::time::{Duration, Instant};

use innkeeper_host::fuel::{Lent, Returned};
use innkeeper_model::Permission;
use innkeeper_model::chunk::Chunk;
use innkeeper_model::receipt::Outcome;
use innkeeper_sandbox::{Answer, Ask, CallError};
use serde_json::json;

use crate::guests::Guest;
use crate::world::{World, order, read_chunks, request, tool};

fn limit(name: &str) -> Outcome {
    Outcome::LimitExceeded { limit: name.into() }
}

fn misbehave(how: &str, amount: u64) -> Ask {
    tool("misbehave", json!({"how": how, "amount": amount}))
}

const SPINS: &str = "(loop $again (br $again)) (i32.const 0)";
/// Waits for a set of waitables in which nothing is.
const WAITS: &str = "(i32.or (i32.const 2) (i32.shl (call $set) (i32.const 4)))";

#[tokio::test]
async fn the_result_is_delivered_before_background_work_ends() {
    let world = World::new().await;
    let plugin = world.sandbox.load(&Guest::goes_on(SPINS).build()).await.unwrap();
    let call = world.call(&plugin).limit("background-fuel", u64::MAX / 4).limit("background", 400);
    let (delivery, running) = call.start(tool("run", json!({}))).await;
    let started = Instant::now();
    let delivered = async {
        assert!(delivery.await.unwrap().is_ok());
        started.elapsed()
    };
    let (receipt, delivered) = tokio::join!(running, delivered);
    assert!(delivered < Duration::from_millis(200) && started.elapsed() >= Duration::from_millis(400));
    assert_eq!(receipt.outcome, Outcome::Ok);
    let background = receipt.background.unwrap();
    assert_eq!(background.outcome, limit("background"));
    assert!(background.used.active_us >= 300_000 && background.used.fuel > 1_000_000, "{background:?}");
    assert!(receipt.delivered.active_us < 200_000, "{:?}", receipt.delivered);
}

#[tokio::test]
async fn background_work_has_limits_and_an_outcome_of_its_own() {
    let world = World::new().await;
    let grows = "(loop $again (drop (memory.grow (i32.const 1))) (br $again)) (i32.const 0)";
    for (background, limits, expected) in [
        ("(i32.const 0)", [("background-fuel", 10_000_000), ("background", 60_000)], Outcome::Ok),
        (SPINS, [("background-fuel", 10_000_000), ("background", 60_000)], limit("background-fuel")),
        (SPINS, [("background-fuel", u64::MAX / 4), ("background", 150)], limit("background")),
        (WAITS, [("background-fuel", 10_000_000), ("background", 150)], limit("background")),
        (grows, [("memory", 8 << 20), ("background", 60_000)], limit("memory")),
        (
            "unreachable",
            [("memory", 8 << 20), ("background", 60_000)],
            Outcome::Trapped { trap: "wasm trap: wasm `unreachable` instruction executed".into() },
        ),
    ] {
        let plugin = world.sandbox.load(&Guest::goes_on(background).build()).await.unwrap();
        let call =
            limits.into_iter().fold(world.call(&plugin), |call, (name, value)| call.limit(name, value));
        let (result, receipt) = call.tool("run", json!({})).await;
        assert!(result.is_ok(), "{background}: {result:?}");
        assert_eq!(receipt.outcome, Outcome::Ok, "{background}");
        assert_eq!(receipt.background.as_ref().map(|part| &part.outcome), Some(&expected), "{background}");
        if expected == limit("background-fuel") {
            assert_eq!(receipt.background.unwrap().used.fuel, 10_000_000);
        }
    }
    world.assert_idle(16).await;
    let misbehave = world.load("misbehave").await;
    let call = world.call(&misbehave).grant(&[Permission::Kv]).limit("host-calls", 50);
    let (result, receipt) = call.misbehave("background-calls", 0).await;
    assert_eq!((result.as_deref(), receipt.outcome), (Ok("done"), Outcome::Ok));
    assert_eq!(receipt.background.unwrap().outcome, limit("host-calls"));
}

#[tokio::test]
async fn background_work_of_a_call_by_a_plugin_gets_no_more_than_what_was_lent() {
    let world = World::new().await;
    let plugin = world.sandbox.load(&Guest::goes_on(SPINS).build()).await.unwrap();
    for (depth, expected) in [(0, 10_000_000), (1, 0)] {
        let call = world.call(&plugin).depth(depth).limit("fuel", 1_000_000);
        let (_, receipt) = call.limit("background-fuel", 10_000_000).tool("run", json!({})).await;
        let background = receipt.background.unwrap();
        assert_eq!(background.outcome, limit("background-fuel"));
        let most = if depth == 0 { expected } else { 1_000_000 };
        assert!(background.used.fuel >= expected && background.used.fuel <= most, "{depth}: {background:?}");
    }
}

#[tokio::test]
async fn background_work_of_calls_by_a_plugin_takes_from_what_was_lent() {
    let world = World::new().await;
    let plugin = world.sandbox.load(&Guest::goes_on(SPINS).build()).await.unwrap();
    let idle = world.sandbox.load(&Guest::goes_on("(i32.const 0)").build()).await.unwrap();
    let returned = Returned::default();
    let lent = Lent::new(10_000_000, returned.clone());
    let mut burnt = 0;
    for expected in [6_000_000, 2_000_000, 0] {
        let call = world.call(&plugin).lent(&lent).limit("background-fuel", 4_000_000);
        let invocation = call.instantiate().await.map_err(|(error, _)| error).unwrap();
        let call = invocation.call().clone();
        let (delivery, running) = invocation.start(tool("run", json!({})));
        let settled = async {
            call.settled().await;
            lent.left()
        };
        let (receipt, left) = tokio::join!(running, settled);
        assert!(delivery.await.unwrap().is_ok());
        assert!(left <= expected && left + 10_000 > expected, "{left}, not {expected}");
        burnt += receipt.delivered.fuel + receipt.background.unwrap().used.fuel;
    }
    assert!(burnt <= 10_000_000, "{burnt}");
    // Without background work all that is not used comes back at once.
    let lent = Lent::new(10_000_000, returned.clone());
    let (_, receipt) = world.call(&idle).lent(&lent).tool("run", json!({})).await;
    let used = receipt.delivered.fuel + receipt.background.map_or(0, |part| part.used.fuel);
    assert_eq!(lent.left(), 10_000_000 - used);
    // Where nobody waits for the call any more, too.
    let call = world.call(&plugin).lent(&lent);
    let before = lent.left();
    drop(call.start(tool("run", json!({}))).await);
    assert!(before - lent.left() < 10, "{before}, and then {}", lent.left());
}

#[tokio::test]
async fn an_instance_between_two_hooks_holds_no_fuel_of_whoever_lends_it() {
    let world = World::new().await;
    let plugin = world.load("misbehave").await;
    let lent = Lent::new(100_000_000, Returned::default());
    let call = world.call(&plugin).lent(&lent).limit("fuel", 90_000_000);
    let mut instance = call.instantiate().await.map_err(|(error, _)| error).unwrap();
    instance.hook(Ask::Stream(vec![Chunk::Text("fine".into())])).await.unwrap();
    assert_eq!(lent.left(), 100_000_000 - instance.fuel_used());
    // Somebody else works for the same caller meanwhile.
    lent.take(lent.left() - 1_000);
    let error = instance.hook(Ask::Stream(vec![Chunk::Text("chunk:loop".into())])).await.unwrap_err();
    assert_eq!(error, CallError::Limit("fuel"));
    assert_eq!(lent.left(), 0);
}

#[tokio::test]
async fn a_guest_that_never_lets_go_after_its_result_has_not_delivered_it() {
    let world = World::new().await;
    let mut guest = Guest::goes_on("(i32.const 0)");
    guest.call = "(loop $again (br $again))".into();
    let plugin = world.sandbox.load(&guest.build()).await.unwrap();
    let (result, receipt) = world.call(&plugin).limit("fuel", 10_000_000).tool("run", json!({})).await;
    assert_eq!(result.unwrap_err(), CallError::Limit("fuel"));
    assert_eq!((receipt.outcome, receipt.background), (limit("fuel"), None));
}

#[tokio::test]
async fn a_hook_ends_by_its_own_deadline_and_retires_the_instance() {
    let world = World::new().await;
    let plugin = world.load("misbehave").await;
    for (how, expected) in [
        ("loop", CallError::Limit("hook")),
        ("sleep", CallError::Limit("hook")),
        ("wait", CallError::Limit("hook")),
        ("trap", CallError::Trap("wasm trap: wasm `unreachable` instruction executed".into())),
    ] {
        let call = world.call(&plugin).limit("hook", 100).limit("fuel", u64::MAX / 4);
        let mut instance = call.instantiate().await.map_err(|(error, _)| error).unwrap();
        let chunk = |text: String| Ask::Stream(vec![Chunk::Text(text)]);
        instance.hook(chunk("fine".into())).await.unwrap();
        let error = instance.hook(chunk(format!("chunk:{how}"))).await.unwrap_err();
        assert_eq!(error, expected, "{how}");
        assert!(!instance.is_usable());
        let again = instance.hook(chunk("fine".into())).await.unwrap_err();
        assert!(matches!(again, CallError::Trap(ref text) if text.contains("retired")), "{again}");
        let receipt = instance.finish().await.0;
        assert_eq!(receipt.outcome, error.outcome(), "{how}");
        assert_eq!((receipt.export.as_str(), receipt.background), ("filter.stream", None));
    }
    world.assert_idle(16).await;
}

#[tokio::test]
async fn an_error_value_does_not_retire_the_instance_and_stands_in_the_receipt() {
    let world = World::new().await;
    let plugin = world.load("misbehave").await;
    let mut instance = world.call(&plugin).instantiate().await.map_err(|(error, _)| error).unwrap();
    let huge = instance.hook(Ask::Inlet(request("inlet:huge-error 1"))).await.unwrap_err();
    assert!(matches!(huge, CallError::Plugin(_)), "{huge}");
    assert!(instance.is_usable());
    instance.hook(Ask::Stream(vec![Chunk::Text("fine".into())])).await.unwrap();
    assert_eq!(instance.finish().await.0.outcome, Outcome::Failed);
}

#[tokio::test]
async fn an_instance_is_kept_from_hook_to_hook_and_waits_for_free() {
    let world = World::new().await;
    let plugin = world.load("misbehave").await;
    let call = world.call(&plugin).limit("active", 500).limit("hook", 400);
    let mut instance = call.instantiate().await.map_err(|(error, _)| error).unwrap();
    let Answer::Request(_) = instance.hook(Ask::Inlet(request("inlet:allocate 5"))).await.unwrap() else {
        panic!()
    };
    // As long as a model takes, and longer than the call may be active.
    tokio::time::sleep(Duration::from_millis(700)).await;
    instance.hook(Ask::Stream(vec![Chunk::Text("chunk:allocate 5".into())])).await.unwrap();
    let open = instance.open_tasks();
    for _ in 0..50 {
        instance.hook(Ask::Stream(vec![Chunk::Text("fine".into())])).await.unwrap();
    }
    assert_eq!(instance.open_tasks(), open, "hooks leave something behind");
    let receipt = instance.finish().await.0;
    assert_eq!(receipt.outcome, Outcome::Ok);
    assert!(receipt.delivered.peak_memory > 10 << 20, "memory of the first hook is still there: {receipt:?}");
    assert!(receipt.delivered.active_us < 500_000, "{receipt:?}");
}

#[tokio::test]
async fn time_that_a_person_takes_does_not_count_against_a_hook() {
    let world = World::new().await;
    let probe = world.load("probe").await;
    let order = json!({
        "import": "events.call", "place": "inlet",
        "args": {"question": {"Confirmation": {"title": "t", "message": "m"}}},
    });
    let call = world.call(&probe).grant(&[Permission::EventsCall]);
    let call = call.limit("hook", 100).limit("active", 100).limit("waiting", 400);
    let mut instance = call.instantiate().await.map_err(|(error, _)| error).unwrap();
    let error = instance.hook(Ask::Inlet(request(&order.to_string()))).await.unwrap_err();
    assert_eq!(error, CallError::Limit("waiting"));
}

#[tokio::test]
async fn a_guest_that_computes_while_a_question_waits_uses_up_its_active_time() {
    let world = World::new().await;
    let probe = world.load("probe").await;
    let question = json!({"question": {"Confirmation": {"title": "t", "message": "m"}}});
    for (expected, hook, active) in [("hook", 200, 60_000), ("active", 60_000, 300)] {
        let call = world.call(&probe).grant(&[Permission::EventsCall]).limit("fuel", u64::MAX / 4);
        let call = call.limit("waiting", 4_000).limit("hook", hook).limit("active", active);
        let mut instance = call.instantiate().await.map_err(|(error, _)| error).unwrap();
        let asks = json!({"import": "events.call", "args": question, "place": "background"});
        instance.hook(tool("call", asks)).await.unwrap();
        let locale = || tool("call", order("context.locale", json!({})));
        while world.audience.asked.lock().unwrap().is_empty() {
            instance.hook(locale()).await.unwrap();
        }
        world.audience.asked.lock().unwrap().clear();
        let begun = Instant::now();
        let error = instance.hook(tool("call", order("spin", json!({})))).await.unwrap_err();
        assert_eq!(error, CallError::Limit(expected));
        assert!(
            begun.elapsed() < Duration::from_secs(3),
            "not before the waiting clock: {:?}",
            begun.elapsed()
        );
    }
}

#[tokio::test]
async fn a_hook_that_is_dropped_retires_the_instance() {
    let world = World::new().await;
    let plugin = world.load("misbehave").await;
    let mut instance = world.call(&plugin).instantiate().await.map_err(|(error, _)| error).unwrap();
    let hook = instance.hook(Ask::Stream(vec![Chunk::Text("chunk:sleep".into())]));
    assert!(tokio::time::timeout(Duration::from_millis(50), hook).await.is_err());
    assert!(!instance.is_usable());
    assert_eq!(instance.finish().await.0.outcome, Outcome::Cancelled);
    world.assert_idle(16).await;
}

#[tokio::test]
async fn a_slow_reader_does_not_use_up_the_active_time() {
    let world = World::new().await;
    let plugin = world.load("misbehave").await;
    let call = world.call(&plugin).limit("active", 400);
    let (delivery, running) = call.start(Ask::Run(request("feed:many-chunks 200"))).await;
    let reading = async {
        let answer = delivery.await.unwrap();
        tokio::time::sleep(Duration::from_millis(800)).await;
        read_chunks(answer.unwrap()).await.unwrap().len()
    };
    let (receipt, read) = tokio::join!(running, reading);
    assert_eq!((receipt.outcome.clone(), read), (Outcome::Ok, 202), "{receipt:?}");
    assert!(receipt.delivered.waiting_us > 500_000, "{receipt:?}");
}

#[tokio::test]
async fn ending_a_turn_or_a_plugin_ends_computing_waiting_and_background_work() {
    let world = World::new().await;
    let misbehaves = world.load("misbehave").await;
    let spins = world.sandbox.load(&Guest::goes_on(SPINS).build()).await.unwrap();
    let waits = world.sandbox.load(&Guest::goes_on(WAITS).build()).await.unwrap();
    let background = || tool("run", json!({}));
    for (plugin, ask) in [
        (&misbehaves, misbehave("loop", 0)),
        (&misbehaves, misbehave("wait", 0)),
        (&misbehaves, misbehave("sleep", 0)),
        (&misbehaves, misbehave("many-questions", 3)),
        (&misbehaves, misbehave("endless-file", 0)),
        (&spins, background()),
        (&waits, background()),
    ] {
        for by_turn in [true, false] {
            let world = world.another_turn();
            let shown = format!("{ask:?}");
            let limits = ["fuel", "background-fuel", "file-bytes", "host-bytes"];
            let call =
                limits.into_iter().fold(world.call(plugin), |call, limit| call.limit(limit, u64::MAX / 4));
            let call = call.grant(&[Permission::EventsCall, Permission::FilesWrite]);
            let grants = call.grants();
            let (delivery, running) = call.start(ask.clone()).await;
            let ender = async {
                tokio::time::sleep(Duration::from_millis(30)).await;
                if by_turn {
                    world.cancel.cancel()
                } else {
                    grants.end()
                }
                Instant::now()
            };
            let (receipt, ended) = tokio::join!(running, ender);
            assert!(ended.elapsed() < Duration::from_secs(1), "{shown}");
            let answer = delivery.await.unwrap();
            if std::ptr::eq(plugin, &misbehaves) {
                assert_eq!(answer.unwrap_err(), CallError::Cancelled, "{shown}");
                assert_eq!(receipt.outcome, Outcome::Cancelled, "{shown}");
            } else {
                assert!(answer.is_ok());
                assert_eq!(receipt.background.unwrap().outcome, Outcome::Cancelled);
            }
        }
    }
    world.assert_idle(16).await;
}
