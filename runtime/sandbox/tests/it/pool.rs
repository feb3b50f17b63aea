//! Instances come and go: nothing of one is seen by the next, and none is lost, wherever a call is dropped.

use std::time::Duration;

use innkeeper_model::Permission;
use innkeeper_sandbox::{EngineOptions, SandboxOptions};
use serde_json::json;

use crate::guests::Guest;
use crate::world::{World, options, request, tool};

/// A sandbox with so few slots that each call gets one that was used before.
fn small() -> SandboxOptions {
    SandboxOptions { engine: EngineOptions { instances: 2, ..EngineOptions::default() }, ..options() }
}

#[tokio::test]
async fn what_one_instance_leaves_in_memory_the_next_does_not_see() {
    let world = World::with(small(), 2).await;
    // Grows past what stays in place between instances, traps on anything but zero, and then leaves a mark everywhere.
    let guest = Guest::calls(
        r#"(drop (memory.grow (i32.const 48)))
           (local.set $at (i32.const 131072))
           (loop $next
             (if (i32.ne (i32.load (local.get $at)) (i32.const 0)) (then unreachable))
             (i32.store (local.get $at) (i32.const 0x5ec7e700))
             (local.set $at (i32.add (local.get $at) (i32.const 1024)))
             (br_if $next (i32.lt_u (local.get $at) (i32.const 3276800))))
           (if (i32.ne (global.get $mark) (i32.const 0)) (then unreachable))
           (global.set $mark (i32.const 1))
           (if (i32.eqz (ref.is_null (table.get $table (i32.const 3)))) (then unreachable))
           (table.set $table (i32.const 3) (ref.func $marked))"#,
    )
    .with("(global $mark (mut i32) (i32.const 0)) (table $table 10 funcref) (elem declare func $marked) (func $marked)")
    .local("$at i32");
    let plugin = world.sandbox.load(&guest.build()).await.unwrap();
    for round in 0..40 {
        let (result, receipt) = world.call(&plugin).tool("run", json!({})).await;
        assert!(result.is_ok(), "round {round}: {result:?}");
        assert!(receipt.delivered.peak_memory > 3 << 20);
    }
    world.assert_idle(2).await;
}

#[tokio::test]
async fn a_call_that_is_dropped_anywhere_gives_everything_back() {
    let world = World::with(small(), 2).await;
    let probe = world.load("probe").await;
    let misbehave = world.load("misbehave").await;
    let grants = [Permission::Kv, Permission::FilesWrite, Permission::EventsCall, Permission::Completions];
    let many = json!({"import": "kv.set", "args": {"scope": "User", "key": "k", "size": 50_000}, "place": "call", "times": 10});
    let later = json!({"import": "kv.increment", "args": {"scope": "User", "key": "n", "by": 1}, "place": "background", "times": 10});
    let how = |how: &str| tool("misbehave", json!({"how": how, "amount": 20}));
    for (plugin, ask) in [
        (&probe, tool("call", many)),
        (&probe, tool("call", later)),
        (&misbehave, how("loop")),
        (&misbehave, how("endless-file")),
        (&misbehave, how("many-questions")),
        (&misbehave, how("drop-calls")),
        (&misbehave, how("background-loop")),
        (&misbehave, innkeeper_sandbox::Ask::Run(request("feed:many-chunks 1000"))),
    ] {
        for polls in [0, 1, 2, 3, 5, 8, 13, 21, 34] {
            let call = world.call(plugin).grant(&grants).limit("fuel", u64::MAX / 4);
            let (delivery, running) = call.start(ask.clone()).await;
            let mut running = Box::pin(running);
            for _ in 0..polls {
                if futures::poll!(&mut running).is_ready() {
                    break;
                }
                // Whatever the guest waits for comes a step further.
                tokio::time::sleep(Duration::from_micros(300)).await;
            }
            drop(running);
            drop(delivery);
            world.assert_idle(2).await;
        }
    }
    let (result, _) = world.call(&misbehave).misbehave("nothing", 0).await;
    assert_eq!(result.as_deref(), Ok("done"));
}

#[tokio::test]
async fn an_instance_that_is_never_called_gives_its_slot_back() {
    let world = World::with(small(), 2).await;
    let nothing = world.load("nothing").await;
    for _ in 0..20 {
        let instance = world.call(&nothing).instantiate().await.map_err(|(error, _)| error).unwrap();
        assert_eq!(world.sandbox.free_instances(), 1);
        drop(instance);
    }
    // A future that was never polled holds its slot, and no longer.
    let (delivery, running) = world.call(&nothing).start(tool("noop", json!({}))).await;
    drop(running);
    assert!(delivery.await.is_err(), "a dropped call is never delivered");
    world.assert_idle(2).await;
}

#[tokio::test]
async fn a_call_whose_client_left_drops_what_it_waited_for() {
    let world = World::with(small(), 2).await;
    let probe = world.load("probe").await;
    let (gone, mut goes) = tokio::sync::mpsc::unbounded_channel();
    world.script.on_request(move |request| {
        let innkeeper_host::turn::ChildAsk::Complete(_, mut reply) = request.ask else {
            panic!("something else")
        };
        let gone = gone.clone();
        tokio::spawn(async move {
            reply.closed().await;
            gone.send(()).unwrap();
        });
    });
    let args = json!({"request": {"model": "m", "tools": [], "params": "{}", "messages": []}});
    let order = json!({"import": "completions.complete", "args": args, "place": "call"});
    let (_delivery, running) =
        world.call(&probe).grant(&[Permission::Completions]).start(tool("call", order)).await;
    assert!(tokio::time::timeout(Duration::from_millis(200), running).await.is_err());
    tokio::time::timeout(Duration::from_secs(2), goes.recv()).await.unwrap().unwrap();
    world.assert_idle(2).await;
}

#[tokio::test]
async fn a_sandbox_without_address_space_for_its_pool_allocates_on_demand() {
    let engine = EngineOptions { instances: 1_000_000, ..EngineOptions::default() };
    let world = World::with(SandboxOptions { engine, ..options() }, 2).await;
    let misbehave = world.load("misbehave").await;
    let (result, _) = world.call(&misbehave).misbehave("nothing", 0).await;
    assert_eq!(result.as_deref(), Ok("done"));
    let (result, _) = world.call(&misbehave).misbehave("allocate", 0).await;
    assert_eq!(result, Err(innkeeper_sandbox::CallError::Limit("memory")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_go_on_while_guests_spin() {
    let world = World::new().await;
    let misbehave = world.load("misbehave").await;
    let guests = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut spinning = Vec::new();
    for _ in 0..4 {
        let call = world.call(&misbehave).limit("fuel", u64::MAX / 4).limit("active", 60_000);
        let (delivery, running) = call.start(tool("misbehave", json!({"how": "loop"}))).await;
        spinning.push((delivery, guests.spawn(running)));
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..100 {
        let before = std::time::Instant::now();
        tokio::time::sleep(Duration::from_millis(1)).await;
        slowest = slowest.max(before.elapsed());
    }
    world.cancel.cancel();
    for (_, running) in spinning {
        assert_eq!(running.await.unwrap().outcome, innkeeper_model::receipt::Outcome::Cancelled);
    }
    guests.shutdown_background();
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
}
