//! One chat turn: the model, and filters around it.

use innkeeper_dispatch::{DispatchError, Frame};
use innkeeper_model::Permission;
use innkeeper_model::chunk::Chunk;
use innkeeper_model::plugin::OnFailure;
use serde_json::json;

use crate::world::{Said, completion, id, order, plugin, read, world};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn echo_answers_streamed_and_whole() {
    let world = world().plugin(plugin("echo")).build().await;
    let streamed = world.chat(world.turn("echo", "one two three")).await;
    assert_eq!(streamed.texts(), ["one ", "two ", "three"]);
    assert!(matches!(streamed.chunks.last(), Some(Chunk::Finish { reason, .. }) if reason == "stop"));
    let whole = world.chat(world.whole_turn("echo", "one two three")).await;
    assert_eq!(whole.texts(), ["one two three"]);
    assert_eq!(world.trail(&whole).await, ["echo pipe.run"]);
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_of_pipes_are_listed_and_others_are_unknown() {
    let world =
        world().plugin(plugin("echo")).plugin(plugin("probe")).plugin(plugin("calculator")).build().await;
    let models = world.dispatch.models(&world.principal()).await;
    let ids: Vec<_> = models.iter().map(|model| model.id.as_str()).collect();
    assert_eq!(ids, ["echo", "probe.one", "probe.two"]);
    assert_eq!(world.chat(world.turn("probe.two", "hello")).await.text(), "two has no order");
    for unknown in ["calculator", "nobody", "", "echo2"] {
        let error = world.chat(world.turn(unknown, "hello")).await.error();
        assert_eq!(error, DispatchError::UnknownModel(unknown.to_owned()));
    }
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipe_that_refuses_says_so_in_its_own_words() {
    let world = world().plugin(plugin("echo")).build().await;
    let turn = world.turn_of(json!({ "model": "echo", "messages": [{"role": "system", "content": "s"}] }));
    let error = world.chat(turn).await.error();
    assert_eq!(error.code(), "rejected");
    assert_eq!(error.to_string(), "There is no message to repeat.");
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_run_in_ascending_order_of_priority_and_id_at_every_hook() {
    let on = |name| plugin("probe").named(name).filter(|filter| filter.toggle = false).global();
    let world = world()
        .keep_instances(false)
        .plugin(plugin("echo"))
        .plugin(on("zeta").settings(|settings| settings.priority = Some(-5)))
        .plugin(on("beta"))
        .plugin(on("alpha"))
        .plugin(on("late").settings(|settings| settings.priority = Some(7)))
        .build()
        .await;
    let said = world.chat(world.whole_turn("echo", "hi")).await;
    assert_eq!(said.text(), "hi");
    let trail = world.trail(&said).await;
    let order = ["zeta", "alpha", "beta", "late"];
    let hook = |hook: &str| order.map(|plugin| format!("{plugin} filter.{hook}"));
    let mut expected = [hook("inlet"), hook("request")].concat();
    expected.push("echo pipe.run".to_owned());
    // The text, and the end.
    expected.extend([hook("stream"), hook("stream"), hook("outlet")].concat());
    assert_eq!(trail, expected);
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_that_keeps_its_instance_makes_one_call_of_a_turn() {
    let world = world()
        .plugin(plugin("echo"))
        .plugin(plugin("probe").filter(|filter| filter.toggle = false).global())
        .build()
        .await;
    let said = world.chat(world.whole_turn("echo", "hi")).await;
    assert_eq!(world.trail(&said).await, ["probe filter.outlet", "echo pipe.run"]);
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn toggle_filters_run_only_where_they_are_named_and_apply() {
    let world = world()
        .plugin(plugin("echo"))
        .plugin(plugin("nothing").global())
        .plugin(plugin("probe").settings(|settings| settings.models = vec!["other".to_owned()]))
        .build()
        .await;
    let said = world.chat(world.turn("echo", "hi")).await;
    assert_eq!(world.trail(&said).await, ["echo pipe.run"]);
    let mut turn = world.turn("echo", "hi");
    turn.filter_ids = vec!["nothing".to_owned(), "probe".to_owned(), "nobody".to_owned()];
    let said = world.chat(turn).await;
    assert_eq!(said.text(), "hi");
    let mut trail = world.trail(&said).await;
    trail.sort();
    assert_eq!(trail, ["echo pipe.run", "nothing filter.stream"]);
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_that_refuses_in_inlet_ends_the_turn_before_the_model_is_asked() {
    let world = world()
        .plugin(plugin("echo"))
        .plugin(
            plugin("rate-limit")
                .valves(json!({"requests": 1, "seconds": 60}))
                .grant(&[innkeeper_model::Permission::Kv])
                .global(),
        )
        .build()
        .await;
    assert_eq!(world.chat(world.turn("echo", "hi")).await.text(), "hi");
    let said = world.chat(world.turn("echo", "hi")).await;
    assert_eq!(world.trail(&said).await, ["rate-limit filter.inlet"]);
    let receipts = world.receipts(&said.end.receipts).await;
    assert_eq!(receipts[0].outcome.as_str(), "rejected");
    let error = said.error();
    assert_eq!(error.code(), "rejected");
    assert!(
        error.to_string().starts_with("You have reached the limit of 1 requests in 60 seconds."),
        "{error}"
    );
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_that_traps_ends_the_turn_or_not_as_the_operator_set() {
    for (on_failure, ends) in
        [(OnFailure::Closed, true), (OnFailure::Skip, false), (OnFailure::Quarantine, false)]
    {
        let world = world()
            .plugin(plugin("echo"))
            .plugin(
                plugin("misbehave")
                    .filter(|filter| filter.toggle = false)
                    .global()
                    .settings(|settings| settings.on_failure = on_failure),
            )
            .build()
            .await;
        for (text, streamed) in [("inlet:trap", false), ("request:trap", false), ("chunk:trap", true)] {
            let said = world
                .chat(if streamed { world.turn("echo", text) } else { world.whole_turn("echo", text) })
                .await;
            if ends {
                assert!(
                    matches!(&said.end.error, Some(DispatchError::Trapped { plugin, .. }) if *plugin == id("misbehave")),
                    "{text}: {said:?}"
                );
            } else {
                assert_eq!(said.text(), text, "{on_failure:?}");
                let again = world.chat(world.turn("echo", "fine")).await;
                assert_eq!(again.text(), "fine");
                let rests = on_failure == OnFailure::Quarantine;
                assert_eq!(world.trail(&again).await.len(), if rests { 1 } else { 2 });
                if rests {
                    break;
                }
            }
        }
        world.assert_idle().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guard_that_breaks_ends_the_turn_whatever_the_operator_set() {
    let world = world()
        .plugin(plugin("echo"))
        .plugin(
            plugin("misbehave")
                .filter(|filter| (filter.toggle, filter.guard) = (false, true))
                .global()
                .settings(|settings| settings.on_failure = OnFailure::Skip),
        )
        .build()
        .await;
    for text in ["inlet:trap", "chunk:trap", "chunk:loop"] {
        let error = world.chat(world.turn("echo", text)).await.error();
        assert!(matches!(error.code(), "plugin_crashed" | "limit_exceeded"), "{text}: {error:?}");
    }
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_value_in_stream_leaves_the_piece_as_it_was() {
    let world = world()
        .plugin(plugin("echo"))
        .plugin(plugin("misbehave").filter(|filter| filter.toggle = false).global())
        .build()
        .await;
    let said = world.chat(world.turn("echo", "a chunk:huge-error b")).await;
    assert_eq!(said.texts(), ["a ", "chunk:huge-error ", "b"]);
    assert_eq!(said.end.error, None);
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_outlet_filter_does_wrong_changes_nothing() {
    let world = world()
        .plugin(plugin("echo"))
        .plugin(plugin("misbehave").filter(|filter| filter.toggle = false).global())
        .build()
        .await;
    for how in [
        "outlet:trap",
        "outlet:huge-error",
        "outlet:panic",
        "outlet:invalid-json",
        "outlet:recurse",
        "outlet:exit",
    ] {
        let said = world.chat(world.whole_turn("echo", how)).await;
        assert_eq!(said.text(), how);
        assert!(said.events().is_empty(), "{said:?}");
    }
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_that_breaks_the_contract_is_named() {
    let world = world()
        .plugin(plugin("echo"))
        .plugin(plugin("misbehave").filter(|filter| filter.toggle = false).global())
        .build()
        .await;
    for text in ["inlet:invalid-json", "request:invalid-json", "chunk:invalid-json"] {
        let error = world.chat(world.turn("echo", text)).await.error();
        assert_eq!(error.code(), "plugin_broke_contract", "{text}: {error}");
        assert!(error.to_string().contains("misbehave"), "{error}");
    }
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipe_that_does_not_end_its_answer_or_breaks_off_is_named() {
    let world = world().plugin(plugin("misbehave")).build().await;
    for (order, code) in [
        ("feed:cut-stream", "plugin_broke_contract"),
        ("feed:invalid-json", "plugin_broke_contract"),
        ("run:invalid-json", "plugin_broke_contract"),
        ("feed:trap", "plugin_crashed"),
        ("run:panic", "plugin_crashed"),
        ("run:loop", "limit_exceeded"),
        ("feed:loop", "limit_exceeded"),
    ] {
        let error = world.chat(world.turn("misbehave", order)).await.error();
        assert_eq!(error.code(), code, "{order}: {error}");
    }
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_of_a_pipe_is_not_passed_by_under_another_name_of_the_model() {
    let filter =
        |name| plugin("probe").named(name).filter(|filter| (filter.toggle, filter.guard) = (false, true));
    let upstream = crate::upstream::Upstream::start().await;
    let world = world()
        .provider(upstream.config())
        .plugin(plugin("probe").grant(&[Permission::Completions]))
        .plugin(filter("watch").settings(|settings| settings.models = vec!["probe".to_owned()]))
        .plugin(filter("idle").settings(|settings| settings.models = vec!["gpt".to_owned()]))
        .build()
        .await;
    let watched = async |said: &Said| {
        let trail = world.trail(said).await;
        trail.iter().filter(|call| call.starts_with("watch ")).count()
    };
    // What follows the dot is up to the pipe, which need not look at it.
    for model in ["probe", "probe.one", "probe.x", "probe..", "probe.x.y"] {
        let said = world.chat(world.turn(model, "hi")).await;
        said.text();
        assert_eq!(watched(&said).await, 1, "{model}");
        let asks = order("run", "completions.complete", completion(model, "hi"));
        let said = world.chat(world.turn("probe.x", &asks)).await;
        assert!(said.text().contains("\"ok\""), "{model}: {said:?}");
        assert_eq!(watched(&said).await, 2, "{model}, asked for by a plugin");
    }
    // And nothing is not another name of the pipe itself.
    let error = world.chat(world.turn("probe.", "hi")).await.error();
    assert_eq!(error, DispatchError::UnknownModel("probe.".to_owned()));
    let answer = world.probe("completions.complete", completion("probe.", "hi")).await;
    assert_eq!(answer["error"]["code"], "invalid", "{answer}");
    // The dot in the name of a provider's model means nothing.
    let said = world.chat(world.turn("gpt.other", "hi")).await;
    assert_eq!((said.text().as_str(), world.trail(&said).await.len()), ("hi", 0));
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_that_breaks_the_contract_on_a_piece_is_left_out_where_the_operator_said_so() {
    let world = world()
        .plugin(plugin("echo"))
        .plugin(
            plugin("misbehave")
                .filter(|filter| filter.toggle = false)
                .global()
                .settings(|settings| settings.on_failure = OnFailure::Skip),
        )
        .build()
        .await;
    let said = world.chat(world.turn("echo", "a chunk:invalid-json b")).await;
    assert_eq!(said.end.error, None);
    assert_eq!(said.texts(), ["a ", "chunk:invalid-json ", "b"]);
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_sends_the_request_to_another_model() {
    let upstream = crate::upstream::Upstream::start().await;
    let world = world()
        .provider(upstream.config())
        .plugin(plugin("echo"))
        .plugin(plugin("probe").filter(|filter| filter.toggle = false).global())
        .build()
        .await;
    for place in ["inlet", "request"] {
        let turn =
            |model: &str, to: &str| world.turn(model, &order(place, "request.model", json!({ "model": to })));
        let said = world.chat(turn("echo", "probe.two")).await;
        assert!(world.trail(&said).await.contains(&"probe pipe.run".to_owned()), "{said:?}");
        assert!(!world.trail(&said).await.contains(&"echo pipe.run".to_owned()));
        let said = world.chat(turn("gpt-fake", "echo")).await;
        assert!(world.trail(&said).await.contains(&"echo pipe.run".to_owned()), "{said:?}");
        assert_eq!(world.chat(turn("echo", "gpt-fake")).await.end.error, None);
        let error = world.chat(turn("echo", "nobody")).await.error();
        assert_eq!(error, DispatchError::UnknownModel("nobody".to_owned()));
    }
    assert_eq!(upstream.asked().len(), 2);
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_leads_past_no_guard() {
    let guard =
        |name| plugin("probe").named(name).filter(|filter| (filter.toggle, filter.guard) = (false, true));
    let world = world()
        .plugin(plugin("echo"))
        .plugin(plugin("probe").filter(|filter| filter.toggle = false).global())
        .plugin(guard("watch").settings(|settings| settings.models = vec!["probe".to_owned()]))
        .build()
        .await;
    let reroute = order("inlet", "request.model", json!({ "model": "probe.two" }));
    let said = world.chat(world.turn("echo", &reroute)).await;
    assert!(matches!(said.error(), DispatchError::NotAllowed(why) if why.contains("`watch`")));
    // Whoever asks for another model of the same pipe has had its guard.
    let said = world.chat(world.turn("probe.one", &reroute)).await;
    assert!(world.trail(&said).await.iter().any(|call| call.starts_with("watch ")), "{said:?}");
    assert_eq!(said.end.error, None);
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outlet_filters_that_find_no_slot_are_passed_over() {
    let world = world()
        .keep_instances(false)
        .plugin(plugin("echo"))
        .plugin(plugin("misbehave"))
        .plugin(
            plugin("probe")
                .named("watch")
                .filter(|filter| (filter.toggle, filter.hooks.stream) = (false, false))
                .limit("calls-per-plugin", 1)
                .global(),
        )
        .build()
        .await;
    // The filter's one slot is free while the model answers, and somebody else has it when the answer is complete.
    let mut first = world.dispatch.chat(world.turn("misbehave", "feed:sleep 1000")).await.unwrap();
    assert!(matches!(first.frames.recv().await, Some(Frame::Chunk(Chunk::Text(text))) if text == "begun"));
    let sleeps = order("inlet", "wasi.sleep", json!({ "milliseconds": 20_000 }));
    let second = world.dispatch.chat(world.turn("echo", &sleeps)).await.unwrap();
    let said = read(first).await;
    assert_eq!(said.text(), "done");
    let trail = world.trail(&said).await;
    assert!(trail.contains(&"watch filter.request".to_owned()), "{trail:?}");
    assert!(!trail.contains(&"watch filter.outlet".to_owned()), "{trail:?}");
    drop(second);
    world.assert_idle().await;
}
