//! Each limit of the `limits` block that concerns a call ends with its own name, in the error and in the receipt.

use std::sync::Arc;
use std::time::Duration;

use innkeeper_host::events::admit_streamed;
use innkeeper_host::turn::ChildAsk;
use innkeeper_model::authority::Authority;
use innkeeper_model::chat::NewChat;
use innkeeper_model::event::WireEvent;
use innkeeper_model::limits::Limits;
use innkeeper_model::page::PageRequest;
use innkeeper_model::receipt::{Outcome, Receipt};
use innkeeper_model::{Error, ErrorCode, Permission, PluginError, PluginId};
use innkeeper_sandbox::{Ask, CallError, EngineOptions, SandboxOptions};
use serde_json::{Value, json};

use crate::guests::Guest;
use crate::world::{World, json_of, options, order, read_chunks, request, tool};

/// The call has ended by a limit, and its receipt says which.
#[track_caller]
fn assert_limit<T: std::fmt::Debug>((result, receipt): (Result<T, CallError>, Receipt), limit: &'static str) {
    assert_eq!(result.unwrap_err(), CallError::Limit(limit));
    assert_eq!(receipt.outcome, Outcome::LimitExceeded { limit: limit.into() });
}

/// The guest has heard of a limit.
#[track_caller]
fn assert_quota(answer: &Value, limit: &str) {
    assert_eq!(answer["error"]["code"], "quota-exceeded", "{answer}");
    assert_eq!(answer["error"]["subject"], limit, "{answer}");
}

#[tokio::test]
async fn what_a_call_may_use_ends_it() {
    let world = World::new().await;
    let misbehave = world.load("misbehave").await;
    for (how, amount, limits, limit) in [
        ("loop", 0, [("fuel", 5_000_000), ("active", 60_000)], "fuel"),
        ("loop", 0, [("fuel", u64::MAX / 4), ("active", 100)], "active"),
        ("sleep", 0, [("active", 100), ("waiting", 60_000)], "active"),
        ("wait", 0, [("active", 100), ("waiting", 60_000)], "active"),
        ("allocate", 0, [("memory", 8 << 20), ("active", 60_000)], "memory"),
        ("open-streams", 0, [("handles", 500), ("fuel", 500_000_000)], "handles"),
        ("flood", 0, [("host-calls", 1_000), ("fuel", 500_000_000)], "host-calls"),
        ("huge-result", 3, [("transfer", 2 << 20), ("memory", 64 << 20)], "transfer"),
        ("huge-error", 3, [("transfer", 2 << 20), ("memory", 64 << 20)], "transfer"),
        ("print", 3, [("host-bytes", 1 << 20), ("fuel", 500_000_000)], "host-bytes"),
    ] {
        let call =
            limits.into_iter().fold(world.call(&misbehave), |call, (name, value)| call.limit(name, value));
        let (result, receipt) = call.misbehave(how, amount).await;
        assert_eq!(result, Err(CallError::Limit(limit)), "{how}");
        assert_eq!(receipt.outcome, Outcome::LimitExceeded { limit: limit.into() }, "{how}");
        assert_eq!(receipt.export, "tool.call", "{how}");
        assert!(receipt.delivered.fuel > 0, "{how}: {receipt:?}");
    }
    world.assert_idle(16).await;
}

#[tokio::test]
async fn fuel_grows_with_the_body() {
    let world = World::new().await;
    let calculator = world.load("calculator").await;
    let call = |bytes| {
        world.call(&calculator).limit("fuel", 1_000).limit("fuel-per-kib", 1_000_000).body_bytes(bytes)
    };
    assert_limit(call(0).tool("calculate", json!({"expression": "1+1"})).await, "fuel");
    call(4096).tool("calculate", json!({"expression": "1+1"})).await.0.unwrap();
}

#[tokio::test]
async fn a_table_counts_as_memory() {
    let world = World::new().await;
    let guest = Guest::calls("(drop (table.grow $table (ref.null func) (i32.const 15000)))")
        .with("(table $table 1 funcref)");
    let plugin = world.sandbox.load(&guest.build()).await.unwrap();
    let (result, receipt) = world.call(&plugin).tool("run", json!({})).await;
    result.unwrap();
    // Two pages of memory and 15,001 elements.
    assert!(receipt.delivered.peak_memory >= 2 * 65_536 + 15_001 * 8, "{receipt:?}");
    assert_limit(world.call(&plugin).limit("memory", 200_000).tool("run", json!({})).await, "memory");
}

#[tokio::test]
async fn a_second_memory_counts_like_the_first() {
    let world = World::new().await;
    let guest = Guest::calls("(drop (memory.grow $second (i32.const 20)))").with("(memory $second 1)");
    // Fields come before the memory that is exported, so the second one is the first by index.
    let plugin = world.sandbox.load(&guest.build()).await.unwrap();
    let (result, receipt) = world.call(&plugin).tool("run", json!({})).await;
    result.unwrap();
    assert_eq!(receipt.delivered.peak_memory, (2 + 1 + 20) * 65_536);
    assert_limit(world.call(&plugin).limit("memory", 20 * 65_536).tool("run", json!({})).await, "memory");
}

#[tokio::test]
async fn growth_beyond_what_a_module_declares_only_fails() {
    let world = World::new().await;
    // -1 is the answer of a growth that fails; the call goes on.
    let guest =
        Guest::calls("(if (i32.ne (memory.grow $small (i32.const 5)) (i32.const -1)) (then unreachable))")
            .with("(memory $small 1 2)");
    let plugin = world.sandbox.load(&guest.build()).await.unwrap();
    let (result, receipt) = world.call(&plugin).tool("run", json!({})).await;
    result.unwrap();
    assert_eq!(receipt.delivered.peak_memory, 3 * 65_536);
}

#[tokio::test]
async fn a_limit_above_the_pools_memory_still_ends_with_its_name() {
    let engine = EngineOptions { instances: 2, max_memory: 16 << 20, ..EngineOptions::default() };
    let world = World::with(SandboxOptions { engine, ..options() }, 2).await;
    let misbehave = world.load("misbehave").await;
    assert_limit(world.call(&misbehave).limit("memory", 64 << 20).misbehave("allocate", 0).await, "memory");
}

#[tokio::test]
async fn resources_of_wasi_are_limited() {
    let world = World::new().await;
    // Each is two for the host: when it is ready, and what waits for that.
    let guest = Guest {
        packages: &[
            "package wasi:io@0.2.6; interface poll { resource pollable; }",
            "package wasi:clocks@0.2.6; interface monotonic-clock { use wasi:io/poll@0.2.6.{pollable}; subscribe-duration: func(when: u64) -> pollable; }",
        ],
        imports: "import wasi:clocks/monotonic-clock@0.2.6;",
        fields: r#"(import "wasi:clocks/monotonic-clock@0.2.6" "subscribe-duration" (func $subscribe (param i64) (result i32)))"#.into(),
        ..Guest::calls(
            "(local.set $left (i32.const 900))
             (loop $again
               (drop (call $subscribe (i64.const 1000000000)))
               (local.set $left (i32.sub (local.get $left) (i32.const 1)))
               (br_if $again (local.get $left)))",
        )
    };
    let plugin = world.sandbox.load(&guest.local("$left i32").build()).await.unwrap();
    assert_limit(world.call(&plugin).limit("handles", 1_000).tool("run", json!({})).await, "handles");
    world.call(&plugin).limit("handles", 2_000).tool("run", json!({})).await.0.unwrap();
}

#[tokio::test]
async fn random_bytes_come_in_pieces_of_a_bounded_size() {
    let world = World::new().await;
    for (length, fits) in [(65_536, true), (65_537, false)] {
        let guest = Guest {
            packages: &[
                "package wasi:random@0.2.6; interface random { get-random-bytes: func(len: u64) -> list<u8>; }",
            ],
            imports: "import wasi:random/random@0.2.6;",
            fields:
                r#"(import "wasi:random/random@0.2.6" "get-random-bytes" (func $random (param i64 i32)))"#
                    .into(),
            ..Guest::calls(&format!("(call $random (i64.const {length}) (i32.const 256))"))
        };
        let plugin = world.sandbox.load(&guest.build()).await.unwrap();
        let (result, _) = world.call(&plugin).tool("run", json!({})).await;
        assert_eq!(result.is_ok(), fits, "{length}: {result:?}");
    }
}

#[tokio::test]
async fn what_the_host_keeps_for_streams_is_limited_besides_their_handles() {
    let world = World::new().await;
    // Each stream has two ends, which are the guest's handles, and a state between them, which is the host's.
    let guest = Guest {
        imports: "import innkeeper:plugin/files@0.1.0;",
        fields: r#"(import "innkeeper:plugin/files@0.1.0" "[stream-new-0]create" (func $new (result i64)))"#
            .into(),
        ..Guest::calls(
            "(local.set $left (i32.const 200))
             (loop $again
               (drop (call $new))
               (local.set $left (i32.sub (local.get $left) (i32.const 1)))
               (br_if $again (local.get $left)))",
        )
    };
    let plugin = world.sandbox.load(&guest.local("$left i32").build()).await.unwrap();
    assert_limit(world.call(&plugin).limit("handles", 500).tool("run", json!({})).await, "handles");
    world.call(&plugin).limit("handles", 700).tool("run", json!({})).await.0.unwrap();
}

#[tokio::test]
async fn bytes_that_one_instruction_moves_are_paid_for_and_do_not_outlive_the_time() {
    let world = World::new().await;
    for instruction in [
        "(memory.fill (i32.const 131072) (i32.const 7) (i32.const 16777216))",
        "(memory.copy (i32.const 131072) (i32.const 131073) (i32.const 16777216))",
    ] {
        let guest = Guest::calls(&format!(
            "(drop (memory.grow (i32.const 260))) (loop $again {instruction} (br $again))"
        ));
        let plugin = world.sandbox.load(&guest.build()).await.unwrap();
        let call = || world.call(&plugin).limit("memory", 64 << 20);
        let (result, receipt) =
            call().limit("fuel", 500_000_000).limit("active", 60_000).tool("run", json!({})).await;
        // With a unit for each instruction this would be millions of rounds.
        assert!(receipt.delivered.active_us < 20_000_000, "{instruction}: {receipt:?}");
        assert_limit((result, receipt), "fuel");
        let (result, receipt) =
            call().limit("fuel", u64::MAX / 4).limit("active", 200).tool("run", json!({})).await;
        assert!(receipt.delivered.active_us < 2_000_000, "{instruction}: {receipt:?}");
        assert_limit((result, receipt), "active");
    }
}

#[tokio::test]
async fn core_instances_are_limited() {
    let world = World::new().await;
    let probe = world.load("probe").await;
    let (error, receipt) = world.call(&probe).limit("instances", 1).instantiate().await.err().unwrap();
    assert_eq!(error, CallError::Limit("instances"));
    assert_eq!(receipt.outcome, Outcome::LimitExceeded { limit: "instances".into() });
    assert_eq!(receipt.export, "instantiate");
    world.assert_idle(16).await;
}

#[tokio::test]
async fn a_question_that_nobody_answers_ends_by_the_waiting_clock() {
    let world = World::new().await;
    let probe = world.load("probe").await;
    let ask = json!({"question": {"Confirmation": {"title": "t", "message": "m"}}});
    let call =
        world.call(&probe).grant(&[Permission::EventsCall]).limit("waiting", 100).limit("active", 60_000);
    let (result, receipt) = call.probe_with_receipt("events.call", ask).await;
    assert!(receipt.delivered.waiting_us >= 100_000, "{receipt:?}");
    assert_limit((result, receipt), "waiting");
}

#[tokio::test]
async fn host_calls_at_once_are_refused_beyond_the_limit() {
    let world = World::new().await;
    let probe = world.load("probe").await;
    let mut held = Vec::new();
    world.script.on_request(move |request| {
        let ChildAsk::Models(reply) = request.ask else { panic!("something else was asked") };
        held.push(reply);
        if held.len() == 8 {
            // Not at once: the eighth would be done before the ninth begins.
            let held = std::mem::take(&mut held);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(50)).await;
                held.into_iter().for_each(|reply| reply.send(Ok(Vec::new())).unwrap());
            });
        }
    });
    let call = world.call(&probe).grant(&[Permission::Completions]).limit("concurrent-host-calls", 8);
    let arguments = json!({"import": "completions.models", "place": "call", "times": 20});
    let answers = json_of(call.tool("call", arguments).await.0.unwrap());
    let (served, refused): (Vec<&Value>, Vec<&Value>) =
        answers.as_array().unwrap().iter().partition(|answer| answer.get("ok").is_some());
    assert_eq!((served.len(), refused.len()), (8, 12), "{answers}");
    refused.into_iter().for_each(|answer| assert_quota(answer, "concurrent-host-calls"));
}

#[tokio::test]
async fn settings_and_context_answer_while_other_host_calls_run() {
    // Imports that do not wait have no error to give; an empty answer would make a guard let everything pass.
    let world = World::new().await;
    let probe = world.load("probe").await;
    world.script.on_request(std::mem::forget);
    let call = world.call(&probe).grant(&[Permission::Completions]).limit("concurrent-host-calls", 1);
    let call = call.valves("{\"number\":12}").limit("waiting", 300);
    let ask = Ask::Tool {
        name: "call".into(),
        arguments: json!({"import": "completions.models", "place": "background"}).to_string(),
    };
    let mut invocation = call.instantiate().await.map_err(|(error, _)| error).unwrap();
    // The first call leaves a host call running in the background.
    invocation.hook(ask).await.unwrap();
    let answer = invocation.hook(tool("call", order("config.valves", json!({})))).await.unwrap();
    let innkeeper_sandbox::Answer::Tool(result) = answer else { panic!("{answer:?}") };
    assert_eq!(json_of(result)["ok"]["number"], 12);
}

#[tokio::test]
async fn bytes_through_host_calls_are_limited_both_ways() {
    let world = World::new().await;
    let probe = world.load("probe").await;
    let call =
        || world.call(&probe).grant(&[Permission::Kv, Permission::UsersRead]).limit("host-bytes", 500_000);
    let set = json!({"scope": "User", "key": "k", "size": 200_000});
    assert!(call().probe("kv.set", set).await["ok"].is_u64());
    let get = json!({"import": "kv.get", "args": {"scope": "User", "key": "k"}, "place": "call", "times": 3});
    assert_limit(call().tool("call", get).await, "host-bytes");
    // What a guest passes in counts even where it is refused.
    for (import, args) in [
        ("users.get", json!({"id": "x".repeat(600_000)})),
        ("users.list", json!({"name": "x".repeat(600_000), "page": {"limit": 1}})),
        ("kv.get", json!({"scope": "User", "key": "x".repeat(600_000)})),
        ("chats.get", json!({"id": "x".repeat(600_000)})),
        ("memories.add", json!({"content": "x".repeat(600_000)})),
        ("log.log", json!({"level": "Info", "message": "x".repeat(600_000)})),
        ("toolbox.call", json!({"plugin": "x", "name": "y", "arguments": {"z": "x".repeat(600_000)}})),
    ] {
        let (result, receipt) = call().probe_with_receipt(import, args).await;
        assert_eq!(result, Err(CallError::Limit("host-bytes")), "{import}");
        assert!(receipt.delivered.host_bytes.values().sum::<u64>() > 500_000, "{import}: {receipt:?}");
    }
}

#[tokio::test]
async fn one_answer_of_the_host_is_limited() {
    let world = World::new().await;
    let probe = world.load("probe").await;
    let call = || world.call(&probe).grant(&[Permission::Kv]);
    call().probe("kv.set", json!({"scope": "User", "key": "k", "size": 200_000})).await;
    let answer =
        call().limit("transfer", 100_000).probe("kv.get", json!({"scope": "User", "key": "k"})).await;
    assert_quota(&answer, "transfer");
    let mut call = world.call(&probe).limit("transfer", 100_000);
    call.context.metadata = format!("{{\"large\":\"{}\"}}", "x".repeat(200_000));
    assert_limit(call.probe_with_receipt("context.metadata", json!({})).await, "transfer");
    // The row is written by then.
    let content = "x".repeat(60_000);
    let call = world.call(&probe).grant(&[Permission::MemoriesWrite]).limit("transfer", 60_050);
    let answer = call.probe("memories.add", json!({ "content": content })).await;
    assert_quota(&answer, "transfer");
    assert_eq!(answer["error"]["may_have_happened"], true, "{answer}");
    assert!(
        !world
            .store
            .memories()
            .list(&Authority::Own(world.ada().clone()), &PageRequest::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

#[tokio::test]
async fn settings_that_do_not_fit_end_the_call() {
    // Empty ones in their place would switch a guard off.
    let world = World::new().await;
    let probe = world.load("probe").await;
    let valves = format!("{{\"large\":\"{}\"}}", "x".repeat(200_000));
    let call = world.call(&probe).limit("transfer", 100_000).valves(&valves);
    assert_limit(call.probe_with_receipt("config.valves", json!({})).await, "transfer");
}

#[tokio::test]
async fn vectors_of_as_many_texts_as_one_call_may_name_fit() {
    let world = World::new().await;
    let probe = world.load("probe").await;
    world.script.on_request(|request| {
        let ChildAsk::Embed { texts, reply, .. } = request.ask else { panic!("something else was asked") };
        reply.send(Ok(vec![vec![0.5; 700]; texts.len()])).unwrap();
    });
    // Room for 8 bytes a number, where it has 4.
    let call = world.call(&probe).grant(&[Permission::Completions]).limit("fuel", u64::MAX / 4);
    let call = call.limit("transfer", 8 * 700 * 256);
    let answer = call.probe("completions.embed", json!({"model": "m", "texts": vec!["t"; 256]})).await;
    assert_eq!(answer["ok"].as_array().map(Vec::len), Some(256), "{:.300}", answer.to_string());
}

#[tokio::test]
async fn an_event_inside_an_answer_takes_no_place_among_the_host_calls_that_wait() {
    let world = World::new().await;
    let probe = world.load("probe").await;
    world.script.on_request(std::mem::forget);
    let call = world.call(&probe).grant(&[Permission::Completions, Permission::EventsEmit]);
    let mut instance =
        call.limit("concurrent-host-calls", 1).instantiate().await.map_err(|(error, _)| error).unwrap();
    let waits = json!({"import": "completions.models", "place": "background"});
    instance.hook(tool("call", waits)).await.unwrap();
    // So that the one that waits has surely begun.
    instance.hook(tool("call", order("context.locale", json!({})))).await.unwrap();
    let refused = instance.hook(tool("call", order("completions.models", json!({})))).await.unwrap();
    let innkeeper_sandbox::Answer::Tool(refused) = refused else { panic!("{refused:?}") };
    assert_quota(&json_of(refused), "concurrent-host-calls");
    let event = WireEvent::new("status", json!({"description": "d"}));
    assert_eq!(admit_streamed(instance.call(), &event), Ok(true));
}

#[tokio::test]
async fn rows_and_their_bytes_are_limited() {
    let world = World::new().await;
    let probe = world.load("probe").await;
    for number in 0..5 {
        let chat = NewChat { title: format!("{number}{}", "t".repeat(500)), ..NewChat::default() };
        world.store.chats().create(world.ada(), &Authority::Own(world.ada().clone()), chat).await.unwrap();
    }
    let list = json!({"filter": {}, "page": {"limit": 10}});
    let call = || world.call(&probe).grant(&[Permission::ChatsRead]);
    assert_eq!(call().probe("chats.list", list.clone()).await["ok"]["items"].as_array().unwrap().len(), 5);
    let answer = call().limit("rows", 3).probe("chats.list", list.clone()).await;
    assert_quota(&answer, "rows");
    let answer = call().limit("row-bytes", 1_000).probe("chats.list", list).await;
    assert_quota(&answer, "row-bytes");
}

#[tokio::test]
async fn events_are_limited_in_number_and_size() {
    let world = World::new().await;
    let misbehave = world.load("misbehave").await;
    let call = || world.call(&misbehave).grant(&[Permission::EventsEmit]).limit("events", 5);
    for (how, amount, limit) in [("many-events", 20, "events"), ("huge-event", 2, "event-bytes")] {
        let (result, receipt) = call().misbehave(how, amount).await;
        match result {
            Err(CallError::Plugin(PluginError::Host(Error { code, subject, .. }))) => {
                assert_eq!((code, subject.as_deref()), (ErrorCode::QuotaExceeded, Some(limit)));
            }
            other => panic!("{how}: {other:?}"),
        }
        assert_eq!(receipt.outcome, Outcome::Failed);
        assert!(receipt.delivered.events <= 5, "{receipt:?}");
    }
    assert_eq!(world.audience.shown.lock().unwrap().len(), 5);
}

#[tokio::test]
async fn log_lines_beyond_the_limit_are_counted_and_dropped() {
    let world = World::new().await;
    let misbehave = world.load("misbehave").await;
    let (result, receipt) = world.call(&misbehave).limit("log-lines", 10).misbehave("logs", 25).await;
    result.unwrap();
    assert_eq!((receipt.delivered.log_lines, receipt.delivered.log_lines_dropped), (10, 15));
    let (result, receipt) = world.call(&misbehave).limit("log-lines", 10).misbehave("print", 1).await;
    result.unwrap();
    assert_eq!(receipt.delivered.log_lines, 10);
    assert!(receipt.delivered.log_lines_dropped > 100, "{receipt:?}");
}

#[tokio::test]
async fn chunks_are_limited_in_number_and_size() {
    let world = World::new().await;
    let misbehave = world.load("misbehave").await;
    for (order, chunks, limit) in [
        ("feed:many-chunks 0", 50, "chunks"),
        ("feed:huge-chunk 2", 50, "chunk-bytes"),
        ("feed:many-chunks 0", 1_000, "answer-bytes"),
    ] {
        // Each of these chunks is one digit or more.
        let call = world.call(&misbehave).limit("chunks", chunks).limit("answer-bytes", 2_000);
        let call = if limit == "chunk-bytes" { call.limit("answer-bytes", 64 << 20) } else { call };
        let (delivery, running) = call.start(Ask::Run(request(order))).await;
        let reading = async {
            let answer = delivery.await.unwrap();
            read_chunks(answer.unwrap()).await.unwrap().len()
        };
        let (receipt, read) = tokio::join!(running, reading);
        assert_eq!(receipt.outcome, Outcome::LimitExceeded { limit: limit.into() }, "{order}");
        assert!(
            read as u64 <= chunks && receipt.delivered.chunks <= chunks + 1,
            "{order}: {read} {receipt:?}"
        );
    }
    let text = innkeeper_model::chunk::Chunk::Text("chunk:many-chunks 100".into());
    let call = world.call(&misbehave).limit("chunks", 50);
    assert_limit(call.ask(Ask::Stream(vec![text])).await, "chunks");
}

#[tokio::test]
async fn completions_are_counted() {
    let world = World::new().await;
    let probe = world.load("probe").await;
    let ask = json!({"request": {
        "model": "m", "tools": [], "params": "{}",
        "messages": [{"role": "user", "content": {"Text": "hi"}, "tool_calls": []}],
    }});
    let arguments = json!({"import": "completions.complete", "args": ask, "place": "call", "times": 5});
    let call = world.call(&probe).grant(&[Permission::Completions]).limit("completions", 3);
    let (result, _) = call.tool("call", arguments).await;
    let answers = json_of(result.unwrap());
    let codes: Vec<&str> =
        answers.as_array().unwrap().iter().map(|answer| answer["error"]["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["unavailable", "unavailable", "unavailable", "quota-exceeded", "quota-exceeded"]);
    assert_quota(&answers[4], "completions");
}

#[tokio::test]
async fn private_storage_has_its_quota() {
    let world = World::new().await;
    let misbehave = world.load("misbehave").await;
    for (name, value) in [("kv-entries", 3), ("kv-bytes", 300 << 10)] {
        let (result, _) = world
            .call(&misbehave)
            .grant(&[Permission::Kv])
            .limit(name, value)
            .misbehave("many-keys", 10)
            .await;
        match result {
            Err(CallError::Plugin(PluginError::Host(error))) => {
                assert_eq!((error.code, error.subject.as_deref()), (ErrorCode::QuotaExceeded, Some(name)));
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_file_is_limited_and_leaves_nothing_behind() {
    let world = World::new().await;
    let misbehave = world.load("misbehave").await;
    let call = || world.call(&misbehave).grant(&[Permission::FilesWrite]);
    let (result, _) = call().limit("file-bytes", 1 << 20).misbehave("endless-file", 0).await;
    match result {
        Err(CallError::Plugin(PluginError::Host(error))) => {
            assert_eq!(error.subject.as_deref(), Some("file-bytes"))
        }
        other => panic!("{other:?}"),
    }
    assert_limit(call().limit("host-bytes", 1 << 20).misbehave("endless-file", 0).await, "host-bytes");
    let files =
        world.store.files().list(&Authority::Own(world.ada().clone()), None, &Default::default()).await;
    assert_eq!(files.unwrap().items, []);
    world.assert_idle(16).await;
}

#[tokio::test]
async fn calls_of_a_plugin_and_of_a_person_are_counted() {
    let world = World::new().await;
    let (one, two) = (PluginId::parse("one").unwrap(), PluginId::parse("two").unwrap());
    let limits = Arc::new(Limits { calls_per_plugin: 2, calls_per_user: 3, ..Limits::default() });
    let admit = async |plugin: &PluginId, user| {
        world.sandbox.admit(&[(plugin.clone(), Arc::clone(&limits))], user).await
    };
    let unavailable = |limit| Some(CallError::Unavailable { limit, retry_after: 1_000 });
    let held = [admit(&one, None).await.unwrap(), admit(&one, None).await.unwrap()];
    assert_eq!(admit(&one, None).await.err(), unavailable("calls-per-plugin"));
    assert_eq!(world.sandbox.admit_child(&one, None, &limits).err(), unavailable("calls-per-plugin"));
    drop(held);
    let ada = world.principal.user();
    let held =
        [admit(&one, ada).await.unwrap(), admit(&one, ada).await.unwrap(), admit(&two, ada).await.unwrap()];
    assert_eq!(admit(&two, ada).await.err(), unavailable("calls-per-user"));
    drop(held);
    assert_eq!(world.sandbox.free_instances(), 16);
    // A chain that fails half-way counts for nothing.
    let chain = vec![(two.clone(), Arc::clone(&limits)); 3];
    assert_eq!(world.sandbox.admit(&chain, ada).await.err(), unavailable("calls-per-plugin"));
    assert!(admit(&two, ada).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_queue_for_an_instance_is_bounded_in_length_and_time() {
    let engine = EngineOptions { instances: 3, ..EngineOptions::default() };
    let limits = Limits { queue: 1, queue_wait: 5_000, ..Limits::default() };
    let sandbox =
        innkeeper_sandbox::Sandbox::new(SandboxOptions { engine, limits, ..SandboxOptions::default() });
    let sandbox = sandbox.unwrap();
    let plugin = PluginId::parse("one").unwrap();
    let chain = |count| vec![(plugin.clone(), Arc::new(Limits::default())); count];
    let held = sandbox.admit(&chain(2), None).await.unwrap();
    let full = |limit| Some(CallError::Unavailable { limit, retry_after: 5_000 });
    let (one, two) = (chain(1), chain(1));
    let (waits, refused) = tokio::join!(sandbox.admit(&one, None), sandbox.admit(&two, None));
    assert_eq!(waits.err(), full("queue-wait"));
    assert_eq!(refused.err(), full("queue"));
    // More than there are at all would wait for ever.
    assert_eq!(sandbox.admit(&chain(3), None).await.err(), full("queue"));
    // A child takes from the reserve, or fails at once.
    let child = sandbox.admit_child(&plugin, None, &Limits::default()).unwrap();
    assert!(sandbox.admit_child(&plugin, None, &Limits::default()).is_err());
    let waiting = {
        let (sandbox, chain) = (sandbox.clone(), chain(2));
        tokio::spawn(async move { sandbox.admit(&chain, None).await.map(|permits| permits.len()) })
    };
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop((held, child));
    assert_eq!(waiting.await.unwrap(), Ok(2));
    assert_eq!(sandbox.free_instances(), 3);
}

/// Log lines of 4,000 fields without names and values, without end.
const EMPTY_FIELDS: &str = "
    (local.set $zeros (i32.mul (memory.grow (i32.const 1)) (i32.const 65536)))
    (loop $again
      (call $log (i32.const 0) (i32.const 0) (i32.const 0) (local.get $zeros) (i32.const 4000))
      (br $again))";

#[tokio::test]
async fn lists_of_nothing_are_not_free() {
    let world = World::new().await;
    let guest = Guest {
        imports: "import innkeeper:plugin/log@0.1.0;",
        fields: r#"(import "innkeeper:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32 i32 i32)))"#
            .into(),
        ..Guest::calls(EMPTY_FIELDS)
    };
    let plugin = world.sandbox.load(&guest.local("$zeros i32").build()).await.unwrap();
    let (result, receipt) = world.call(&plugin).limit("host-bytes", 1 << 20).tool("run", json!({})).await;
    assert_eq!(result.unwrap_err(), CallError::Limit("host-bytes"));
    assert!(receipt.delivered.host_calls["log"] < 20, "{receipt:?}");
}

#[tokio::test]
async fn events_that_are_refused_cost_what_they_carry() {
    let world = World::new().await;
    let misbehave = world.load("misbehave").await;
    let (result, receipt) =
        world.call(&misbehave).limit("host-bytes", 1 << 20).misbehave("huge-event", 2).await;
    // Without the grant; but it is weighed before anything else.
    assert_eq!(result.unwrap_err(), CallError::Limit("host-bytes"), "{receipt:?}");
}

#[tokio::test]
async fn a_guest_that_only_calls_the_system_neither_keeps_its_thread_nor_outlives_its_time() {
    let world = World::new().await;
    let misbehave = world.load("misbehave").await;
    let others = async {
        let mut turns = 0;
        loop {
            tokio::time::sleep(Duration::from_millis(1)).await;
            turns += 1;
            if turns == 20 {
                return;
            }
        }
    };
    let call = world.call(&misbehave).limit("fuel", u64::MAX / 4).limit("active", 2_000);
    let ended = call.misbehave("flood-random", 0);
    tokio::pin!(ended, others);
    // One thread: the others get on only where the guest lets go of it.
    let first = futures::future::select(others, ended).await;
    let futures::future::Either::Left(((), ended)) = first else { panic!("the guest kept its thread") };
    assert_limit(ended.await, "active");
}

#[tokio::test]
async fn the_stack_is_limited() {
    let world = World::with(
        SandboxOptions { engine: EngineOptions { stack: 64 << 10, ..options().engine }, ..options() },
        2,
    )
    .await;
    // About 150 KiB of frames: fits the default stack, and not this one.
    let guest = Guest::calls("(call $down (i32.const 1500))").with(
        "(func $down (param i32) (local i64 i64 i64 i64 i64 i64 i64 i64)
           (if (local.get 0) (then (call $down (i32.sub (local.get 0) (i32.const 1))))))",
    );
    let plugin = world.sandbox.load(&guest.build()).await.unwrap();
    assert_limit(world.call(&plugin).tool("run", json!({})).await, "stack");
    let world = World::new().await;
    let plugin = world.sandbox.load(&guest.build()).await.unwrap();
    world.call(&plugin).tool("run", json!({})).await.0.unwrap();
}
