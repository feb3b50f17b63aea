//! `context-clip`: the system prompt and the last messages.

use serde_json::{Value, json};

use super::{at_every_hook, both, either_way, turn_by};
use crate::upstream::Upstream;
use crate::world::{Builder, id, plugin};

fn message(role: &str, text: &str) -> Value {
    json!({ "role": role, "content": text })
}

fn body(messages: &[Value]) -> Value {
    json!({ "model": "gpt-fake", "stream": true, "messages": messages })
}

/// Roles and texts of the messages that a model was sent.
fn sent(body: &Value) -> Vec<String> {
    let shown = |message: &Value| {
        let text = |field: &str| message[field].as_str().unwrap_or_default().to_owned();
        format!("{} {}", text("role"), text("content"))
    };
    body["messages"].as_array().unwrap().iter().map(shown).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_system_prompt_and_the_last_messages_stay() {
    let upstream = Upstream::start().await;
    let messages = [
        message("system", "s"),
        message("user", "1"),
        message("assistant", "2"),
        message("developer", "d"),
        message("user", "3"),
        message("assistant", "4"),
        message("user", "5"),
    ];
    let filter = || plugin("context-clip").valves(json!({ "keep": 2 }));
    both(filter, &upstream, &[body(&messages)]).await;
    let asked = upstream.asked();
    assert_eq!(asked.len(), 2);
    for body in asked {
        assert_eq!(sent(&body), ["system s", "developer d", "assistant 4", "user 5"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_of_tools_go_with_the_call_that_they_answer() {
    let upstream = Upstream::start().await;
    let call =
        |id: &str| json!({ "id": id, "type": "function", "function": {"name": "f", "arguments": "{}"} });
    let answer = |id: &str| json!({ "role": "tool", "tool_call_id": id, "content": id });
    let calls = json!({ "role": "assistant", "content": "calls", "tool_calls": [call("a"), call("b")] });
    let messages = [
        message("system", "s"),
        message("user", "1"),
        calls.clone(),
        answer("a"),
        answer("b"),
        message("assistant", "2"),
        message("user", "3"),
    ];
    let bodies = [body(&messages)];
    // Four would leave both answers without their call; five keep all three.
    both(|| plugin("context-clip").valves(json!({ "keep": 4 })), &upstream, &bodies).await;
    for body in upstream.asked() {
        assert_eq!(sent(&body), ["system s", "assistant 2", "user 3"]);
    }
    both(|| plugin("context-clip").valves(json!({ "keep": 5 })), &upstream, &bodies).await;
    let asked = upstream.asked();
    assert_eq!(asked.len(), 4);
    for body in &asked[2..] {
        let expected = ["system s", "assistant calls", "tool a", "tool b", "assistant 2", "user 3"];
        assert_eq!(sent(body), expected);
        assert_eq!(body["messages"][1], calls);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_may_keep_more_or_less_than_the_operator_says() {
    let upstream = Upstream::start().await;
    let messages = ["1", "2", "3", "4", "5"].map(|text| message("user", text));
    let build = |builder: Builder| {
        let filter = plugin("context-clip").valves(json!({ "keep": 2 })).filter(at_every_hook);
        builder.provider(upstream.config()).plugin(filter.global())
    };
    for world in either_way(build).await {
        let before = upstream.asked().len();
        let clip = id("context-clip");
        for (keep, ada) in [(3, 3), (1, 1), (0, 2)] {
            world.registry.set_user_valves(&clip, &world.ada, json!({ "keep": keep })).await.unwrap();
            world.chat(world.turn_of(body(&messages))).await.text();
            assert_eq!(sent(upstream.asked().last().unwrap()).len(), ada, "keep {keep}");
        }
        world.registry.set_user_valves(&clip, &world.ada, json!({ "keep": 1 })).await.unwrap();
        world.chat(turn_by(&world.bob, world.turn_of(body(&messages)))).await.text();
        assert_eq!(sent(upstream.asked().last().unwrap()), ["user 4", "user 5"], "Bob has chosen nothing");
        assert_eq!(upstream.asked().len(), before + 4);
        world.assert_idle().await;
    }
}
