//! Guests that leave host calls under way and do something else: whatever became of the guest, the database is free for others.

use std::time::Duration;

use innkeeper_host::turn::ChildAsk;
use innkeeper_model::kv::{KvEntry, KvQuota, KvScope};
use innkeeper_model::receipt::Outcome;
use innkeeper_model::{Permission, PluginId};
use innkeeper_sandbox::{Answer, CallError, Invocation};
use serde_json::json;

use crate::contract::Rows;
use crate::world::{World, json_of, order, tool};

/// So many writes are under way that one of them is in its transaction at any time.
const WRITES: u64 = 20;

fn counter(place: &str) -> innkeeper_sandbox::Ask {
    let args = json!({"scope": "User", "key": "n", "by": 1});
    tool("call", json!({"import": "kv.increment", "args": args, "place": place, "times": WRITES}))
}

async fn kept(world: &World) -> Invocation {
    let probe = world.load("probe").await;
    let call = world.call(&probe).grant(&[Permission::Kv, Permission::Completions]);
    let call = call.limit("active", 60_000).limit("hook", 60_000).limit("fuel", u64::MAX / 4);
    call.instantiate().await.map_err(|(error, _)| error).unwrap()
}

/// Whoever asks for models gets none, once host calls that were under way have had a moment.
fn models_after_a_moment(world: &World) {
    world.script.on_request(|request| {
        let ChildAsk::Models(reply) = request.ask else { panic!("something else was asked") };
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(3)).await;
            // Nobody listens where the guest has gone.
            let _ = reply.send(Ok(Vec::new()));
        });
    });
}

/// Another plugin reads and writes, at the latest in two seconds.
async fn another_writer_finishes(world: &World, when: &str) {
    let scope = KvScope::Shared(PluginId::parse("other").unwrap());
    let quota = KvQuota { entries: 10, bytes: 1_000 };
    let kv = world.store.kv();
    let write = async {
        kv.set(&scope, "k", b"v", None, &quota).await.unwrap();
        kv.get(&scope, "k").await.unwrap()
    };
    let done = tokio::time::timeout(Duration::from_secs(2), write).await;
    let Ok(Some(KvEntry { .. })) = done else { panic!("{when}, others wait for the database: {done:?}") };
}

/// What the guest counted.
async fn counted(world: &World) -> Option<String> {
    let scope = KvScope::User(PluginId::parse("guest").unwrap(), world.ada().clone());
    let entry = world.store.kv().get(&scope, "n").await.unwrap();
    entry.map(|entry| String::from_utf8(entry.value).unwrap())
}

/// Waits until all of the guest's writes are done, and nothing is held for them.
async fn assert_written(world: &World) {
    for _ in 0..500 {
        if counted(world).await == Some(WRITES.to_string()) && world.store.pool().in_use() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("written: {:?}, connections in use: {}", counted(world).await, world.store.pool().in_use());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_is_kept_with_writes_under_way_holds_nothing() {
    for world in World::on_each_backend().await {
        models_after_a_moment(&world);
        let mut kept = kept(&world).await;
        kept.hook(counter("background")).await.unwrap();
        // Drives what is under way for a moment, then stops in the middle of it.
        let drive = || tool("call", order("completions.models", json!({})));
        kept.hook(drive()).await.unwrap();
        another_writer_finishes(&world, "while the instance is kept").await;
        assert_written(&world).await;
        another_writer_finishes(&world, "when all is written").await;
        // The guest hears of it when it goes on.
        kept.hook(drive()).await.unwrap();
        let receipt = kept.finish().await.0;
        assert_eq!(receipt.outcome, Outcome::Ok, "{receipt:?}");
        assert_eq!(receipt.delivered.host_calls["kv"], WRITES, "{receipt:?}");
        world.assert_idle(16).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_spins_with_writes_under_way_holds_nothing() {
    for world in World::on_each_backend().await {
        models_after_a_moment(&world);
        let mut spinning = kept(&world).await;
        spinning.hook(counter("background")).await.unwrap();
        let spin = tokio::spawn(async move {
            let ended = spinning.hook(tool("call", order("spin", json!({})))).await;
            (spinning, ended.map(drop))
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
        for _ in 0..10 {
            another_writer_finishes(&world, "while the guest spins").await;
        }
        assert_written(&world).await;
        assert!(!spin.is_finished(), "the guest spun all the time");
        world.cancel.cancel();
        let (spinning, ended) = spin.await.unwrap();
        assert_eq!(ended, Err(CallError::Cancelled));
        drop(spinning);
        world.assert_idle(16).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_of_a_guest_that_is_gone_stop_and_leave_whole_ones() {
    for world in World::on_each_backend().await {
        let mut kept = kept(&world).await;
        kept.hook(counter("background")).await.unwrap();
        drop(kept);
        world.assert_idle(16).await;
        another_writer_finishes(&world, "after the instance").await;
        let left = counted(&world).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(counted(&world).await, left, "nothing goes on");
    }
}

#[tokio::test]
async fn a_file_that_is_being_read_or_written_by_a_kept_instance_holds_nothing() {
    // With one connection, whoever held it would keep everybody else out.
    let world = World::with(crate::world::options(), 1).await;
    models_after_a_moment(&world);
    let rows = Rows::of(&world.store, world.ada()).await;
    let probe = world.load("probe").await;
    let call =
        world.call(&probe).grant(&[Permission::FilesRead, Permission::FilesWrite, Permission::Completions]);
    let mut kept = call.instantiate().await.map_err(|(error, _)| error).unwrap();
    for (import, args) in [
        ("files.read", json!({"id": rows.file, "stop_after": 1})),
        (
            "files.create",
            json!({"file": {"name": "n", "content_type": "text/plain"}, "size": 100_000, "piece": 100}),
        ),
    ] {
        let ask = json!({"import": import, "args": args, "place": "background", "times": 8});
        kept.hook(tool("call", ask)).await.unwrap();
        another_writer_finishes(&world, import).await;
        kept.hook(tool("call", order("completions.models", json!({})))).await.unwrap();
        another_writer_finishes(&world, import).await;
    }
    drop(kept.finish().await);
    world.assert_idle(16).await;
}

#[tokio::test]
async fn a_client_that_reads_slowly_costs_a_guest_no_active_time() {
    let world = World::new().await;
    let probe = world.load("probe").await;
    *world.audience.pace.lock().unwrap() = Duration::from_millis(400);
    let status = json!({"event": {"Status": {"description": "d", "done": false, "hidden": false}}});
    let call = world.call(&probe).grant(&[Permission::EventsEmit]).limit("active", 300);
    let (answer, receipt) = call.probe_with_receipt("events.emit", status.clone()).await;
    assert_eq!(answer.unwrap()["ok"], json!(null));
    assert!(receipt.delivered.waiting_us >= 400_000, "{receipt:?}");
    // It is waited for no longer than for a person.
    let call = world.call(&probe).grant(&[Permission::EventsEmit]).limit("waiting", 100);
    let (answer, _) = call.probe_with_receipt("events.emit", status).await;
    assert_eq!(answer, Err(CallError::Limit("waiting")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_instance_reads_what_it_wrote() {
    let world = World::new().await;
    let mut kept = kept(&world).await;
    kept.hook(counter("call")).await.unwrap();
    let Answer::Tool(read) =
        kept.hook(tool("call", order("kv.get", json!({"scope": "User", "key": "n"})))).await.unwrap()
    else {
        panic!("another kind of answer")
    };
    let value = json_of(read)["ok"]["value"].clone();
    let digits: Vec<u8> = serde_json::from_value(value).unwrap();
    assert_eq!(digits, WRITES.to_string().into_bytes());
}
