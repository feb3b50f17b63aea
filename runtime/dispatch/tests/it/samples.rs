//! Filters of the samples, with their instance kept through the turn and with a fresh one for each hook: the same comes of it.

use innkeeper_model::Permission;
use serde_json::{Value, json};

use crate::upstream::{Upstream, delta};
use crate::world::{Installed, Said, World, plugin, world};

/// Runs the same in two worlds, and checks that the same came of it.
async fn both(filter: fn() -> Installed, upstream: &Upstream, bodies: &[Value]) -> Vec<Vec<Said>> {
    let mut results = Vec::new();
    for keep in [true, false] {
        let world = world()
            .keep_instances(keep)
            .provider(upstream.config())
            .plugin(plugin("echo"))
            .plugin(filter())
            .build()
            .await;
        let mut said = Vec::new();
        for body in bodies {
            said.push(world.chat(world.turn_of(body.clone())).await);
        }
        check_calls(&world, keep, &said).await;
        world.assert_idle().await;
        results.push(said);
    }
    let texts = |said: &Vec<Said>| said.iter().map(Said::partial).collect::<Vec<_>>();
    assert_eq!(texts(&results[0]), texts(&results[1]));
    results
}

/// No call of a filter may have ended by anything but its own word.
async fn check_calls(world: &World, keep: bool, said: &[Said]) {
    for said in said {
        let receipts = world.receipts(&said.end.receipts).await;
        for receipt in receipts {
            assert!(matches!(receipt.outcome.as_str(), "ok" | "rejected"), "keep {keep}: {receipt:?}");
        }
    }
}

fn user(model: &str, stream: bool, text: &str) -> Value {
    json!({ "model": model, "stream": stream, "messages": [{"role": "user", "content": text}] })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn context_clip_keeps_the_last_messages() {
    let upstream = Upstream::start().await;
    let message = |role: &str, text: &str| json!({ "role": role, "content": text });
    let messages = [
        message("system", "s"),
        message("user", "1"),
        message("assistant", "2"),
        message("user", "3"),
        message("assistant", "4"),
        message("user", "5"),
    ];
    let body = json!({ "model": "gpt-fake", "stream": true, "messages": messages });
    let filter = || plugin("context-clip").valves(json!({"keep": 2})).global();
    both(filter, &upstream, &[body]).await;
    let asked = upstream.asked();
    assert_eq!(asked.len(), 2);
    for body in asked {
        let texts: Vec<_> = body["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|message| message["content"].as_str().unwrap())
            .collect();
        assert_eq!(texts, ["s", "4", "5"]);
    }
}

fn redaction() -> Installed {
    plugin("redaction").grant(&[Permission::Kv]).valves(json!({"words": ["Project Heron"]})).global()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redaction_takes_out_what_is_split_over_pieces() {
    let upstream = Upstream::start().await;
    upstream.say(
        ["Write to ann", "@exam", "ple.or", "g about proj", "ect he", "ron, card 4111 1111", " 1111 1111."]
            .map(delta)
            .to_vec(),
    );
    let said = both(redaction, &upstream, &[user("gpt-fake", true, "who is bob@example.org?")]).await;
    for said in said.into_iter().flatten() {
        assert_eq!(said.text(), "Write to [e-mail] about [redacted], card [card number].");
    }
    for body in upstream.asked() {
        assert_eq!(body["messages"][0]["content"], "who is [e-mail]?");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redaction_sees_all_text_that_frames_carry() {
    let upstream = Upstream::start().await;
    let address = "ann@example.org";
    upstream.say(vec![
        json!({ "choices": [{"index": 0, "delta": {"content": format!("a {address} ")}, "logprobs": {"content": [{"token": address}]}}], "x": address }).to_string(),
        json!({ "choices": [{"index": 0, "delta": {"reasoning_content": format!("r {address} ")}}] }).to_string(),
        json!({ "choices": [{"index": 1, "delta": {"content": format!("second {address} ")}}] }).to_string(),
        json!({ "sources": [{"name": address}] }).to_string(),
        json!({ "event": {"type": "status", "data": {"description": address}}, "choices": [{"delta": {"content": format!("b {address} ")}}] }).to_string(),
        json!({ "event": {"type": "message", "data": {"content": address}} }).to_string(),
    ]);
    let said = both(
        redaction,
        &upstream,
        &[user("gpt-fake", true, "hi"), user("echo", false, "to ann@example.org")],
    )
    .await;
    for said in said.into_iter().flatten() {
        assert_eq!(said.end.error, None);
        let shown = format!("{:?}", said.chunks);
        assert!(!shown.contains("ann@") && shown.contains("[e-mail]"), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rate_limit_refuses_the_third_of_two() {
    let upstream = Upstream::start().await;
    let filter = || {
        plugin("rate-limit").grant(&[Permission::Kv]).valves(json!({"requests": 2, "seconds": 600})).global()
    };
    let bodies = [user("echo", true, "one"), user("echo", false, "two"), user("echo", true, "three")];
    for mut said in both(filter, &upstream, &bodies).await {
        let third = said.pop().unwrap().error();
        assert_eq!(third.code(), "rejected");
        assert!(third.to_string().contains("limit of 2 requests in"), "{third}");
        assert_eq!(said.iter().map(Said::text).collect::<Vec<_>>(), ["one", "two"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_three_together_give_the_same_either_way() {
    for keep in [true, false] {
        let world = world()
            .keep_instances(keep)
            .plugin(plugin("echo"))
            .plugin(plugin("context-clip").global())
            .plugin(redaction())
            .plugin(plugin("rate-limit").grant(&[Permission::Kv]).global())
            .build()
            .await;
        let said = world.chat(world.turn("echo", "mail ann@example.org and go")).await;
        assert_eq!(said.text(), "mail [e-mail] and go", "keep {keep}");
        world.assert_idle().await;
    }
}
