//! What plugins show: to whom, in which order, and what they may not.

use std::time::Duration;

use innkeeper_dispatch::{Delivery, Subscription};
use innkeeper_model::Permission;
use innkeeper_model::event::WireEvent;
use innkeeper_model::permission::Grant;
use serde_json::{Value, json};

use crate::world::{completion, id, order, plugin, world};

/// What has arrived so far.
pub(crate) async fn arrived(subscription: &mut Subscription) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    while let Ok(Some(delivery)) = tokio::time::timeout(Duration::from_millis(50), subscription.next()).await
    {
        deliveries.push(delivery);
    }
    deliveries
}

fn status(text: &str) -> Value {
    json!({ "event": {"Status": {"description": text, "done": false, "hidden": false}} })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_reach_that_persons_subscribers_in_order_and_nobody_else() {
    let world = world().plugin(plugin("misbehave").grant(&[Permission::EventsEmit])).build().await;
    let mut ada = [
        world.dispatch.hub().subscribe(&world.ada).unwrap(),
        world.dispatch.hub().subscribe(&world.ada).unwrap(),
    ];
    let mut bob = world.dispatch.hub().subscribe(&world.bob).unwrap();
    let said = world.chat(world.turn("misbehave", "many-events 50")).await;
    said.text();
    let numbers = |events: Vec<&WireEvent>| -> Vec<String> {
        events.iter().map(|event| event.data["description"].as_str().unwrap().to_owned()).collect()
    };
    let expected: Vec<_> = (0..50).map(|number| number.to_string()).collect();
    assert_eq!(numbers(said.events()), expected);
    for subscription in &mut ada {
        let deliveries = arrived(subscription).await;
        assert_eq!(numbers(deliveries.iter().map(|delivery| &*delivery.event).collect()), expected);
        assert!(
            deliveries
                .iter()
                .zip(1..)
                .all(|(delivery, number)| delivery.sequence == number && delivery.ask.is_none())
        );
    }
    assert_eq!(arrived(&mut bob).await, []);
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn script_and_html_are_refused_without_permissions_of_their_own() {
    let world = world()
        .plugin(plugin("misbehave").grant(&[Permission::EventsEmit, Permission::EventsCall]))
        .build()
        .await;
    let mut ada = world.dispatch.hub().subscribe(&world.ada).unwrap();
    let said = world.chat(world.whole_turn("misbehave", "forbidden-events")).await;
    let text = said.text();
    assert_eq!(text.lines().count(), 9, "{text}");
    assert!(text.lines().all(|line| line.contains("denied")), "{text}");
    assert!(said.events().is_empty());
    assert_eq!(arrived(&mut ada).await, []);
    world.assert_idle().await;
}

/// A pipe's raw frame with an event in it.
fn raw(event: Value) -> String {
    json!({ "event": event }).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_raw_frame_with_an_event_needs_the_same_permissions() {
    // `forward` gives raw JSON of a whole completion on; `echo` cannot make frames, so a provider does, through `forward`.
    let script = json!({ "type": "execute", "data": {"code": "alert(1)"} });
    let html = json!({ "type": "embeds", "data": {"embeds": ["<b>"]} });
    let shown = json!({ "type": "status", "data": {"description": "working"} });
    let frames = vec![
        raw(script.clone()),
        raw(html),
        raw(shown),
        json!({ "choices": [{"delta": {"content": "text"}}], "event": script }).to_string(),
    ];
    let upstream = crate::upstream::Upstream::start().await;
    upstream.say(frames);
    let world = world()
        .provider(upstream.config())
        .plugin(plugin("forward").grant(&[Permission::Completions, Permission::EventsEmit]))
        .build()
        .await;
    for model in ["gpt-fake", "forward.gpt-fake"] {
        let said = world.chat(world.turn(model, "hi")).await;
        assert_eq!(said.text(), "text", "{said:?}");
        let kinds: Vec<_> = said.events().iter().map(|event| event.kind.clone()).collect();
        assert_eq!(kinds, ["status"], "{model}");
    }
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_in_a_pipes_own_raw_frames_need_the_same_permissions() {
    let frames = [
        json!({ "event": {"type": "execute", "data": {"code": "alert(1)"}} }),
        json!({ "event": {"type": "embeds", "data": {"embeds": ["<b>"]}} }),
        json!({ "event": {"type": "Execute", "data": {}}, "choices": [{"delta": {"content": "text"}}] }),
        json!({ "event": {"type": "status", "data": {"description": "working"}} }),
    ];
    let chunks: Vec<_> = frames.iter().map(|frame| json!({ "Raw": frame.to_string() })).collect();
    let text = order("feed", "chunks", json!({ "chunks": chunks }));
    let shown = async |grants: &[Permission]| {
        let world = world().plugin(plugin("probe").grant(grants)).build().await;
        let mut ada = world.dispatch.hub().subscribe(&world.ada).unwrap();
        let said = world.chat(world.turn("probe.one", &text)).await;
        assert_eq!(said.text(), "text", "{said:?}");
        let kinds: Vec<_> = said.events().iter().map(|event| event.kind.clone()).collect();
        let arrived = arrived(&mut ada).await;
        assert_eq!(arrived.iter().map(|delivery| delivery.event.kind.clone()).collect::<Vec<_>>(), kinds);
        world.assert_idle().await;
        kinds
    };
    assert!(shown(&[]).await.is_empty());
    assert_eq!(shown(&[Permission::EventsEmit]).await, ["status"]);
    assert_eq!(shown(&[Permission::EventsEmit, Permission::EventsHtml]).await, ["embeds", "status"]);
    let script = &[Permission::EventsEmit, Permission::EventsScript];
    assert_eq!(shown(script).await, ["execute", "Execute", "status"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_pass_filters_and_filters_add_none_that_they_may_not() {
    let upstream = crate::upstream::Upstream::start().await;
    upstream.say(vec![raw(json!({ "type": "status", "data": {"description": "asking ann@example.org"} }))]);
    let world = world()
        .provider(upstream.config())
        .plugin(plugin("redaction").grant(&[Permission::Kv]).global())
        .build()
        .await;
    let said = world.chat(world.turn("gpt-fake", "hi")).await;
    let events = said.events();
    assert_eq!(events.len(), 1, "{said:?}");
    assert_eq!(events[0].data["description"], "asking [e-mail]");
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_is_never_turned_into_a_frame() {
    let all = [Permission::EventsEmit, Permission::EventsHtml, Permission::EventsScript];
    let frames = [
        r#"data: {"event":{"type":"execute","data":{"code":"alert(1)"}}}"#,
        r#"{"event":{"type":"execute","data":{"code":"alert(1)"}}}"#,
        "\n\ndata: {\"event\":{\"type\":\"status\",\"data\":{}}}\n\ndata: [DONE]\n\n",
    ];
    let upstream = crate::upstream::Upstream::start().await;
    let world = world()
        .provider(upstream.config())
        .plugin(plugin("echo").grant(&all))
        .plugin(plugin("probe").grant(&all))
        .plugin(plugin("redaction").grant(&all).global())
        .build()
        .await;
    let mut ada = world.dispatch.hub().subscribe(&world.ada).unwrap();
    for frame in frames {
        let fed = order("feed", "chunks", json!({ "chunks": [{"Text": frame}] }));
        for (model, asked) in [("echo", frame), ("probe.one", fed.as_str()), ("gpt-fake", frame)] {
            for turn in [world.turn(model, asked), world.whole_turn(model, asked)] {
                let said = world.chat(turn).await;
                assert_eq!(said.text(), frame, "{model}");
                let ends = said.chunks.iter().filter(|chunk| chunk.is_end()).count();
                assert_eq!((ends, said.events().len()), (1, 0), "{model}: {said:?}");
            }
        }
    }
    assert_eq!(arrived(&mut ada).await, []);
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_for_other_types_lets_through_those_that_it_lists() {
    let world = world().plugin(plugin("probe").grant(&[Permission::EventsEmit])).build().await;
    let event = |kind: &str| json!({ "event": {"Other": {"kind": kind, "data": "{\"a\":1}"}} });
    let answer = world.probe("events.emit", event("terminal:open")).await;
    assert_eq!(answer["error"]["code"], "denied");
    let grant = Grant { event_types: vec!["terminal:open".to_owned()], ..Grant::default() };
    world.registry.grant(&id("probe"), Permission::EventsOther, grant).await.unwrap();
    assert!(world.probe("events.emit", event("terminal:open")).await.get("ok").is_some());
    assert_eq!(world.probe("events.emit", event("terminal:close")).await["error"]["code"], "denied");
    assert_eq!(world.probe("events.emit", event("Terminal:Open")).await["error"]["code"], "denied");
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_every_place_become_frames_of_the_turn() {
    let world = world()
        .plugin(
            plugin("probe")
                .grant(&[Permission::EventsEmit, Permission::Completions])
                .filter(|filter| filter.toggle = false)
                .global(),
        )
        .plugin(plugin("probe").named("two").grant(&[Permission::EventsEmit]))
        .build()
        .await;
    for place in ["run", "feed", "inlet", "request", "stream", "outlet"] {
        let said = world.chat(world.turn("probe.one", &order(place, "events.emit", status(place)))).await;
        let shown = said.events();
        assert!(
            shown.iter().any(|event| event.kind == "status" && event.data["description"] == place),
            "{place}: {said:?}"
        );
    }
    // Of a pipe that a pipe asked.
    let inner = order("run", "events.emit", status("inner"));
    let said = world
        .chat(world.turn("probe.one", &order("run", "completions.complete", completion("two.one", &inner))))
        .await;
    assert_eq!(said.events().len(), 1, "{said:?}");
    world.assert_idle().await;
}
