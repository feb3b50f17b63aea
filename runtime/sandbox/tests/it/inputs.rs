//! Hostile arguments to every import: each is answered, none reaches more, none ends as a failure of the host.

use innkeeper_model::authority::Authority;
use innkeeper_model::permission::{Grant, Scope};
use innkeeper_model::principal::Role;
use innkeeper_model::{Permission, Principal};
use innkeeper_sandbox::{Answer, CallError, LoadedPlugin};
use serde_json::{Value, json};
use std::sync::Arc;

use crate::contract::{Rows, answer, cases};
use crate::world::{World, json_of, tool};

/// Texts that programs have tripped over.
fn hostile() -> Vec<String> {
    vec![
        String::new(),
        "\0".into(),
        "a\0b".into(),
        "' OR 1=1; DROP TABLE chat; --".into(),
        "%_\\".into(),
        "../../../etc/passwd".into(),
        "\u{202e}\u{1b}[31m\r\nforged".into(),
        "{\"deep\":".repeat(2_000) + &"[".repeat(2_000),
        "x".repeat(1 << 20),
        "ä".repeat(300),
    ]
}

/// Names of cases and scopes, which a guest of another language could not even send.
const CLOSED: &[&str] = &["scope", "level"];

/// The arguments with one text after the other replaced.
fn mutations(args: &Value, by: &str) -> Vec<Value> {
    match args {
        Value::String(_) => vec![by.into()],
        Value::Array(items) => (0..items.len())
            .flat_map(|index| mutations(&items[index], by).into_iter().map(move |item| (index, item)))
            .map(|(index, item)| {
                let mut items = items.clone();
                items[index] = item;
                items.into()
            })
            .collect(),
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| !CLOSED.contains(&name.as_str()))
            .flat_map(|(name, value)| mutations(value, by).into_iter().map(move |item| (name.clone(), item)))
            .map(|(name, item)| {
                let mut fields = fields.clone();
                fields.insert(name, item);
                fields.into()
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// One instance for many orders; the next one where it was retired.
struct Guest<'a> {
    world: &'a World,
    probe: Arc<LoadedPlugin>,
    principal: Principal,
    instance: Option<innkeeper_sandbox::Invocation>,
}

impl Guest<'_> {
    async fn order(&mut self, import: &str, args: Value) -> Value {
        if self.instance.is_none() {
            let grant = Grant { scope: Scope::All, event_types: vec!["listed".into()], ..Grant::default() };
            let call = Permission::ALL.iter().filter(|permission| **permission != Permission::ActAsAdmin);
            let call = call.fold(self.world.call(&self.probe), |call, &permission| {
                call.grant_as(permission, grant.clone())
            });
            let call = ["host-bytes", "fuel", "log-lines", "completions", "rows", "row-bytes", "active"]
                .into_iter()
                .fold(call, |call, limit| call.limit(limit, u64::MAX / 4));
            let call = call.limit("memory", 256 << 20).limit("hook", 60_000).limit("transfer", 64 << 20);
            let call = call.principal(self.principal.clone());
            self.instance = Some(call.instantiate().await.map_err(|(error, _)| error).unwrap());
        }
        let order = json!({"import": import, "args": args, "place": "call"});
        let instance = self.instance.as_mut().unwrap();
        match instance.hook(tool("call", order)).await {
            Ok(Answer::Tool(result)) => json_of(result),
            Ok(other) => panic!("{other:?}"),
            Err(error) => panic!("{import} {:.200}: {error}", args.to_string()),
        }
    }
}

async fn guest(world: &World) -> Guest<'_> {
    world.script.on_request(answer);
    *world.audience.answer.lock().unwrap() = Some(json!(true));
    Guest { world, probe: world.load("probe").await, principal: world.principal.clone(), instance: None }
}

#[tokio::test]
async fn hostile_texts_are_answered_and_reach_nothing() {
    for world in World::on_each_backend().await {
        let bob = world.person("Bob", Role::User).await;
        let of_bob = Rows::of(&world.store, &bob).await;
        let rows = Rows::of(&world.store, world.ada()).await;
        let mut guest = guest(&world).await;
        for text in hostile() {
            for case in cases(&rows) {
                for args in mutations(&case.args, &text) {
                    let answer = guest.order(case.import, args.clone()).await;
                    let shown =
                        || format!("{} {:.200} → {:.300}", case.import, args.to_string(), answer.to_string());
                    if let Some(error) = answer.get("error") {
                        let code = error["code"].as_str().unwrap();
                        assert!(
                            ["invalid", "denied", "quota-exceeded", "conflict"].contains(&code),
                            "{}",
                            shown()
                        );
                        let message = error["message"].as_str().unwrap();
                        assert!(message.len() < 4_096 && !message.contains(['\0', '\u{1b}']), "{}", shown());
                    } else {
                        assert!(answer.get("ok").is_some() || answer.get("bad").is_some(), "{}", shown());
                    }
                }
            }
        }
        let own = Authority::Own(bob);
        let kept = world.store.chats().get(&own, &of_bob.chat.as_str().into()).await.unwrap().unwrap();
        assert_eq!(kept.version, of_bob.chat_version);
        assert!(world.store.memories().get(&own, &of_bob.memory.as_str().into()).await.unwrap().is_some());
        drop(guest);
        world.assert_idle(16).await;
    }
}

#[tokio::test]
async fn a_forged_cursor_is_refused_and_one_from_another_list_shows_nothing_foreign() {
    for world in World::on_each_backend().await {
        let bob = world.person("Bob", Role::User).await;
        let of_bob = Rows::of(&world.store, &bob).await;
        for _ in 0..3 {
            Rows::of(&world.store, world.ada()).await;
        }
        let mut guest = guest(&world).await;
        let lists = [
            ("users.list", json!({})),
            ("chats.list", json!({"filter": {}})),
            ("chat-messages.list", json!({"chat": of_bob.chat})),
            ("files.list", json!({})),
            ("memories.list", json!({})),
            ("kv.keys", json!({"scope": "User", "prefix": ""})),
        ];
        let mut cursors: Vec<String> =
            ["", "%", "AAAA", "bnVsbA", "W10", "WzEsMl0", "eyJhIjoxfQ", "IngnIE9SIDE9MSAtLSI"]
                .map(String::from)
                .into();
        cursors.push("A".repeat(100_000));
        for (import, args) in &lists {
            let mut args = args.clone();
            args["page"] = json!({"limit": 1});
            let next = guest.order(import, args).await["ok"]["next"].clone();
            cursors.extend(next.as_str().map(str::to_owned));
        }
        for (import, args) in &lists {
            for cursor in &cursors {
                let mut args = args.clone();
                args["page"] = json!({"limit": 4_294_967_295_u64, "cursor": cursor});
                let answer = guest.order(import, args).await;
                let refused = answer["error"]["code"] == "invalid";
                assert!(refused || answer.get("ok").is_some(), "{import} {cursor:.80} {answer}");
                assert!(!answer.to_string().contains(&of_bob.chat), "{import} {cursor:.80} {answer}");
            }
        }
    }
}

#[tokio::test]
async fn numbers_at_their_ends_are_answered() {
    for world in World::on_each_backend().await {
        let mut guest = guest(&world).await;
        for ttl in [json!(null), json!(0), json!(1), json!(i64::MAX), json!(u64::MAX)] {
            for scope in ["User", "Turn", "Shared"] {
                let set = guest
                    .order("kv.set", json!({"scope": scope, "key": "k", "value": "v", "ttl": ttl}))
                    .await;
                assert!(set.get("ok").is_some() || set["error"]["code"] == "invalid", "{ttl} {set}");
                let args =
                    json!({"scope": scope, "key": "k", "value": "v", "expected": u64::MAX, "ttl": ttl});
                let put = guest.order("kv.put-if", args).await;
                let code = put["error"]["code"].as_str().unwrap();
                assert!(code == "conflict" || code == "invalid", "{ttl} {put}");
                let args = json!({"scope": scope, "key": format!("n{ttl}"), "by": i64::MAX, "ttl": ttl});
                guest.order("kv.increment", args.clone()).await;
                let over = guest.order("kv.increment", args).await;
                assert!(over.get("ok").is_some() || over["error"]["code"] == "invalid", "{ttl} {over}");
            }
        }
        let many: Vec<String> = (0..201).map(|number| number.to_string()).collect();
        let answer = guest.order("users.get-many", json!({"ids": many})).await;
        assert_eq!(answer["error"]["code"], "invalid", "{answer}");
        let texts = vec!["t"; 257];
        let answer = guest.order("completions.embed", json!({"model": "m", "texts": texts})).await;
        assert_eq!(answer["error"]["code"], "invalid", "{answer}");
        for (title, fits) in [(1_024, true), (1_025, false)] {
            let chat = json!({"chat": {"title": "t".repeat(title)}});
            let answer = guest.order("chats.create", chat).await;
            assert_eq!(answer.get("ok").is_some(), fits, "{answer:.300}");
            if !fits {
                assert_eq!(answer["error"]["subject"], "title", "{answer}");
            }
        }
        let rows = Rows::of(&world.store, world.ada()).await;
        for (tags, length) in [(65, 1), (1, 129)] {
            let tags: Vec<String> = (0..tags).map(|number| format!("{number:0>length$}")).collect();
            let change = json!({"id": rows.chat, "version": rows.chat_version, "change": {"tags": tags}});
            let answer = guest.order("chats.update", change).await;
            assert_eq!(answer["error"]["subject"], "tags", "{answer}");
        }
        for (name, kind, subject) in [
            ("n".repeat(256), "text/plain", "name"),
            ("n".to_owned(), "text", "content-type"),
            ("n".to_owned(), "text/<b>", "content-type"),
        ] {
            let file = json!({"file": {"name": name, "content_type": kind}, "data": "d"});
            let answer = guest.order("files.create", file).await;
            assert_eq!(answer["error"]["subject"], subject, "{kind} {answer}");
        }
        let answer =
            guest.order("kv.set", json!({"scope": "User", "key": "k", "size": (256 << 10) + 1})).await;
        assert_eq!(answer["error"]["subject"], "value", "{answer}");
    }
}

#[tokio::test]
async fn more_than_one_call_may_carry_never_reaches_the_host_whole() {
    let world = World::new().await;
    let probe = world.load("probe").await;
    let text = "x".repeat(10 << 20);
    for (import, args) in [
        ("users.get", json!({"id": text})),
        ("log.log", json!({"level": "Info", "message": text})),
        ("kv.get", json!({"scope": "User", "key": text})),
    ] {
        let call = world.call(&probe).limit("memory", 256 << 20).limit("fuel", u64::MAX / 4);
        let (result, _) = call.probe_with_receipt(import, args).await;
        assert_eq!(result, Err(innkeeper_sandbox::CallError::Limit("transfer")), "{import}");
    }
}

#[tokio::test]
async fn json_that_does_not_parse_is_refused_by_the_import() {
    let world = World::new().await;
    let mut guest = guest(&world).await;
    let rows = Rows::of(&world.store, world.ada()).await;
    let request = |field: &str, value: Value| {
        let mut request = json!({"model": "m", "tools": [], "params": "{}", "messages": []});
        request[field] = value;
        json!({"request": request})
    };
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    for bad in ["", "{", "[]", "nul", "{\"a\":1}}", deep.as_str()] {
        for (import, args) in [
            ("completions.complete", request("params", json!(bad))),
            ("completions.stream", request("extra", json!(bad))),
            (
                "events.emit",
                json!({"event": {"Status": {"description": "d", "done": false, "hidden": false, "extra": bad}}}),
            ),
            (
                "chat-messages.update",
                json!({
                    "chat": rows.chat, "id": rows.message, "version": rows.message_version,
                    "change": {"files": if bad == "[]" { "{}" } else { bad }},
                }),
            ),
        ] {
            let answer = guest.order(import, args).await;
            assert_eq!(answer["error"]["code"], "invalid", "{import} {bad:.40} {answer}");
        }
    }
    let answer = guest.order("toolbox.call", json!({"plugin": "other", "name": "n", "arguments": "{"})).await;
    assert_eq!(answer["error"]["subject"], "arguments", "{answer}");
}

#[tokio::test]
async fn what_a_person_answers_counts_against_the_bytes_of_host_calls() {
    let world = World::new().await;
    let probe = world.load("probe").await;
    *world.audience.answer.lock().unwrap() = Some(json!("x".repeat(200_000)));
    let input = json!({"question": {"Input": {"title": "t", "message": "m", "secret": false}}});
    let call = || world.call(&probe).grant(&[Permission::EventsCall]);
    let (answer, receipt) = call().probe_with_receipt("events.call", input.clone()).await;
    assert_eq!(answer.unwrap()["ok"]["Text"].as_str().unwrap().len(), 200_000);
    assert!(receipt.delivered.host_bytes["events"] >= 200_000, "{receipt:?}");
    let (answer, receipt) =
        call().limit("host-bytes", 100_000).probe_with_receipt("events.call", input.clone()).await;
    assert_eq!(answer, Err(CallError::Limit("host-bytes")), "{receipt:?}");
    let answer = call().limit("transfer", 100_000).probe("events.call", input).await;
    assert_eq!(answer["error"]["subject"], "transfer", "{:.300}", answer.to_string());
}

#[tokio::test]
async fn a_blob_counts_against_the_bytes_of_host_calls() {
    let world = World::new().await;
    let probe = world.load("probe").await;
    let uri = format!("data:text/plain,{}", "x".repeat(200_000));
    for (limit, fits) in [(300_000, true), (100_000, false)] {
        let call = world.call(&probe).limit("host-bytes", limit);
        let blob = call.blobs.keep(uri.clone());
        let (answer, receipt) = call.probe_with_receipt("context.read-blob", json!({"id": blob.id})).await;
        if fits {
            assert_eq!(answer.unwrap()["ok"]["size"], uri.len());
            assert!(receipt.delivered.host_bytes["context"] >= uri.len() as u64, "{receipt:?}");
        } else {
            assert_eq!(answer, Err(CallError::Limit("host-bytes")), "{receipt:?}");
        }
    }
    // Each reading costs it again, also one that is dropped at once.
    let call = world.call(&probe).limit("host-bytes", 900_000);
    let blob = call.blobs.keep(uri.clone());
    let args = json!({"id": blob.id, "stop_after": 0});
    let (answer, _) = call
        .tool("call", json!({"import": "context.read-blob", "args": args, "place": "call", "times": 5}))
        .await;
    assert_eq!(answer, Err(CallError::Limit("host-bytes")));
}
