//! Calls from plugin to plugin, from every place that a plugin has.

use std::time::Duration;

use innkeeper_dispatch::ToolTurn;
use innkeeper_model::authority::Authority;
use innkeeper_model::chat_message::NewMessage;
use innkeeper_model::kv::KvScope;
use innkeeper_model::permission::{Grant, Scope};
use innkeeper_model::principal::Role;
use innkeeper_model::tool::ToolContent;
use innkeeper_model::{Permission, Principal};
use innkeeper_store::NewUser;
use serde_json::{Value, json};

use crate::world::{World, completion, id, order, plugin, world};

const ASKS: &[Permission] = &[Permission::Toolbox, Permission::Completions, Permission::Kv];

fn calculate(expression: &str) -> Value {
    json!({ "plugin": "calculator", "name": "calculate", "arguments": {"expression": expression} })
}

fn nested(times: usize) -> Value {
    let mut call = calculate("1 + 1");
    for _ in 0..times {
        call = json!({ "plugin": "probe", "name": "call", "arguments": {"import": "toolbox.call", "args": call, "place": "call"} });
    }
    call
}

/// The JSON that a tool of `probe` gave back to a tool of `probe`.
fn inner(answer: &Value) -> Value {
    let content = &answer["ok"]["content"][0];
    let text = content.as_object().and_then(|content| content.values().next()).unwrap_or(content);
    match text {
        Value::String(text) => serde_json::from_str(text).unwrap_or_else(|_| text.clone().into()),
        other => other.clone(),
    }
}

async fn small() -> World {
    world()
        .plugin(plugin("probe").grant(ASKS))
        .plugin(plugin("calculator"))
        .plugin(plugin("echo"))
        .build()
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_calls_a_tool_and_the_receipts_show_the_chain() {
    let world = small().await;
    let turn =
        world.tool_turn("probe", "call", json!({ "import": "toolbox.call", "args": calculate("6 * 7") }));
    let outcome = world.dispatch.call_tool(turn).await.unwrap();
    let caller = world.receipt(&outcome.call).await;
    let filter = innkeeper_store::ReceiptFilter { turn: Some(outcome.turn.clone()), ..Default::default() };
    let page = innkeeper_model::page::PageRequest { cursor: None, limit: 10 };
    let all = world.store.invocations().list(&filter, &page).await.unwrap().items;
    assert_eq!(all.len(), 2, "{all:?}");
    let child = &all.iter().find(|stored| stored.receipt.id != caller.id).unwrap().receipt;
    assert_eq!(child.parent.as_deref(), Some(caller.id.as_str()));
    assert_eq!((child.plugin.as_str(), child.user.as_ref()), ("calculator", Some(&world.ada)));
    assert!(format!("{:?}", outcome.result).contains("42"), "{:?}", outcome.result);
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_is_called_from_every_place() {
    let world = world()
        .plugin(plugin("probe").grant(ASKS).filter(|filter| filter.toggle = false).global())
        .plugin(plugin("calculator"))
        .plugin(plugin("echo"))
        .build()
        .await;
    let args = calculate("6 * 7");
    for place in ["run", "feed", "stream", "outlet"] {
        let said = world.chat(world.turn("probe.one", &order(place, "toolbox.call", args.clone()))).await;
        let shown = if place == "outlet" { format!("{:?}", said.events()) } else { said.text() };
        assert!(shown.contains("42") && !shown.contains("\"error\""), "{place}: {said:?}");
    }
    for place in ["inlet", "request"] {
        let said = world.chat(world.turn("probe.one", &order(place, "toolbox.call", args.clone()))).await;
        let receipts = world.receipts(&said.end.receipts).await;
        let child = receipts.iter().find(|receipt| receipt.plugin == id("calculator"));
        assert!(
            child.is_some_and(|child| child.parent.is_some() && child.outcome.as_str() == "ok"),
            "{place}: {receipts:?}"
        );
    }
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_is_called_from_an_action() {
    let world = small().await;
    let text = order("call", "toolbox.call", calculate("6 * 7"));
    let authority = Authority::Own(world.ada.clone());
    let chat = world.new_chat(&world.ada, "t").await;
    let message = NewMessage { role: "user".to_owned(), content: text, ..NewMessage::default() };
    world.store.chat_messages().append(&authority, &chat, message).await.unwrap();
    let turn = world.action_turn("probe", "probe", Some(chat));
    let outcome = world.dispatch.run_action(turn).await.unwrap();
    let content = outcome.result.unwrap().content;
    let [ToolContent::Json { value }] = content.as_slice() else { panic!("{content:?}") };
    assert_eq!(inner(value), 42.0, "{value}");
    let children = world.receipts_of("calculator").await;
    let parents: Vec<_> = children.iter().map(|child| child.parent.as_deref()).collect();
    assert_eq!(parents, [Some(outcome.call.as_str())]);
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_are_asked_in_the_background_after_the_end_of_the_turn() {
    let upstream = crate::upstream::Upstream::start().await;
    let world = world()
        .provider(upstream.config())
        .plugin(plugin("probe").grant(ASKS))
        .plugin(plugin("echo"))
        .build()
        .await;
    let cases = [
        ("completions.complete", completion("echo", "from behind"), "from behind"),
        ("completions.stream", completion("echo", "from behind"), "behind"),
        ("completions.models", json!({}), "echo"),
        ("completions.embed", json!({ "model": "gpt-fake", "texts": ["a"] }), "0.5"),
    ];
    let scope = KvScope::User(id("probe"), world.ada.clone());
    for (import, mut args, expected) in cases {
        args["report"] = import.into();
        let turn = world.turn("probe.one", &order("background", import, args));
        assert!(world.chat(turn).await.text().contains("later"));
        world.assert_idle().await;
        let entry = world.store.kv().get(&scope, import).await.unwrap().expect("the background call reports");
        let answer: Value = serde_json::from_slice(&entry.value).unwrap();
        let answer = answer["ok"].to_string();
        assert!(answer.contains(expected), "{import}: {answer}");
    }
    assert_eq!(world.receipts_of("echo").await.len(), 3, "two answers, and a list of models");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_toolbox_lists_the_tools_of_plugins_that_are_enabled() {
    let world = world()
        .plugin(plugin("probe").grant(&[Permission::Toolbox]))
        .plugin(plugin("calculator"))
        .plugin(plugin("notes").settings(|settings| settings.enabled = false))
        .plugin(plugin("echo"))
        .build()
        .await;
    let listed = world.probe("toolbox.list", json!({})).await;
    let tools = listed["ok"].as_array().unwrap_or_else(|| panic!("{listed}"));
    let names: Vec<_> =
        tools.iter().map(|tool| format!("{} {}", tool["plugin"], tool["name"]).replace('"', "")).collect();
    assert_eq!(names, ["calculator calculate", "probe call", "probe html", "probe invocation"]);
    let manifest = world.registry.resolve(&id("calculator")).unwrap().manifest.clone();
    let [calculate] = manifest.tools.as_slice() else { panic!("{:?}", manifest.tools) };
    assert_eq!(tools[0]["description"], calculate.description.as_str());
    let schema: Value = serde_json::from_str(tools[0]["parameters"].as_str().unwrap()).unwrap();
    assert_eq!(schema, calculate.parameters);
    assert_eq!((&schema["type"], &schema["required"]), (&json!("object"), &json!(["expression"])));
    world.registry.enable(&id("notes")).await.unwrap();
    let listed = world.probe("toolbox.list", json!({})).await;
    assert!(listed.to_string().contains("add_note"), "{listed}");
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_asks_itself_for_answers_comes_to_an_end() {
    let world = world().plugin(plugin("misbehave").grant(ASKS).limit("completions", 3)).build().await;
    let said = world.chat(world.whole_turn("misbehave", "complete")).await;
    let depth = innkeeper_model::limits::Limits::default().nesting;
    assert_eq!(said.end.receipts.len() as u64, depth + 1, "itself, and so many below");
    let error = said.error();
    assert_eq!(error.code(), "plugin_failed");
    assert!(error.to_string().contains("plugins may call plugins 4 levels deep"), "{error}");
    assert_eq!(world.chat(world.whole_turn("misbehave", "complete 3")).await.text(), "done");
    let error = world.chat(world.whole_turn("misbehave", "complete 4")).await.error();
    assert!(error.to_string().contains("3 completions"), "{error}");
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_is_called_in_the_background_after_the_end_of_the_turn() {
    let world = small().await;
    let mut args = calculate("6 * 7");
    args["report"] = "answer".into();
    let said = world.chat(world.turn("probe.one", &order("background", "toolbox.call", args))).await;
    assert!(said.text().contains("later"));
    let scope = KvScope::User(id("probe"), world.ada.clone());
    for _ in 0..500 {
        if world.store.kv().get(&scope, "answer").await.unwrap().is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let entry = world.store.kv().get(&scope, "answer").await.unwrap().expect("the background call reports");
    let text = String::from_utf8(entry.value).unwrap();
    assert!(text.contains("42"), "{text}");
    world.assert_idle().await;
    let receipts = world.receipts(&said.end.receipts).await;
    assert_eq!(receipts[0].background.as_ref().map(|background| background.outcome.as_str()), Some("ok"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipe_forwards_to_another_pipe_streamed_and_whole() {
    let world = world()
        .plugin(plugin("forward").grant(ASKS).valves(json!({"models": ["echo"]})))
        .plugin(plugin("echo"))
        .build()
        .await;
    let streamed = world.chat(world.turn("forward.echo", "one two three")).await;
    assert_eq!(streamed.texts(), ["one ", "two ", "three"]);
    assert_eq!(world.trail(&streamed).await, ["forward pipe.run", "echo pipe.run"]);
    assert_eq!(world.chat(world.whole_turn("forward.echo", "one two three")).await.text(), "one two three");
    let models = world.dispatch.models(&world.principal()).await;
    assert_eq!(models.iter().map(|model| model.id.as_str()).collect::<Vec<_>>(), ["echo", "forward.echo"]);
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipes_that_list_the_models_of_others_do_not_go_round_in_circles() {
    let forward = |name| {
        plugin("forward")
            .named(name)
            .grant(ASKS)
            .valves(json!({"models": ["echo", "a.echo", "b.echo", "a.b.echo"]}))
    };
    let world = world().plugin(forward("a")).plugin(forward("b")).plugin(plugin("echo")).build().await;
    let models = tokio::time::timeout(Duration::from_secs(10), world.dispatch.models(&world.principal()))
        .await
        .unwrap();
    let ids: Vec<_> = models.iter().map(|model| model.id.as_str()).collect();
    assert!(ids.contains(&"a.echo") && ids.contains(&"b.echo") && ids.contains(&"echo"), "{ids:?}");
    world.dispatch.receipts().flush().await;
    let page = innkeeper_model::page::PageRequest { cursor: None, limit: 100 };
    let calls = world.store.invocations().list(&Default::default(), &page).await.unwrap().items.len();
    // Each of the two asks for what it does not know yet: the other one, and `echo` unless that list is kept already.
    assert!((5..=7).contains(&calls), "{calls} calls for three lists");
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_asks_a_model_and_shows_what_it_said() {
    let world = world()
        .plugin(plugin("probe").grant(ASKS).filter(|filter| filter.toggle = false).global())
        .plugin(plugin("echo"))
        .build()
        .await;
    for import in ["completions.complete", "completions.stream"] {
        let said = world
            .chat(world.whole_turn("echo", &order("stream", import, completion("echo", "from the filter"))))
            .await;
        assert!(said.text().contains("filter"), "{import}: {said:?}");
        assert!(!said.text().contains("\"error\""), "{import}: {said:?}");
    }
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plugins_call_plugins_only_so_deep() {
    let world = small().await;
    let mut answer = world.probe("toolbox.call", nested(3)).await;
    assert!(answer.to_string().contains('2') && !answer.to_string().contains("error"), "{answer}");
    answer = world.probe("toolbox.call", nested(5)).await;
    let mut depth = 0;
    while answer.get("error").is_none() {
        answer = inner(&answer);
        depth += 1;
        assert!(depth < 10, "{answer}");
    }
    assert_eq!(depth, 4);
    assert_eq!(answer["error"]["code"], "quota-exceeded");
    assert_eq!(answer["error"]["subject"], "nesting");
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_has_what_is_left_of_its_callers_budget() {
    let world = world()
        .plugin(plugin("probe").grant(ASKS).limit("fuel", 30_000_000).limit("waiting", 1_500))
        .plugin(plugin("misbehave"))
        .build()
        .await;
    let call = |how: &str| json!({ "plugin": "misbehave", "name": "misbehave", "arguments": {"how": how} });
    let begun = std::time::Instant::now();
    let error = world.tool("probe", "call", json!({ "import": "toolbox.call", "args": call("loop") })).await;
    // The child took all, and its caller has nothing left to go on with, or just enough to say so.
    match error {
        Ok(answer) => assert_eq!(answer["error"]["subject"], "fuel", "{answer}"),
        Err(error) => assert!(error.to_string().contains("`fuel`"), "{error}"),
    }
    let receipts = world.receipts_of("misbehave").await;
    assert!(receipts[0].delivered.fuel <= 30_000_000, "{receipts:?}");
    assert_eq!(receipts[0].outcome.as_str(), "limit-exceeded");
    let waited = world.tool("probe", "call", json!({ "import": "toolbox.call", "args": call("wait") })).await;
    assert!(
        format!("{waited:?}").contains("waiting") || format!("{waited:?}").contains("timeout"),
        "{waited:?}"
    );
    assert!(begun.elapsed().as_secs() < 15);
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_child_used_before_it_failed_does_not_come_back() {
    let world = world()
        .plugin(plugin("probe").grant(ASKS).limit("fuel", 60_000_000))
        .plugin(plugin("misbehave"))
        .build()
        .await;
    for (number, (import, order)) in [
        ("completions.complete", "run:loop"),
        ("completions.stream", "run:loop"),
        ("completions.stream", "feed:loop"),
    ]
    .into_iter()
    .enumerate()
    {
        let ask = json!({ "import": import, "args": completion("misbehave", order), "place": "call" });
        let outcome = world.dispatch.call_tool(world.tool_turn("probe", "call", ask)).await.unwrap();
        let caller = world.receipt(&outcome.call).await;
        let children = world.receipts_of("misbehave").await;
        assert_eq!(children.len(), number + 1);
        let child =
            children.iter().find(|child| child.parent.as_deref() == Some(caller.id.as_str())).unwrap();
        assert!(child.delivered.fuel > 30_000_000, "{import} {order}: {child:?}");
        assert!(caller.delivered.fuel >= child.delivered.fuel, "{import} {order}: {caller:?}");
    }
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_learns_how_its_child_ended() {
    let world = world()
        .plugin(plugin("probe").grant(ASKS))
        .plugin(plugin("calculator"))
        .plugin(plugin("misbehave").limit("fuel", 5_000_000))
        .plugin(plugin("echo"))
        .build()
        .await;
    let tool = |plugin: &str, name: &str, arguments: Value| json!({ "plugin": plugin, "name": name, "arguments": arguments });
    let cases = [
        ("toolbox.call", calculate("1 / 0"), "failed"),
        ("toolbox.call", tool("misbehave", "misbehave", json!({"how": "trap"})), "failed"),
        ("toolbox.call", tool("misbehave", "misbehave", json!({"how": "loop"})), "quota-exceeded"),
        ("toolbox.call", tool("nobody", "x", json!({})), "invalid"),
        ("toolbox.call", tool("calculator", "x", json!({})), "invalid"),
        ("toolbox.call", tool("calculator", "calculate", json!({"expression": 1})), "invalid"),
        ("toolbox.call", tool("echo", "x", json!({})), "invalid"),
        ("completions.complete", completion("nobody", "hi"), "invalid"),
        (
            "completions.complete",
            json!({ "request": {"model": "echo", "messages": [], "tools": [], "params": "{}"} }),
            "rejected",
        ),
        ("completions.complete", completion("misbehave", "feed:trap"), "failed"),
        ("completions.complete", completion("misbehave", "run:panic"), "failed"),
        ("completions.embed", json!({ "model": "echo", "texts": ["a"] }), "invalid"),
    ];
    for (import, args, code) in cases {
        let answer = world.probe(import, args.clone()).await;
        let given = answer["error"]["code"].to_string();
        assert!(given.contains(code), "{import} {args}: {answer}");
    }
    let broken = world.probe("completions.stream", completion("misbehave", "feed:trap")).await;
    assert!(broken.to_string().contains("Failed"), "{broken}");
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_runs_under_its_own_grants() {
    // `two` may call others and nothing else; `probe` may read the person, and not call.
    let world = world()
        .plugin(plugin("probe").named("two").grant(&[Permission::Toolbox]))
        .plugin(plugin("probe").grant(&[Permission::UsersRead]))
        .build()
        .await;
    let call = |plugin: &str, import: &str| json!({ "plugin": plugin, "name": "call", "arguments": {"import": import, "args": {}} });
    let through = |args: Value| json!({ "import": "toolbox.call", "args": args });
    let reads = world.tool("two", "call", through(call("probe", "users.me"))).await.unwrap();
    assert_eq!(inner(&reads)["ok"]["id"], world.ada.as_str(), "{reads}");
    let denied = world.tool("two", "call", json!({ "import": "users.me", "args": {} })).await.unwrap();
    assert_eq!(denied["error"]["code"], "denied");
    let denied = world.tool("probe", "call", through(call("two", "users.me"))).await.unwrap();
    assert_eq!(denied["error"]["code"], "denied");
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acting_as_admin_is_not_lent_to_who_may_not() {
    let world = world()
        .plugin(plugin("probe").grant(&[Permission::ActAsAdmin, Permission::Toolbox]))
        .plugin(plugin("probe").named("two").grant(&[Permission::Toolbox]))
        .build()
        .await;
    let all = Grant { scope: Scope::All, ..Grant::default() };
    world.registry.grant(&id("probe"), Permission::ChatsRead, all).await.unwrap();
    let chat = world.new_chat(&world.bob, "Of Bob's").await;
    let grace = NewUser { name: "Grace".into(), email: "grace@example.org".into(), role: Role::Admin };
    let grace = Principal::person(world.store.users().insert(grace).await.unwrap().id, Role::Admin);
    let reads = json!({ "import": "chats.get", "args": {"id": chat} });
    let through = |plugin: &str, call: &Value| {
        let call = json!({ "plugin": plugin, "name": "call", "arguments": call });
        json!({ "import": "toolbox.call", "args": call })
    };
    let asks = async |plugin: &str, arguments: Value| {
        let turn = ToolTurn { principal: grace.clone(), ..world.tool_turn(plugin, "call", arguments) };
        let said = format!("{:?}", world.dispatch.call_tool(turn).await.unwrap().result);
        assert!(!said.contains("error"), "{said}");
        said.contains("Of Bob's")
    };
    assert!(asks("probe", reads.clone()).await);
    assert!(asks("probe", through("probe", &reads)).await, "all of the chain may");
    assert!(!asks("two", through("probe", &reads)).await);
    // Nor does it come back by way of one who may.
    assert!(!asks("two", through("probe", &through("probe", &reads))).await);
    world.registry.grant(&id("two"), Permission::ActAsAdmin, Grant::default()).await.unwrap();
    assert!(asks("two", through("probe", &reads)).await);
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_a_call_drops_its_child_and_leaves_both_receipts() {
    let world = world().plugin(plugin("probe").grant(ASKS)).plugin(plugin("misbehave")).build().await;
    let args = json!({ "plugin": "misbehave", "name": "misbehave", "arguments": {"how": "wait"} });
    let call = world.tool("probe", "call", json!({ "import": "toolbox.call", "args": args }));
    tokio::time::timeout(Duration::from_millis(800), call).await.unwrap_err();
    world.assert_idle().await;
    for plugin in ["probe", "misbehave"] {
        let receipts = world.receipts_of(plugin).await;
        assert_eq!(
            receipts.iter().map(|receipt| receipt.outcome.as_str()).collect::<Vec<_>>(),
            ["cancelled"],
            "{plugin}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_leaves_a_stream_ends_the_pipe_that_writes_it() {
    let world = world().plugin(plugin("probe").grant(ASKS)).plugin(plugin("misbehave")).build().await;
    let mut args = completion("misbehave", "feed:many-chunks");
    args["stop_after"] = 3.into();
    let answer = world.probe("completions.stream", args).await;
    assert_eq!(answer["ok"]["chunks"].as_array().map(Vec::len), Some(3), "{answer}");
    world.assert_idle().await;
    assert_eq!(world.receipts_of("misbehave").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guard_watches_over_completions_that_plugins_make() {
    let world = world()
        .plugin(plugin("probe").grant(ASKS))
        .plugin(plugin("echo"))
        .plugin(plugin("redaction").grant(&[Permission::Kv]).global())
        .plugin(plugin("context-clip").valves(json!({"keep": 1})).global())
        .build()
        .await;
    for import in ["completions.complete", "completions.stream"] {
        let answer =
            world.probe(import, completion("echo", "write to ann@example.org today")).await.to_string();
        assert!(answer.contains("[e-mail]") || answer.contains("[e-"), "{answer}");
        assert!(!answer.contains("ann@"), "{answer}");
    }
    world.assert_idle().await;
    assert_eq!(world.receipts_of("redaction").await.len(), 2);
    assert!(world.receipts_of("redaction").await.iter().all(|receipt| receipt.parent.is_some()));
    // It is no guard, so it is asked in turns of people alone.
    assert!(world.receipts_of("context-clip").await.is_empty());
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guards_that_ask_models_themselves_are_nested_too() {
    let guard = |name| {
        plugin("probe")
            .named(name)
            .grant(ASKS)
            .filter(|filter| (filter.toggle, filter.guard) = (false, true))
            .global()
    };
    let world = world()
        .plugin(guard("one"))
        .plugin(guard("two"))
        .plugin(plugin("probe").grant(ASKS))
        .plugin(plugin("echo"))
        .build()
        .await;
    // Each guard's own request has this text again, and so passes the other guard.
    let text = order("inlet", "completions.complete", completion("echo", "end"));
    let text = order("inlet", "completions.complete", completion("echo", &text));
    let answer = tokio::time::timeout(
        Duration::from_secs(20),
        world.probe("completions.complete", completion("echo", &text)),
    )
    .await;
    assert!(answer.is_ok());
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_that_is_revoked_holds_for_the_next_call() {
    let world = small().await;
    world.registry.revoke(&id("probe"), Permission::Toolbox).await.unwrap();
    let answer = world.probe("toolbox.call", calculate("1")).await;
    assert_eq!(answer["error"]["code"], "denied");
    world.registry.grant(&id("probe"), Permission::Toolbox, Grant::default()).await.unwrap();
    assert!(world.probe("toolbox.call", calculate("1")).await.get("ok").is_some());
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_toggle_guard_that_the_person_turned_on_watches_over_completions_too() {
    let world = world()
        .plugin(plugin("forward").grant(ASKS))
        .plugin(plugin("echo"))
        .plugin(
            plugin("redaction")
                .grant(&[Permission::Kv])
                .filter(|filter| filter.toggle = true)
                .settings(|settings| settings.models = vec!["echo".to_owned()]),
        )
        .build()
        .await;
    // The filter is set to watch `echo` alone, which the person does not name: a plugin does.
    let text = "write to ann@example.org";
    assert_eq!(world.chat(world.turn("forward.echo", text)).await.text(), text);
    let mut turn = world.turn("forward.echo", text);
    turn.filter_ids = vec!["redaction".to_owned()];
    assert_eq!(world.chat(turn).await.text(), "write to [e-mail]");
    world.assert_idle().await;
}
