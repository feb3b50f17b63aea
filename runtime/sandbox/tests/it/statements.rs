//! What host calls cost the database: a constant number of statements, and never a connection while guest code runs or waits.

use std::time::Duration;

use innkeeper_model::Permission;
use innkeeper_model::authority::Authority;
use innkeeper_model::chat_message::NewMessage;
use innkeeper_model::permission::Grant;
use innkeeper_store::Db;
use serde_json::json;

use crate::contract::{Rows, answer, cases};
use crate::world::{World, options, tool};

#[tokio::test]
async fn a_host_call_sends_as_many_statements_for_many_rows_as_for_few() {
    let world = World::new().await;
    let probe = world.load("probe").await;
    world.script.on_request(answer);
    *world.audience.answer.lock().unwrap() = Some(json!(true));
    let mut counts: Vec<Vec<(&str, u64)>> = Vec::new();
    let mut ids = vec![world.ada().to_string()];
    for people in [0, 20] {
        for number in 0..people {
            let name = format!("Person{number}");
            ids.push(world.person(&name, innkeeper_model::principal::Role::User).await.to_string());
            Rows::of(&world.store, world.ada()).await;
        }
        let rows = Rows::of(&world.store, world.ada()).await;
        let own = Authority::Own(world.ada().clone());
        for _ in 0..people {
            let message = NewMessage { role: "user".into(), content: "more".into(), ..NewMessage::default() };
            world.store.chat_messages().append(&own, &rows.chat.as_str().into(), message).await.unwrap();
        }
        let rows = Rows {
            chat_version: world
                .store
                .chats()
                .get(&own, &rows.chat.as_str().into())
                .await
                .unwrap()
                .unwrap()
                .version,
            ..rows
        };
        let mut seen = Vec::new();
        for case in cases(&rows) {
            let mut args = case.args.clone();
            if case.import == "users.get-many" {
                args["ids"] = json!(ids);
            }
            if case.import == "kv.put-if" {
                args["key"] = json!(format!("key{people}"));
            }
            if case.import == "users.list" {
                args["name"] = json!(null);
            }
            let listed = Grant { event_types: vec!["listed".into()], ..Grant::default() };
            let call = world.call(&probe).grant(Permission::ALL).grant_as(Permission::EventsOther, listed);
            let before = world.store.statements();
            let answer = call.probe(case.import, args).await;
            // There is no such blob; that it is looked for is what is counted.
            let expected = if case.import == "context.read-blob" { "error" } else { "ok" };
            assert!(answer.get(expected).is_some(), "{}: {answer}", case.import);
            seen.push((case.import, world.store.statements() - before));
        }
        counts.push(seen);
    }
    assert_eq!(counts[0], counts[1]);
    for (import, count) in &counts[0] {
        let reads = ["get", "get-many", "list", "me", "branch", "keys"];
        let most = if reads.iter().any(|read| import.ends_with(&format!(".{read}"))) { 1 } else { 8 };
        assert!(*count <= most, "{import}: {count}");
        let without = ["context.", "log.", "completions.", "toolbox.", "events."];
        if without.iter().any(|prefix| import.starts_with(prefix)) {
            assert_eq!(*count, 0, "{import}");
        }
    }
}

#[tokio::test]
async fn nothing_of_the_database_is_held_while_a_guest_waits_or_computes() {
    // With one connection, whoever held it would keep everybody else out.
    let world = World::with(options(), 1).await;
    let probe = world.load("probe").await;
    let misbehave = world.load("misbehave").await;
    let rows = Rows::of(&world.store, world.ada()).await;
    let question = json!({"question": {"Confirmation": {"title": "t", "message": "m"}}});
    let grants = [Permission::EventsCall, Permission::FilesRead, Permission::FilesWrite, Permission::Kv];
    let mut running = Vec::new();
    for ask in [
        tool("call", json!({"import": "events.call", "args": question, "place": "call"})),
        tool("call", json!({"import": "events.call", "args": question, "place": "background"})),
        // A file that is being written, and one that is open for reading.
        tool(
            "call",
            json!({
                "import": "files.create", "place": "call",
                "args": {"file": {"name": "n", "content_type": "text/plain"}, "size": 100_000, "piece": 10},
            }),
        ),
        tool(
            "call",
            json!({"import": "files.read", "args": {"id": rows.file, "stop_after": 1}, "place": "call"}),
        ),
    ] {
        let (delivery, run) = world.call(&probe).grant(&grants).start(ask).await;
        running.push((delivery, tokio::spawn(run)));
    }
    let endless = tool("misbehave", json!({"how": "endless-file"}));
    let call =
        world.call(&misbehave).grant(&grants).limit("file-bytes", 1 << 40).limit("host-bytes", 1 << 40);
    let (delivery, run) = call.start(endless).await;
    running.push((delivery, tokio::spawn(run)));
    for _ in 0..20 {
        let users = world.store.users();
        let read = users.find(world.ada());
        let found = tokio::time::timeout(Duration::from_secs(2), read).await.expect("a connection is free");
        assert!(found.unwrap().is_some());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.cancel.cancel();
    for (_, run) in running {
        run.await.unwrap();
    }
    world.assert_idle(16).await;
}

#[tokio::test]
async fn a_plugin_that_floods_the_database_keeps_nobody_else_out() {
    let world = World::with(options(), 8).await;
    let probe = world.load("probe").await;
    // Nobody else can write, so that whatever the plugin takes stays taken.
    let lock = Db::new(world.store.pool().clone()).begin().await.unwrap();
    let mut running = Vec::new();
    for _ in 0..4 {
        let reads = json!({"import": "kv.increment", "args": {"scope": "User", "key": "n", "by": 1}, "place": "call", "times": 30});
        let (delivery, run) = world.call(&probe).grant(&[Permission::Kv]).start(tool("call", reads)).await;
        running.push((delivery, tokio::spawn(run)));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    // A quarter of eight, however many calls there are and however much each asks for at once; and the lock.
    assert_eq!(world.store.pool().in_use(), 2 + 1);
    let users = world.store.users();
    let read = users.find(world.ada());
    tokio::time::timeout(Duration::from_secs(2), read).await.expect("a connection is free").unwrap();
    lock.rollback().await.unwrap();
    for (_, run) in &mut running {
        run.await.unwrap();
    }
    for (delivery, _) in running {
        assert!(delivery.await.unwrap().is_ok());
    }
}

#[tokio::test]
async fn host_calls_that_a_guest_drops_half_way_leave_nothing_behind() {
    let world = World::with(options(), 2).await;
    let misbehave = world.load("misbehave").await;
    let (result, receipt) =
        world.call(&misbehave).grant(&[Permission::Kv]).misbehave("drop-calls", 100).await;
    assert_eq!(result.as_deref(), Ok("done"));
    assert!(receipt.delivered.host_calls["kv"] >= 100, "{receipt:?}");
    world.assert_idle(16).await;
    let (result, _) = world.call(&misbehave).grant(&[Permission::Kv]).misbehave("flood-at-once", 30).await;
    assert_eq!(result.as_deref(), Ok("none of 30 refused"));
    let probe = world.load("probe").await;
    let args = json!({"file": {"name": "n", "content_type": "text/plain"}, "size": 100_000, "piece": 1_000, "stop_after": 50_000});
    let answer = world.call(&probe).grant(&[Permission::FilesWrite]).probe("files.create", args).await;
    assert!(answer["ok"]["dropped_after"].is_number(), "{answer}");
    let files =
        world.store.files().list(&Authority::Own(world.ada().clone()), None, &Default::default()).await;
    assert_eq!(files.unwrap().items, []);
    world.assert_idle(16).await;
}
