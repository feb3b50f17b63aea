//! Two clocks, hooks, and a receipt in two parts.

use std::time::{Duration, Instant};

use innkeeper_model::chunk::Chunk;
use innkeeper_model::receipt::Outcome;
use innkeeper_model::Permission;
use innkeeper_sandbox::{Answer, Ask, CallError};
use serde_json::json;

use crate::world::{World, read_chunks, request, tool};

fn limit(name: &str) -> Outcome {
    Outcome::LimitExceeded { limit: name.into() }
}

fn misbehave(how: &str, amount: u64) -> Ask {
    tool("misbehave", json!({"how": how, "amount": amount}))
}

#[tokio::test]
async fn the_result_is_delivered_before_background_work_ends() {
    let world = World::new().await;
    let plugin = world.load("misbehave").await;
    let (delivery, running) = world.call(&plugin).start(misbehave("background-sleep", 300)).await;
    let started = Instant::now();
    let delivered = async {
        let (answer, fuel) = delivery.await.unwrap();
        assert!(answer.is_ok() && fuel > 0);
        started.elapsed()
    };
    let (receipt, delivered) = tokio::join!(running, delivered);
    assert!(delivered < Duration::from_millis(250) && started.elapsed() >= Duration::from_millis(300));
    assert_eq!(receipt.outcome, Outcome::Ok);
    let background = receipt.background.unwrap();
    assert_eq!(background.outcome, Outcome::Ok);
    assert!(background.used.active_us >= 250_000, "{background:?}");
    assert!(receipt.delivered.active_us < 250_000, "{:?}", receipt.delivered);
}

#[tokio::test]
async fn background_work_has_limits_and_an_outcome_of_its_own() {
    let world = World::new().await;
    let plugin = world.load("misbehave").await;
    for (how, limits, expected) in [
        ("background-loop", [("background-fuel", 10_000_000), ("background", 60_000)], "background-fuel"),
        ("background-loop", [("background-fuel", u64::MAX / 4), ("background", 150)], "background"),
        ("background-sleep", [("background-fuel", 10_000_000), ("background", 150)], "background"),
        ("background-allocate", [("memory", 8 << 20), ("background", 60_000)], "memory"),
        ("background-calls", [("host-calls", 500), ("background", 60_000)], "host-calls"),
    ] {
        let call = limits.into_iter().fold(world.call(&plugin), |call, (name, value)| call.limit(name, value));
        let (result, receipt) = call.misbehave(how, 0).await;
        assert_eq!(result.as_deref(), Ok("done"), "{how}");
        assert_eq!(receipt.outcome, Outcome::Ok, "{how}");
        assert_eq!(receipt.background.as_ref().map(|part| &part.outcome), Some(&limit(expected)), "{how}");
        if expected == "background-fuel" {
            assert!(receipt.background.unwrap().used.fuel >= 9_000_000, "{how}");
        }
    }
    world.assert_idle(16).await;
}

#[tokio::test]
async fn background_work_that_traps_leaves_the_result_as_it_was() {
    let world = World::new().await;
    let probe = world.load("probe").await;
    let order = json!({"import": "log.log", "args": {"level": "Nonsense"}, "place": "background"});
    let (result, receipt) = world.call(&probe).tool("call", order).await;
    assert!(result.is_ok());
    assert_eq!(receipt.background.unwrap().outcome, Outcome::Ok);
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
        let receipt = instance.finish().await;
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
    assert_eq!(instance.finish().await.outcome, Outcome::Failed);
}

#[tokio::test]
async fn an_instance_is_kept_from_hook_to_hook_and_waits_for_free() {
    let world = World::new().await;
    let plugin = world.load("misbehave").await;
    let call = world.call(&plugin).limit("active", 500).limit("hook", 400);
    let mut instance = call.instantiate().await.map_err(|(error, _)| error).unwrap();
    let Answer::Request(_) = instance.hook(Ask::Inlet(request("inlet:allocate 5"))).await.unwrap() else { panic!() };
    // As long as a model takes, and longer than the call may be active.
    tokio::time::sleep(Duration::from_millis(700)).await;
    instance.hook(Ask::Stream(vec![Chunk::Text("chunk:allocate 5".into())])).await.unwrap();
    let open = instance.open_tasks();
    for _ in 0..50 {
        instance.hook(Ask::Stream(vec![Chunk::Text("fine".into())])).await.unwrap();
    }
    assert_eq!(instance.open_tasks(), open, "hooks leave something behind");
    let receipt = instance.finish().await;
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
async fn a_hook_that_is_dropped_retires_the_instance() {
    let world = World::new().await;
    let plugin = world.load("misbehave").await;
    let mut instance = world.call(&plugin).instantiate().await.map_err(|(error, _)| error).unwrap();
    let hook = instance.hook(Ask::Stream(vec![Chunk::Text("chunk:sleep".into())]));
    assert!(tokio::time::timeout(Duration::from_millis(50), hook).await.is_err());
    assert!(!instance.is_usable());
    assert_eq!(instance.finish().await.outcome, Outcome::Cancelled);
    world.assert_idle(16).await;
}

#[tokio::test]
async fn a_slow_reader_does_not_use_up_the_active_time() {
    let world = World::new().await;
    let plugin = world.load("misbehave").await;
    let call = world.call(&plugin).limit("active", 400);
    let (delivery, running) = call.start(Ask::Run(request("feed:many-chunks 200"))).await;
    let reading = async {
        let (answer, _) = delivery.await.unwrap();
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
    let plugin = world.load("misbehave").await;
    for how in ["loop", "wait", "sleep", "many-questions", "endless-file", "background-loop", "background-sleep"] {
        for by_turn in [true, false] {
            let world = world.another_turn();
            let call = world.call(&plugin).limit("fuel", u64::MAX / 4).limit("background-fuel", u64::MAX / 4);
            let call = call.limit("file-bytes", u64::MAX / 4).limit("host-bytes", u64::MAX / 4);
            let call = call.grant(&[Permission::EventsCall, Permission::FilesWrite]);
            let grants = call.grants();
            let (delivery, running) = call.start(misbehave(how, if how.ends_with("sleep") { 0 } else { 3 })).await;
            let ender = async {
                tokio::time::sleep(Duration::from_millis(30)).await;
                if by_turn { world.cancel.cancel() } else { grants.end() }
                Instant::now()
            };
            let (receipt, ended) = tokio::join!(running, ender);
            assert!(ended.elapsed() < Duration::from_secs(1), "{how}");
            let (answer, _) = delivery.await.unwrap();
            if how.starts_with("background") {
                assert!(answer.is_ok(), "{how}");
                assert_eq!(receipt.background.unwrap().outcome, Outcome::Cancelled, "{how}");
            } else {
                assert_eq!(answer.unwrap_err(), CallError::Cancelled, "{how}");
                assert_eq!(receipt.outcome, Outcome::Cancelled, "{how}");
            }
        }
    }
    world.assert_idle(16).await;
}
