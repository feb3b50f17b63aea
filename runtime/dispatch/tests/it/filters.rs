//! Filters that break or refuse: what an operator set for them, when they rest, and when they are over for a turn.

use innkeeper_dispatch::DispatchError;
use innkeeper_model::Permission;
use innkeeper_model::plugin::OnFailure;
use innkeeper_model::time::Clock;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::world::{Builder, Installed, World, id, order, plugin, read, soon, world};

const POLICIES: [OnFailure; 3] = [OnFailure::Closed, OnFailure::Skip, OnFailure::Quarantine];

/// A guest's filter that is in every turn.
fn filter(guest: &'static str, on_failure: OnFailure) -> Installed {
    plugin(guest)
        .filter(|filter| filter.toggle = false)
        .global()
        .settings(|settings| settings.on_failure = on_failure)
}

/// The same world with filters that keep their instance through the turn, and with a fresh one for each hook.
async fn either_way(build: impl Fn(Builder) -> Builder) -> [World; 2] {
    [build(world().keep_instances(true)).build().await, build(world().keep_instances(false)).build().await]
}

/// How many calls of a plugin a turn has in which it came to this export.
async fn calls(world: &World, said: &crate::world::Said, call: &str) -> usize {
    world.trail(said).await.iter().filter(|made| *made == call).count()
}

/// An order for `probe` to feed these pieces as they are.
fn pieces(texts: &[&str]) -> String {
    let chunks: Vec<Value> = texts.iter().map(|text| json!({ "Text": text })).collect();
    order("feed", "chunks", json!({ "chunks": chunks }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_in_either_hook_on_requests_ends_the_turn_whatever_the_operator_set() {
    for policy in POLICIES {
        let world = world().plugin(plugin("echo")).plugin(filter("probe", policy)).build().await;
        for place in ["inlet", "request"] {
            let refuses = order(place, "reject", json!({ "text": "Not today." }));
            let said = world.chat(world.turn("echo", &refuses)).await;
            let receipts = world.receipts(&said.end.receipts).await;
            let ended: Vec<_> =
                receipts.iter().map(|receipt| (receipt.export.as_str(), receipt.outcome.as_str())).collect();
            assert_eq!(ended, [(format!("filter.{place}").as_str(), "rejected")], "{policy:?}");
            assert!(said.chunks.is_empty(), "{policy:?} {place}: {said:?}");
            let message = "Not today.".to_owned();
            assert_eq!(said.error(), DispatchError::Rejected { plugin: id("probe"), message });
        }
        // To refuse is its work, and no reason to rest.
        let said = world.chat(world.turn("echo", "hi")).await;
        assert_eq!(world.trail(&said).await, ["probe filter.outlet", "echo pipe.run"], "{policy:?}");
        world.assert_idle().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_error_on_a_request_is_a_failure_as_the_operator_set() {
    for policy in POLICIES {
        for place in ["inlet", "request"] {
            let build = |builder: Builder| builder.plugin(plugin("echo")).plugin(filter("probe", policy));
            for world in either_way(build).await {
                let fails = order(place, "fail", json!({ "text": "no idea" }));
                let said = world.chat(world.turn("echo", &fails)).await;
                let later = ["stream", "outlet"].map(|hook| format!("probe filter.{hook}"));
                let trail = world.trail(&said).await;
                assert!(!trail.iter().any(|call| later.contains(call)), "{policy:?} {place}: {trail:?}");
                if policy == OnFailure::Closed {
                    let message = "no idea".to_owned();
                    assert_eq!(said.error(), DispatchError::PluginFailed { plugin: id("probe"), message });
                } else {
                    assert_eq!(said.text(), fails, "{policy:?} {place}");
                }
                let next = world.chat(world.turn("echo", "hi")).await;
                next.text();
                let rests = !world.trail(&next).await.iter().any(|call| call.starts_with("probe "));
                assert_eq!(rests, policy == OnFailure::Quarantine, "{policy:?} {place}");
                world.assert_idle().await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_that_cannot_count_lets_nobody_through_unless_it_may_be_skipped() {
    for policy in POLICIES {
        let limits = plugin("rate-limit").global().settings(|settings| settings.on_failure = policy);
        let world = world().plugin(plugin("echo")).plugin(limits).build().await;
        let said = world.chat(world.turn("echo", "hi")).await;
        if policy == OnFailure::Closed {
            let error = said.error();
            assert_eq!(error.code(), "plugin_failed");
            let text = error.to_string();
            assert!(text.contains("`rate-limit`") && text.contains("was denied `kv`"), "{text}");
        } else {
            assert_eq!(said.text(), "hi", "{policy:?}");
        }
        world.assert_idle().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_that_breaks_on_a_piece_is_over_for_the_turn() {
    for (breaks, outcome) in
        [("chunk:trap", "trapped"), ("chunk:loop", "limit-exceeded"), ("chunk:sleep", "limit-exceeded")]
    {
        let build = |builder: Builder| {
            let breaks = filter("misbehave", OnFailure::Skip).limit("fuel", 10_000_000).limit("hook", 400);
            builder.plugin(plugin("probe")).plugin(breaks)
        };
        for world in either_way(build).await {
            let said = world.chat(world.turn("probe.one", &pieces(&[breaks, "chunk:many-chunks 3"]))).await;
            said.text();
            assert_eq!(said.texts(), [breaks, "chunk:many-chunks 3"]);
            // A kept instance leaves its receipt after the turn's last frame.
            world.assert_idle().await;
            let receipts = world.receipts(&said.end.receipts).await;
            let streams: Vec<_> =
                receipts.iter().filter(|receipt| receipt.export == "filter.stream").collect();
            assert_eq!(streams.len(), 1, "{breaks}: {streams:?}");
            assert_eq!(streams[0].outcome.as_str(), outcome, "{breaks}");
            assert_eq!(calls(&world, &said, "misbehave filter.outlet").await, 0, "{breaks}");
            // It was for that turn alone.
            let next = world.chat(world.turn("probe.one", &pieces(&["chunk:many-chunks 3"]))).await;
            assert_eq!(next.texts(), ["chunk:many-chunks 3", "0", "1", "2"]);
            world.assert_idle().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_that_are_at_work_in_the_background_keep_their_slots() {
    let lingers = filter("misbehave", OnFailure::Closed)
        .grant(&[Permission::Kv])
        .limit("background", 1_000)
        .limit("background-fuel", 1_000_000_000_000)
        .limit("host-calls", 10_000_000);
    let world = world()
        .instances(4)
        .keep_instances(false)
        .plugin(plugin("probe"))
        .plugin(plugin("echo"))
        .plugin(lingers)
        .build()
        .await;
    // Each piece leaves an instance that works on in the background.
    let turn = world.dispatch.chat(world.turn("probe.one", &pieces(&["chunk:background-calls"; 9]))).await;
    let said = tokio::spawn(read(turn.unwrap()));
    let full = async {
        while world.sandbox.free_instances() > 0 && !said.is_finished() {
            tokio::task::yield_now().await;
        }
    };
    full.await;
    assert!(!said.is_finished(), "{:?}", said.await);
    // Somebody else gets a slot in between.
    world.tool("probe", "invocation", json!({})).await.unwrap();
    let end = said.await.unwrap().end;
    assert_eq!(end.error, None);
    world.assert_idle().await;
    let receipts = world.receipts(&end.receipts).await;
    let lingered = receipts.iter().filter(|receipt| receipt.background.is_some()).count();
    assert_eq!(lingered, 9, "{receipts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_with_a_fresh_instance_for_each_piece_needs_one_slot() {
    let fresh = filter("misbehave", OnFailure::Closed).limit("calls-per-plugin", 1);
    let world = world().keep_instances(false).plugin(plugin("probe")).plugin(fresh).build().await;
    let (done, over) = (AtomicBool::new(false), world.slots() - 2);
    let turn = async {
        let said = world.chat(world.turn("probe.one", &pieces(&["a"; 200]))).await;
        done.store(true, Ordering::Relaxed);
        said
    };
    let watch = async {
        while !done.load(Ordering::Relaxed) {
            assert!(world.sandbox.free_instances() >= over, "the filter and the pipe");
            tokio::task::yield_now().await;
        }
    };
    let (said, ()) = tokio::join!(turn, watch);
    assert_eq!(said.text(), "a".repeat(200));
    world.assert_idle().await;
}

/// Whether a filter took part in a turn that asks nothing special of it.
async fn takes_part(world: &World, filter: &str) -> bool {
    let said = world.chat(world.turn("probe.one", &pieces(&["hi"]))).await;
    said.text();
    world.trail(&said).await.iter().any(|call| call.starts_with(filter))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rest_of_a_filter_grows_as_long_as_no_turn_goes_well_with_it() {
    let clock = Clock::manual(1_750_000_000);
    for keep in [true, false] {
        let world = world()
            .clock(clock.clone())
            .keep_instances(keep)
            .plugin(plugin("probe"))
            .plugin(filter("misbehave", OnFailure::Quarantine))
            .build()
            .await;
        let breaks = async || {
            let said = world.chat(world.turn("probe.one", &pieces(&["chunk:trap"]))).await;
            assert_eq!(said.text(), "chunk:trap");
            let hooks = world.trail(&said).await;
            assert!(hooks.contains(&"misbehave filter.stream".to_owned()), "it was at work: {hooks:?}");
        };
        // Its hooks on the request go well each time.
        for rest in [10, 20, 40] {
            breaks().await;
            clock.advance(rest - 1);
            assert!(!takes_part(&world, "misbehave").await, "keep {keep}: it rests for {rest} seconds");
            clock.advance(1);
        }
        assert!(takes_part(&world, "misbehave").await, "keep {keep}");
        breaks().await;
        clock.advance(10);
        assert!(takes_part(&world, "misbehave").await, "keep {keep}: a turn went well, so it begins anew");
        world.assert_idle().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_makes_no_filter_rest() {
    let world =
        world().plugin(plugin("probe")).plugin(filter("misbehave", OnFailure::Quarantine)).build().await;
    let handle = world.dispatch.chat(world.turn("probe.one", "inlet:wait")).await.unwrap();
    soon("the filter is at work", || world.sandbox.free_instances() < world.slots()).await;
    drop(handle);
    world.assert_idle().await;
    assert!(takes_part(&world, "misbehave").await);
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_a_filter_adds_to_an_answer_are_its_host_calls() {
    let upstream = crate::upstream::Upstream::start().await;
    let adds = plugin("probe")
        .filter(|filter| filter.toggle = false)
        .global()
        .limit("host-calls", 5)
        .grant(&[Permission::EventsEmit]);
    let world = world().provider(upstream.config()).plugin(adds).build().await;
    let event = json!({ "Event": {"kind": "status", "data": "{\"description\":\"x\"}"} });
    for (count, fits) in [(5, true), (6, false)] {
        let adds = order("stream", "chunks", json!({ "chunks": vec![event.clone(); count] }));
        let said = world.chat(world.whole_turn("gpt-fake", &adds)).await;
        if fits {
            said.text();
            assert_eq!(said.events().len(), count);
        } else {
            assert!(said.events().is_empty(), "{said:?}");
            assert_eq!(said.error(), DispatchError::Limit { plugin: id("probe"), limit: "host-calls" });
        }
    }
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_a_filter_adds_to_an_answer_need_its_own_grants() {
    let event = |kind: &str, data: Value| json!({ "Event": {"kind": kind, "data": data.to_string()} });
    let events = [
        event("status", json!({ "description": "x" })),
        event("execute", json!({ "code": "alert(1)" })),
        event("embeds", json!({ "embeds": ["<b>x</b>"] })),
        event("invented", json!({})),
        json!({ "Raw": json!({ "event": {"type": "execute", "data": {"code": "alert(2)"}} }).to_string() }),
    ];
    let adds = order("stream", "chunks", json!({ "chunks": events }));
    for (grants, expected) in [
        (&[][..], &[][..]),
        (&[Permission::EventsEmit], &["status"]),
        (&[Permission::EventsEmit, Permission::EventsHtml], &["status", "embeds"]),
        (&[Permission::EventsEmit, Permission::EventsScript], &["status", "execute", "execute"]),
    ] {
        let adding = filter("probe", OnFailure::Closed).grant(grants);
        let world = world().plugin(plugin("echo")).plugin(adding).build().await;
        let said = world.chat(world.whole_turn("echo", &adds)).await;
        assert_eq!(said.text(), adds);
        let kinds: Vec<_> = said.events().iter().map(|event| event.kind.as_str()).collect();
        assert_eq!(kinds, expected, "{grants:?}");
        world.assert_idle().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_that_is_turned_off_meanwhile_is_passed_over_as_the_operator_set() {
    for policy in POLICIES {
        let world = world().plugin(plugin("echo")).plugin(filter("probe", policy)).build().await;
        let sleeps = order("inlet", "wasi.sleep", json!({ "milliseconds": 60_000 }));
        let turn = world.dispatch.chat(world.turn("echo", &sleeps)).await.unwrap();
        soon("the filter is at work", || world.sandbox.free_instances() < world.slots() - 1).await;
        world.registry.disable(&id("probe")).await.unwrap();
        let said = read(turn).await;
        if policy == OnFailure::Closed {
            assert_eq!(said.error().code(), "cancelled");
        } else {
            assert_eq!(said.text(), sleeps, "{policy:?}");
        }
        // It was at no fault.
        world.registry.enable(&id("probe")).await.unwrap();
        let said = world.chat(world.turn("echo", "hi")).await;
        assert!(world.trail(&said).await.iter().any(|call| call.starts_with("probe ")), "{policy:?}");
        world.assert_idle().await;
    }
}
