//! `redaction`: what models get, what streams, and what is stored of an answer.

use innkeeper_dispatch::ChatTurn;
use innkeeper_model::authority::Authority;
use innkeeper_model::chunk::Chunk;
use innkeeper_model::manifest::FilterHooks;
use innkeeper_model::{ChatId, Permission};
use serde_json::{Value, json};

use super::{both, either_way, user};
use crate::upstream::{Upstream, delta};
use crate::world::{Builder, Installed, Said, World, plugin};

fn redaction() -> Installed {
    plugin("redaction").grant(&[Permission::Kv]).valves(json!({ "words": ["Project Heron"] })).global()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_split_over_pieces_is_taken_out() {
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
async fn all_text_that_frames_carry_is_seen() {
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
    let bodies = [user("gpt-fake", true, "hi"), user("echo", false, "to ann@example.org")];
    let said = both(redaction, &upstream, &bodies).await;
    for said in said.into_iter().flatten() {
        assert_eq!(said.end.error, None);
        let shown = format!("{:?}", said.chunks);
        assert!(!shown.contains("ann@") && shown.contains("[e-mail]"), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_tools_are_called_with_is_seen() {
    let upstream = Upstream::start().await;
    let call =
        |fields: Value| json!({ "choices": [{"index": 0, "delta": {"tool_calls": [fields]}}] }).to_string();
    let first =
        json!({ "index": 0, "id": "c1", "type": "function", "function": {"name": "send", "arguments": ""} });
    let second = json!({ "index": 1, "id": "c2", "type": "function", "function": {"name": "send", "arguments": "{\"to\":\"bob@" } });
    let piece = |index: u32, text: &str| call(json!({ "index": index, "function": {"arguments": text} }));
    upstream.say(vec![
        delta("ask ann@exam"),
        call(first),
        piece(0, r#"{"to":"ann@exam"#),
        call(second),
        piece(0, r#"ple.org","text":"Hi\nproject"#),
        piece(1, r#"example.org"}"#),
        delta("ple.org"),
        piece(0, r#" heron"}"#),
    ]);
    let asked = json!({ "model": "gpt-fake", "stream": true, "messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": null, "refusal": "not to ann@example.org", "tool_calls": [
            {"id": "c0", "type": "function", "function": {"name": "send", "arguments": r#"{"to":"ann@example.org"}"#}}
        ]},
        {"role": "tool", "tool_call_id": "c0", "content": "sent to ann@example.org"},
    ]});
    for said in both(redaction, &upstream, &[asked]).await.into_iter().flatten() {
        assert_eq!(said.end.error, None);
        let mut collected = innkeeper_model::chunk::Collector::default();
        said.chunks.iter().for_each(|chunk| collected.add(chunk).unwrap());
        let answer: Value = serde_json::from_str(&collected.completion_json("id", 0, "m").unwrap()).unwrap();
        let message = &answer["choices"][0]["message"];
        assert_eq!(message["content"], "ask [e-mail]", "{answer}");
        let arguments =
            |index: usize| message["tool_calls"][index]["function"]["arguments"].as_str().unwrap();
        let parsed = |index| serde_json::from_str::<Value>(arguments(index)).unwrap();
        assert_eq!(parsed(0), json!({ "to": "[e-mail]", "text": "Hi\n[redacted]" }), "{answer}");
        assert_eq!(parsed(1), json!({ "to": "[e-mail]" }), "{answer}");
        assert_eq!(message["tool_calls"][1]["id"], "c2");
        let shown = format!("{:?}", said.chunks);
        assert!(!["ann@", "bob@", "heron"].iter().any(|part| shown.contains(part)), "{shown}");
    }
    for body in upstream.asked() {
        let body = body.to_string();
        assert_eq!((body.matches("[e-mail]").count(), body.contains("ann@")), (3, false), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_storage_a_fresh_instance_lets_nothing_through() {
    let upstream = Upstream::start().await;
    upstream.say(["Write to ann@exam", "ple.org"].map(delta).to_vec());
    let build = |builder: Builder| builder.provider(upstream.config()).plugin(plugin("redaction").global());
    let [kept, fresh] = either_way(build).await;
    assert_eq!(kept.chat(kept.turn("gpt-fake", "hi")).await.text(), "Write to [e-mail]", "it needs none");
    let chat = fresh.new_chat(&fresh.ada, "Stored").await;
    let turn = fresh.turn("gpt-fake", "hi");
    let said = fresh.chat(ChatTurn { chat: Some(chat.clone()), store_turn: true, ..turn }).await;
    assert_eq!(said.chunks, []);
    let error = said.error();
    assert_eq!(error.code(), "plugin_failed");
    assert!(error.to_string().contains("was denied `kv`"), "{error}");
    assert_eq!(rows(&fresh, &chat).await, [row("user", "hi", None), row("assistant", "", None)]);
    for world in [kept, fresh] {
        world.assert_idle().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_turns_each_kind_off() {
    const ASKED: &str = "ann@example.org, 4111 1111 1111 1111, project heron";
    for (valves, expected) in [
        (json!({ "emails": false }), "ann@example.org, [card number], project heron"),
        (json!({ "cards": false }), "[e-mail], 4111 1111 1111 1111, project heron"),
        (
            json!({ "emails": false, "cards": false, "words": ["heron"] }),
            "ann@example.org, 4111 1111 1111 1111, project [redacted]",
        ),
        (json!({ "emails": false, "cards": false }), ASKED),
    ] {
        let upstream = Upstream::start().await;
        // Split where each match could be cut.
        upstream.say(["ann@exam", "ple.org, 4111 1111 ", "1111 1111, project her", "on"].map(delta).to_vec());
        let build = |builder: Builder| {
            let filter = plugin("redaction").grant(&[Permission::Kv]).valves(valves.clone()).global();
            builder.provider(upstream.config()).plugin(filter)
        };
        for world in either_way(build).await {
            let said = world.chat(world.turn("gpt-fake", ASKED)).await;
            assert_eq!(said.text(), expected, "{valves}");
            world.assert_idle().await;
        }
        for body in upstream.asked() {
            assert_eq!(body["messages"][0]["content"], expected, "{valves}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_answer_passes_with_what_was_held_back_before_it() {
    let upstream = Upstream::start().await;
    let failed = json!({ "error": {"message": "ask ann@example.org why"} }).to_string();
    upstream.say(vec![delta("write to bob@exam"), delta("ple.org"), failed]);
    for said in both(redaction, &upstream, &[user("gpt-fake", true, "hi")]).await.into_iter().flatten() {
        assert_eq!(said.partial(), "write to [e-mail]");
        let failed = said.chunks.iter().position(|chunk| matches!(chunk, Chunk::Failed(_)));
        let failed = failed.unwrap_or_else(|| panic!("{:?}", said.chunks));
        assert_eq!(said.chunks[failed], Chunk::Failed("ask [e-mail] why".to_owned()));
        let text = |chunk: &Chunk| matches!(chunk, Chunk::Text(_) | Chunk::Delta(_));
        assert!(!said.chunks[failed..].iter().any(text), "{:?}", said.chunks);
    }
}

/// A stored turn, in which a model that was asked `who is bob@example.org?` names an address itself.
async fn stored_turn(world: &World, upstream: &Upstream) -> (ChatId, Said) {
    upstream.say(["Write to ann@exam", "ple.org"].map(delta).to_vec());
    let chat = world.new_chat(&world.ada, "Stored").await;
    let turn = world.turn("gpt-fake", "who is bob@example.org?");
    let said = world.chat(ChatTurn { chat: Some(chat.clone()), store_turn: true, ..turn }).await;
    (chat, said)
}

/// Role, text and the text before an outlet filter changed it, of each message of a chat: in its row, and in the chat's document.
async fn rows(world: &World, chat: &ChatId) -> Vec<(String, String, Option<String>)> {
    let document: String = sqlx::query_scalar("SELECT chat FROM chat WHERE id = ?")
        .bind(chat.as_str())
        .fetch_one(world.sqlite())
        .await
        .unwrap();
    let document: Value = serde_json::from_str(&document).unwrap();
    let authority = Authority::Own(world.ada.clone());
    let kept = world.store.chat_messages().branch(&authority, chat, None).await.unwrap();
    let mut rows = Vec::new();
    for message in kept {
        let in_document = &document["history"]["messages"][message.id.as_str()];
        assert_eq!(in_document["content"], message.content, "{document}");
        let original = in_document["originalContent"].as_str().map(str::to_owned);
        rows.push((message.role, message.content, original));
    }
    rows
}

fn row(role: &str, text: &str, original: Option<&str>) -> (String, String, Option<String>) {
    (role.to_owned(), text.to_owned(), original.map(str::to_owned))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_hold_what_the_person_typed_and_the_answer_without_matches() {
    let upstream = Upstream::start().await;
    for world in either_way(|builder| builder.provider(upstream.config()).plugin(redaction())).await {
        let (chat, said) = stored_turn(&world, &upstream).await;
        assert_eq!(said.text(), "Write to [e-mail]");
        assert_eq!(upstream.asked().last().unwrap()["messages"][0]["content"], "who is [e-mail]?");
        // The hook on pieces has left nothing for `outlet` to change.
        assert!(said.events().is_empty(), "{said:?}");
        let expected =
            [row("user", "who is bob@example.org?", None), row("assistant", "Write to [e-mail]", None)];
        assert_eq!(rows(&world, &chat).await, expected);
        world.assert_idle().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_outlet_alone_takes_matches_out_of_the_stored_answer() {
    let upstream = Upstream::start().await;
    let build = |builder: Builder| {
        let alone = redaction()
            .filter(|filter| filter.hooks = FilterHooks { outlet: true, ..FilterHooks::default() });
        builder.provider(upstream.config()).plugin(alone)
    };
    for world in either_way(build).await {
        let (chat, said) = stored_turn(&world, &upstream).await;
        assert_eq!(said.text(), "Write to ann@example.org");
        assert_eq!(upstream.asked().last().unwrap()["messages"][0]["content"], "who is bob@example.org?");
        let expected = [
            row("user", "who is bob@example.org?", None),
            row("assistant", "Write to [e-mail]", Some("Write to ann@example.org")),
        ];
        assert_eq!(rows(&world, &chat).await, expected);
        // Clients that show stored text are told of every message that changed.
        let [event] = said.events()[..] else { panic!("{said:?}") };
        assert_eq!(event.kind, "chat:outlet");
        let changed = event.data["messages"].as_array().unwrap();
        let changed: Vec<_> = changed.iter().map(|message| message["content"].as_str().unwrap()).collect();
        assert_eq!(changed, ["who is [e-mail]?", "Write to [e-mail]"]);
        world.assert_idle().await;
    }
}
