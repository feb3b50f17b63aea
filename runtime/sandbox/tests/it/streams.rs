//! Streams between guest and host, and the fuel and time of what a guest asks of others.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use innkeeper_host::turn::ChildAsk;
use innkeeper_model::Permission;
use innkeeper_model::chunk::Chunk;
use innkeeper_model::receipt::Outcome;
use innkeeper_model::tool::ToolResult;
use innkeeper_sandbox::CallError;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::world::{World, json_of};

fn completion(more: Value) -> Value {
    let mut args = json!({"request": {"model": "m", "tools": [], "params": "{}", "messages": []}});
    args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    args
}

fn finish() -> Chunk {
    Chunk::Finish { choice: 0, reason: "stop".into(), usage: None, extra: None }
}

#[tokio::test]
async fn bytes_pass_both_ways_unchanged() {
    let world = World::new().await;
    let probe = world.load("probe").await;
    let call = || world.call(&probe).grant(&[Permission::FilesRead, Permission::FilesWrite]);
    for size in [0, 1, 65_536, 300_001] {
        let text = "0123456789".repeat(size / 10 + 1)[..size].to_owned();
        let args = json!({"file": {"name": "n", "content_type": "text/plain"}, "data": text, "piece": 7_919});
        let made = call().probe("files.create", args).await;
        assert_eq!(made["ok"]["size"], size, "{made}");
        let read = call().probe("files.read", json!({"id": made["ok"]["id"]})).await;
        assert_eq!((&read["ok"]["size"], &read["ok"]["end"]), (&json!(size), &json!("whole")));
        assert_eq!(read["ok"]["text"].as_str().unwrap(), text);
        let (answer, receipt) =
            call().probe_with_receipt("files.read", json!({"id": made["ok"]["id"], "stop_after": 1})).await;
        assert!(answer.is_ok() && receipt.outcome == Outcome::Ok);
    }
    world.assert_idle(16).await;
}

#[tokio::test]
async fn a_file_that_is_too_long_for_the_call_ends_with_an_error_beside_its_stream() {
    let world = World::new().await;
    let probe = world.load("probe").await;
    let call = || world.call(&probe).grant(&[Permission::FilesRead, Permission::FilesWrite]);
    let args = json!({"file": {"name": "n", "content_type": "text/plain"}, "size": 300_000});
    let made = call().probe("files.create", args).await;
    let read = call().limit("host-bytes", 200_000).probe("files.read", json!({"id": made["ok"]["id"]})).await;
    assert_eq!(read["ok"]["end"]["error"]["subject"], "host-bytes", "{:.300}", read.to_string());
}

#[tokio::test]
async fn a_blob_of_the_turn_is_read_by_its_id_alone() {
    let world = World::new().await;
    let probe = world.load("probe").await;
    let call = world.call(&probe);
    let uri = format!("data:image/png;base64,{}", "A".repeat(200_000));
    let blob = call.blobs.keep(uri.clone());
    let read = call.probe("context.read-blob", json!({"id": blob.id})).await;
    assert_eq!(read["ok"]["text"], uri);
    // The same id means nothing in another turn.
    let other = world.call(&probe).probe("context.read-blob", json!({"id": blob.id})).await;
    assert_eq!(other["error"]["code"], "invalid", "{other}");
}

#[tokio::test]
async fn waiting_for_a_model_does_not_use_up_the_active_time() {
    let world = World::new().await;
    let probe = world.load("probe").await;
    world.script.on_request(|request| {
        let ChildAsk::Stream(_, reply) = request.ask else { panic!("something else was asked") };
        let (sender, receiver) = mpsc::channel(1);
        reply.send(Ok(receiver)).unwrap();
        tokio::spawn(async move {
            for chunk in [Chunk::Text("slow".into()), Chunk::Text("slower".into()), finish()] {
                tokio::time::sleep(Duration::from_millis(250)).await;
                let _ = sender.send(chunk).await;
            }
        });
    });
    let call = || world.call(&probe).grant(&[Permission::Completions]).limit("active", 300);
    let (answer, receipt) = call().probe_with_receipt("completions.stream", completion(json!({}))).await;
    assert_eq!(answer.unwrap()["ok"]["ended"], true);
    assert!(receipt.delivered.waiting_us > 600_000, "{receipt:?}");
    let (answer, _) =
        call().limit("waiting", 200).probe_with_receipt("completions.stream", completion(json!({}))).await;
    assert_eq!(answer.unwrap_err(), CallError::Limit("waiting"));
}

#[tokio::test]
async fn chunks_of_a_model_count_as_bytes_and_an_open_stream_as_a_host_call() {
    let world = World::new().await;
    let probe = world.load("probe").await;
    world.script.on_request(|request| {
        let ChildAsk::Stream(_, reply) = request.ask else { panic!("something else was asked") };
        let (sender, receiver) = mpsc::channel(100);
        for _ in 0..99 {
            sender.try_send(Chunk::Text("x".repeat(10_000))).unwrap();
        }
        sender.try_send(finish()).unwrap();
        reply.send(Ok(receiver)).unwrap();
    });
    let call = || world.call(&probe).grant(&[Permission::Completions]);
    let (answer, receipt) = call().probe_with_receipt("completions.stream", completion(json!({}))).await;
    assert_eq!(answer.unwrap()["ok"]["ended"], true);
    assert!(receipt.delivered.host_bytes["completions"] > 990_000, "{receipt:?}");
    let call_small = call().limit("host-bytes", 500_000);
    let (answer, _) = call_small.probe_with_receipt("completions.stream", completion(json!({}))).await;
    assert_eq!(answer.unwrap_err(), CallError::Limit("host-bytes"));
}

#[tokio::test]
async fn children_side_by_side_never_have_more_fuel_than_their_caller() {
    let world = World::new().await;
    let probe = world.load("probe").await;
    let lent: Arc<Mutex<Vec<u64>>> = Arc::default();
    let seen = Arc::clone(&lent);
    world.script.on_request(move |request| {
        let used = request.lent.take(u64::MAX);
        seen.lock().unwrap().push(used);
        let ChildAsk::Tool { reply, .. } = request.ask else { panic!("something else was asked") };
        // Answered later, so that all run at once, and each uses all it was given.
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            reply.send(Ok(ToolResult::default())).unwrap();
        });
    });
    let fuel = 400_000_000;
    let arguments = json!({"import": "toolbox.call", "args": {"plugin": "other", "name": "n", "arguments": {}}, "place": "call", "times": 8});
    let call = world.call(&probe).grant(&[Permission::Toolbox]).limit("fuel", fuel);
    let (result, receipt) = call.tool("call", arguments).await;
    let lent = lent.lock().unwrap().clone();
    assert_eq!(lent.len(), 8);
    assert!(lent[0] > fuel / 2, "{lent:?}");
    assert!(lent.iter().sum::<u64>() < fuel, "{lent:?}");
    assert!(
        receipt.delivered.fuel >= lent.iter().sum::<u64>(),
        "what children used is the caller's: {receipt:?}"
    );
    // What was left for the caller itself may or may not be enough to say so.
    assert!(result.is_ok() || result == Err(CallError::Limit("fuel")));
}

#[tokio::test]
async fn fuel_that_a_child_left_over_comes_back() {
    let world = World::new().await;
    let probe = world.load("probe").await;
    let fuel = 400_000_000;
    let call =
        || world.call(&probe).grant(&[Permission::Toolbox, Permission::Completions]).limit("fuel", fuel);
    world.script.on_request(|request| match request.ask {
        ChildAsk::Tool { reply, .. } => {
            request.lent.take(1_000);
            reply.send(Ok(ToolResult::default())).unwrap();
        }
        ChildAsk::Stream(_, reply) => {
            let (sender, receiver) = mpsc::channel(1);
            sender.try_send(finish()).unwrap();
            request.lent.take(1_000);
            reply.send(Ok(receiver)).unwrap();
        }
        _ => panic!("something else was asked"),
    });
    let tool = json!({"plugin": "other", "name": "n", "arguments": {}});
    for (import, args) in [("toolbox.call", tool), ("completions.stream", completion(json!({})))] {
        let (answer, receipt) = call().probe_with_receipt(import, args).await;
        assert!(answer.unwrap().get("ok").is_some(), "{import}");
        assert!(receipt.delivered.fuel < fuel / 4, "{import}: {receipt:?}");
    }
    // What a child has not given back when the answer ends counts as used.
    world.script.on_request(|request| {
        request.lent.take(u64::MAX);
        let ChildAsk::Stream(_, reply) = request.ask else { panic!("something else was asked") };
        let (sender, receiver) = mpsc::channel(1);
        sender.try_send(finish()).unwrap();
        reply.send(Ok(receiver)).unwrap();
    });
    let (_, receipt) = call().probe_with_receipt("completions.stream", completion(json!({}))).await;
    assert!(receipt.delivered.fuel > fuel / 2, "{receipt:?}");
}

#[tokio::test]
async fn fuel_that_was_lent_before_the_answer_is_not_for_background_work() {
    let world = World::new().await;
    let probe = world.load("probe").await;
    world.script.on_request(|request| {
        let ChildAsk::Tool { reply, .. } = request.ask else { panic!("something else was asked") };
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            request.lent.take(1_000);
            reply.send(Ok(ToolResult::default())).unwrap();
        });
    });
    let fuel = 400_000_000;
    // It asks before its result is delivered, and hears the answer in the background.
    let tool = json!({"plugin": "other", "name": "n", "arguments": {}});
    let arguments = json!({"import": "toolbox.call", "args": tool, "place": "background"});
    let call = world.call(&probe).grant(&[Permission::Toolbox]).limit("fuel", fuel);
    let (result, receipt) = call.limit("background-fuel", 1_000).tool("call", arguments).await;
    assert!(result.is_ok());
    let background = receipt.background.unwrap();
    assert_eq!(background.outcome, Outcome::LimitExceeded { limit: "background-fuel".into() });
    assert!(background.used.fuel <= 1_000, "{background:?}");
    assert!(
        receipt.delivered.fuel < fuel / 4,
        "the answer did not cost what came back: {:?}",
        receipt.delivered
    );
}

#[tokio::test]
async fn a_stream_that_the_guest_drops_ends_the_model_behind_it() {
    let world = World::new().await;
    let probe = world.load("probe").await;
    let (ended, mut endings) = mpsc::unbounded_channel();
    world.script.on_request(move |request| {
        let ChildAsk::Stream(_, reply) = request.ask else { panic!("something else was asked") };
        let (sender, receiver) = mpsc::channel(1);
        reply.send(Ok(receiver)).unwrap();
        let ended = ended.clone();
        tokio::spawn(async move {
            while sender.send(Chunk::Text("more".into())).await.is_ok() {}
            ended.send(()).unwrap();
        });
    });
    let call = world.call(&probe).grant(&[Permission::Completions]);
    let arguments = json!({"import": "completions.stream", "args": completion(json!({"stop_after": 3})), "place": "call"});
    let read = json_of(call.tool("call", arguments).await.0.unwrap());
    assert_eq!(read["ok"]["chunks"].as_array().unwrap().len(), 3, "{read}");
    tokio::time::timeout(Duration::from_secs(2), endings.recv()).await.unwrap().unwrap();
    world.assert_idle(16).await;
}
