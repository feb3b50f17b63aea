//! Hundreds of calls that misbehave in every way, one after the other and side by side, and a sandbox that is as good as new afterwards.

use innkeeper_model::Permission;
use innkeeper_model::receipt::Outcome;
use innkeeper_sandbox::{Ask, CallError};
use serde_json::json;

use crate::world::{Call, World, read_chunks, request, tool};

/// Each way to misbehave, and how its call ends.
const WAYS: &[(&str, u64, &str)] = &[
    ("loop", 0, "fuel"),
    ("allocate", 0, "memory"),
    ("recurse", 0, "trap"),
    ("trap", 0, "trap"),
    ("panic", 0, "trap"),
    ("exit", 0, "trap"),
    ("flood", 0, "host-calls"),
    ("flood-at-once", 60, "ok"),
    ("huge-result", 3, "transfer"),
    ("huge-error", 1, "failed"),
    ("open-streams", 0, "handles"),
    ("endless-file", 0, "failed"),
    ("sleep", 0, "active"),
    ("wait", 0, "active"),
    ("logs", 50, "ok"),
    ("print", 2, "ok"),
    ("background-loop", 0, "ok, background-fuel"),
    ("background-calls", 0, "ok, host-calls"),
    ("background-sleep", 0, "ok, background"),
    ("background-allocate", 0, "ok, memory"),
    ("invalid-json", 0, "invalid"),
    ("invalid-extra", 0, "invalid"),
    ("many-keys", 100, "failed"),
    ("forbidden-events", 0, "ok"),
    ("many-events", 50, "failed"),
    ("huge-event", 2, "failed"),
    ("many-questions", 4, "waiting"),
    ("nest", 0, "failed"),
    ("drop-calls", 20, "ok"),
    ("reach-out", 0, "ok"),
    ("nothing", 0, "ok"),
];

fn limited(call: Call<'_>) -> Call<'_> {
    let limits = [
        ("fuel", 60_000_000),
        ("background-fuel", 10_000_000),
        ("active", 400),
        ("background", 100),
        ("waiting", 100),
        ("memory", 16 << 20),
        ("transfer", 2 << 20),
        ("handles", 500),
        ("host-calls", 500),
        ("file-bytes", 1 << 20),
        ("kv-bytes", 1 << 20),
        ("events", 20),
        ("log-lines", 20),
    ];
    let call = limits.into_iter().fold(call, |call, (name, value)| call.limit(name, value));
    call.grant(&[
        Permission::Kv,
        Permission::FilesWrite,
        Permission::EventsEmit,
        Permission::EventsCall,
        Permission::Toolbox,
    ])
}

fn said(outcome: &Outcome) -> String {
    match outcome {
        Outcome::LimitExceeded { limit } => limit.clone(),
        Outcome::Trapped { .. } => "trap".into(),
        other => other.as_str().into(),
    }
}

#[tokio::test]
async fn hundreds_of_calls_that_misbehave_leave_the_sandbox_as_it_was() {
    let world = World::new().await;
    let plugin = world.load("misbehave").await;
    let calculator = world.load("calculator").await;
    for round in 0..8 {
        for &(how, amount, expected) in WAYS {
            let call = limited(world.call(&plugin));
            let (result, receipt) = call.tool("misbehave", json!({"how": how, "amount": amount})).await;
            let mut ended = said(&receipt.outcome);
            if let Some(background) = &receipt.background {
                ended = format!("{ended}, {}", said(&background.outcome));
            }
            // How fast this machine is decides which of the two clocks of a busy guest is first.
            let by_time = expected == "fuel" && ended == "active"
                || expected.starts_with("ok, ") && ended == "ok, background";
            // Background work that never lets go keeps its result from being delivered.
            let kept =
                how.starts_with("background") && ["fuel", "active", "memory"].contains(&ended.as_str());
            assert!(ended == expected || by_time || kept, "{how} in round {round}: {ended} {receipt:?}");
            assert_eq!(result.is_ok(), ended.starts_with("ok"), "{how}");
        }
        for order in [
            "feed:trap",
            "feed:loop",
            "feed:many-chunks 100",
            "feed:huge-chunk 2",
            "feed:cut-stream",
            "feed:open-streams",
        ] {
            let (delivery, running) = limited(world.call(&plugin)).start(Ask::Run(request(order))).await;
            let reading = async { read_chunks(delivery.await.unwrap().unwrap()).await };
            tokio::join!(running, reading);
        }
        world.assert_idle(16).await;
        let good = world.call(&calculator).tool("calculate", json!({"expression": "6*7"})).await.0.unwrap();
        assert_eq!(json!(good.content)[0]["value"], 42.0, "after round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_misbehave_side_by_side_do_not_hurt_each_other() {
    let world = World::new().await;
    let plugin = world.load("misbehave").await;
    let calculator = world.load("calculator").await;
    for chunk in WAYS.chunks(6).chain(WAYS.chunks(7)) {
        let mut running = Vec::new();
        for &(how, amount, _) in chunk {
            let ask = tool("misbehave", json!({"how": how, "amount": amount}));
            let (delivery, run) = limited(world.call(&plugin)).start(ask).await;
            running.push((delivery, tokio::spawn(run)));
        }
        let good = world.call(&calculator).tool("calculate", json!({"expression": "6*7"})).await.0;
        assert!(good.is_ok(), "{good:?}");
        for (_, run) in running {
            run.await.expect("no worker panics");
        }
    }
    world.assert_idle(16).await;
    let failed = world.call(&plugin).misbehave("trap", 0).await.0;
    assert!(matches!(failed, Err(CallError::Trap(_))));
}
