//! Guards: what becomes of a turn where one does not say that it may go on.

use innkeeper_dispatch::Frame;
use innkeeper_model::ChatId;
use innkeeper_model::Permission;
use innkeeper_model::authority::Authority;
use innkeeper_model::chat_message::StoredMessage;
use innkeeper_model::chunk::Chunk;
use innkeeper_model::manifest::FilterDescription;
use innkeeper_model::plugin::OnFailure;
use innkeeper_model::receipt::Receipt;
use serde_json::{Value, json};

use crate::upstream::{Answer, Upstream};
use crate::world::{Installed, World, completion, order, plugin, read, stored, world};

/// A guest as a guard in every turn, which its operator would rather have skipped.
fn guard(guest: &'static str) -> Installed {
    plugin(guest)
        .filter(|filter| (filter.toggle, filter.guard) = (false, true))
        .global()
        .settings(|settings| settings.on_failure = OnFailure::Skip)
}

fn outlet_alone(filter: &mut FilterDescription) {
    (filter.toggle, filter.guard) = (false, true);
    (filter.hooks.stream, filter.hooks.outlet) = (false, true);
}

async fn answer(world: &World, chat: &ChatId) -> StoredMessage {
    let authority = Authority::Own(world.ada.clone());
    world.store.chat_messages().branch(&authority, chat, None).await.unwrap().pop().unwrap()
}

/// The chat's document as the database has it.
async fn document(world: &World, chat: &ChatId) -> String {
    let document = sqlx::query_scalar("SELECT chat FROM chat WHERE id = ?").bind(chat.as_str());
    document.fetch_one(world.sqlite()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_piece_on_which_a_guard_fails_is_not_shown() {
    for keep in [true, false] {
        let world = world()
            .keep_instances(keep)
            .plugin(plugin("echo"))
            .plugin(guard("misbehave"))
            .plugin(guard("probe"))
            .build()
            .await;
        let said = world.chat(world.turn("echo", "a chunk:huge-error b")).await;
        assert_eq!(said.texts(), ["a "], "keep {keep}");
        let error = said.error();
        assert_eq!(error.code(), "plugin_failed", "keep {keep}: {error}");
        assert!(error.to_string().contains("`misbehave`"), "{error}");
        for (import, code) in [("fail", "plugin_failed"), ("reject", "rejected")] {
            let text = order("stream", import, json!({ "text": "Not_this." }));
            let said = world.chat(world.whole_turn("echo", &text)).await;
            assert!(said.chunks.is_empty(), "keep {keep}: {said:?}");
            let error = said.error();
            assert_eq!(error.code(), code, "keep {keep}");
            assert!(error.to_string().ends_with("Not_this."), "{error}");
        }
        world.assert_idle().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_answer_that_a_guards_outlet_did_not_let_through_no_text_is_stored() {
    for keep in [true, false] {
        let world =
            world().keep_instances(keep).plugin(plugin("echo")).plugin(guard("misbehave")).build().await;
        for (how, code) in [
            ("outlet:trap", "plugin_crashed"),
            ("outlet:huge-error", "plugin_failed"),
            ("outlet:panic", "plugin_crashed"),
            ("outlet:invalid-json", "plugin_broke_contract"),
        ] {
            let chat = world.new_chat(&world.ada, "Stored").await;
            let asks = json!({ "model": "echo", "messages": [
                {"role": "user", "content": how}, {"role": "assistant", "content": "before"}, {"role": "user", "content": how},
            ]});
            let said = world.chat(stored(world.turn_of(asks), &chat)).await;
            assert!(said.events().is_empty(), "{how}: {said:?}");
            let error = said.error();
            assert_eq!(error.code(), code, "keep {keep} {how}: {error}");
            let answer = answer(&world, &chat).await;
            assert_eq!(
                (answer.role.as_str(), answer.content.as_str(), answer.done),
                ("assistant", "", true),
                "{how}"
            );
            assert!(answer.error.unwrap().contains("`misbehave`"), "{how}");
            let document: Value = serde_json::from_str(&document(&world, &chat).await).unwrap();
            let kept = &document["history"]["messages"][answer.id.as_str()];
            assert_eq!((&kept["content"], &kept["originalContent"]), (&json!(""), &Value::Null), "{how}");
        }
        world.assert_idle().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_broken_answer_only_that_is_stored_which_a_guard_has_seen() {
    let broken = order("feed", "chunks", json!({ "chunks": [{"Text": "half "}, {"Failed": "no more"}] }));
    for (filter, expected) in [(None, "half "), (Some(outlet_alone as fn(&mut FilterDescription)), "")] {
        let guard = guard("nothing").named("watch");
        let guard = match filter {
            Some(alone) => guard.filter(alone),
            None => guard,
        };
        let world = world().plugin(plugin("probe")).plugin(guard).build().await;
        let chat = world.new_chat(&world.ada, "Stored").await;
        let error = world.chat(stored(world.turn("probe.one", &broken), &chat)).await.error();
        assert_eq!(error.code(), "answer_failed");
        let answer = answer(&world, &chat).await;
        assert_eq!((answer.content.as_str(), answer.done), (expected, true));
        world.assert_idle().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_not_stored_past_a_guard_that_finds_no_slot() {
    let world = world()
        .keep_instances(false)
        .plugin(plugin("echo"))
        .plugin(plugin("misbehave"))
        .plugin(guard("probe").filter(outlet_alone).limit("calls-per-plugin", 1).limit("queue-wait", 200))
        .build()
        .await;
    let chat = world.new_chat(&world.ada, "Stored").await;
    // The guard's one slot is free while the model answers, and somebody else has it when the answer is complete.
    let first = stored(world.turn("misbehave", "feed:sleep 1000"), &chat);
    let mut first = world.dispatch.chat(first).await.unwrap();
    assert!(matches!(first.frames.recv().await, Some(Frame::Chunk(_))));
    let sleeps = order("inlet", "wasi.sleep", json!({ "milliseconds": 20_000 }));
    let second = world.dispatch.chat(world.turn("echo", &sleeps)).await.unwrap();
    let error = read(first).await.error();
    assert_eq!(error.code(), "unavailable", "{error}");
    drop(second);
    assert_eq!(answer(&world, &chat).await.content, "");
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_answer_whose_client_leaves_only_that_is_stored_which_a_guard_has_seen() {
    for (alone, expected) in [(false, "outlet:wait"), (true, "")] {
        let guard = guard("misbehave");
        let guard = if alone { guard.filter(outlet_alone) } else { guard };
        let world = world().plugin(plugin("echo")).plugin(guard).build().await;
        let chat = world.new_chat(&world.ada, "Stored").await;
        let mut handle = world.dispatch.chat(stored(world.turn("echo", "outlet:wait"), &chat)).await.unwrap();
        // The answer is complete, and its guard takes its time over it.
        while !matches!(handle.frames.recv().await, Some(Frame::Chunk(Chunk::Finish { .. }))) {}
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        drop(handle);
        world.assert_idle().await;
        let answer = answer(&world, &chat).await;
        assert_eq!((answer.content.as_str(), answer.done), (expected, true), "alone {alone}");
        assert!(answer.error.unwrap().contains("cancelled"));
    }
}

async fn receipts_of(world: &World, plugin: &str) -> Vec<Receipt> {
    world.assert_idle().await;
    world.receipts_of(plugin).await
}

/// Two guards that each do the same work on a request of `probe`, which has this much fuel. Gives what the request came to, and what each guard used.
async fn guarded(fuel: u64) -> (Value, [u64; 2]) {
    let busy = |name| guard("misbehave").named(name).limit("host-calls", 1_000_000);
    let world = world()
        .plugin(plugin("probe").grant(&[Permission::Completions]).limit("fuel", fuel))
        .plugin(plugin("echo"))
        .plugin(busy("one"))
        .plugin(busy("two"))
        .build()
        .await;
    let said = world.probe("completions.complete", completion("echo", "inlet:flood 200000")).await;
    let used = async |plugin| receipts_of(&world, plugin).await[0].delivered.fuel;
    (said, [used("one").await, used("two").await])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guards_of_a_plugins_request_use_no_more_together_than_its_caller_has_left() {
    let (said, [one, two]) = guarded(10_000_000_000).await;
    assert!(said.get("ok").is_some(), "{said}");
    // Enough for each of them, and not for both.
    let fuel = (one + two) / 5 * 4;
    let (said, used) = guarded(fuel).await;
    assert_eq!(said["error"]["subject"], "fuel", "{said}");
    assert!(used[0] > one / 10 * 9, "the first did its work: {used:?}");
    assert!(used[0] + used[1] <= fuel, "{used:?} of {fuel}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_a_guard_refuses_costs_its_caller_what_that_took() {
    let fuel = 400_000_000;
    let world = world()
        .plugin(plugin("probe").grant(&[Permission::Completions]).limit("fuel", fuel))
        .plugin(plugin("echo"))
        .plugin(guard("probe").named("watch"))
        .build()
        .await;
    for (place, import) in [("inlet", "reject"), ("request", "fail"), ("stream", "reject")] {
        let refused = order(place, import, json!({ "text": "No." }));
        for ask in ["completions.complete", "completions.stream"] {
            let arguments = json!({ "import": ask, "args": completion("echo", &refused) });
            let asks = world.dispatch.call_tool(world.tool_turn("probe", "call", arguments)).await.unwrap();
            assert!(format!("{:?}", asks.result).contains("No."), "{place} {ask}: {:?}", asks.result);
            let used = world.receipt(&asks.call).await.delivered.fuel;
            assert!(used < fuel / 4, "{place} {ask}: {used}");
        }
    }
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_that_comes_as_events_is_not_stored_past_a_guard() {
    fn outlet_and_nothing_else(filter: &mut FilterDescription) {
        outlet_alone(filter);
        (filter.hooks.inlet, filter.hooks.request) = (false, false);
    }
    let refuses =
        guard("misbehave").filter(outlet_and_nothing_else).limit("fuel", 10).limit("fuel-per-kib", 0);
    let passes = guard("nothing").filter(outlet_and_nothing_else);
    for (watch, refused) in [(refuses, true), (passes, false)] {
        let pipe = plugin("probe").grant(&[Permission::EventsEmit]);
        let world = world().plugin(pipe).plugin(watch).build().await;
        for (how, before) in [("Message", "shown "), ("Replace", "instead ")] {
            let chat = world.new_chat(&world.ada, "Stored").await;
            let says = order("run", "events.emit", json!({ "event": {how: before} }));
            let said = world.chat(stored(world.turn("probe.one", &says), &chat)).await;
            assert_eq!(said.end.error.is_some(), refused, "{how}: {said:?}");
            world.assert_idle().await;
            let seen = format!("{before}{}", said.partial());
            let answer = answer(&world, &chat).await;
            assert_eq!(answer.content, if refused { "" } else { &seen }, "{how}");
            assert!(answer.done);
        }
        // What is no text is kept all the same.
        let chat = world.new_chat(&world.ada, "Stored").await;
        let status =
            json!({ "event": {"Status": {"description": "working", "done": true, "hidden": false}} });
        world.chat(stored(world.turn("probe.one", &order("run", "events.emit", status)), &chat)).await;
        world.assert_idle().await;
        assert!(answer(&world, &chat).await.status_history.unwrap().contains("working"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_that_comes_as_events_is_not_stored_before_a_guard_has_seen_it() {
    for watched in [false, true] {
        let upstream = Upstream::start().await;
        upstream.answer(Answer::Hang);
        let shows =
            plugin("probe").filter(|filter| filter.toggle = false).global().grant(&[Permission::EventsEmit]);
        let watch = if watched { guard("nothing").filter(outlet_alone) } else { plugin("nothing") };
        let world = world().provider(upstream.config()).plugin(shows).plugin(watch).build().await;
        let chat = world.new_chat(&world.ada, "Stored").await;
        let says = order("inlet", "events.emit", json!({ "event": {"Message": "shown "} }));
        let mut turn = world.dispatch.chat(stored(world.turn("gpt-fake", &says), &chat)).await.unwrap();
        assert!(matches!(turn.frames.recv().await, Some(Frame::Chunk(Chunk::Event(_)))));
        // Longer than events wait to be written.
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
        assert_eq!(answer(&world, &chat).await.content, if watched { "" } else { "shown " });
        drop(turn);
        world.assert_idle().await;
        let answer = answer(&world, &chat).await;
        assert!(answer.done && answer.content.is_empty() == watched, "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guard_does_not_send_a_plugins_request_to_another_model() {
    let world = world()
        .plugin(plugin("probe").grant(&[Permission::Completions]))
        .plugin(plugin("echo"))
        .plugin(plugin("nothing"))
        .plugin(guard("probe").named("watch"))
        .build()
        .await;
    for place in ["inlet", "request"] {
        let moves = order(place, "request.model", json!({ "model": "nothing" }));
        let said = world.probe("completions.complete", completion("echo", &moves)).await;
        assert_eq!(said["error"]["code"], "denied", "{place}: {said}");
        assert!(said["error"]["message"].as_str().unwrap().contains("`nothing`"), "{said}");
    }
    assert!(receipts_of(&world, "nothing").await.is_empty());
    assert!(receipts_of(&world, "echo").await.is_empty());
}
