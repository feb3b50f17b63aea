//! `/v1/chat/completions`.

use std::time::Duration;

use futures::StreamExt;
use innkeeper_model::Permission;
use serde_json::{Value, json};

use crate::world::{frames, hide, until, world};

const CHAT: &str = "/v1/chat/completions";

fn say(model: &str, text: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": text}]})
}

fn stream(model: &str, text: &str) -> Value {
    let mut body = say(model, text);
    body["stream"] = json!(true);
    body
}

#[tokio::test]
async fn a_pipe_answers_as_a_whole() {
    let world = world().await;
    world.install("echo", &[]).await;
    let answer = world.post(CHAT, &world.user, &say("echo", "hello there")).await.expect(200);
    assert!(answer.headers.contains_key("x-innkeeper-turn"));
    insta::assert_json_snapshot!("completion", hide(answer.json(), &["/id", "/created"]));
}

#[tokio::test]
async fn a_pipe_answers_as_a_stream() {
    let world = world().await;
    world.install("echo", &[]).await;
    let answer = world.post(CHAT, &world.user, &stream("echo", "hello there")).await.expect(200);
    assert_eq!(answer.headers["content-type"], "text/event-stream; charset=utf-8");
    let mut all = frames(&answer.text);
    assert_eq!(all.pop().as_deref(), Some("[DONE]"));
    let chunks: Vec<Value> = all.iter().map(|frame| serde_json::from_str(frame).unwrap()).collect();
    let text: String =
        chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text, "hello there");
    let roles: Vec<&Value> = chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]["role"]).collect();
    assert_eq!(roles[0], &json!("assistant"), "who speaks comes first");
    assert!(roles[1..].iter().all(|role| role.is_null()), "and once: {roles:?}");
    assert!(
        chunks
            .iter()
            .all(|chunk| chunk["id"] == chunks[0]["id"] && chunk["object"] == json!("chat.completion.chunk"))
    );
    assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], json!("stop"));
}

#[tokio::test]
async fn an_unknown_model_is_a_404_in_openais_envelope() {
    let world = world().await;
    for body in [say("nothing", "x"), stream("nothing", "x"), say("Echo\u{1b}[31m", "x")] {
        let answer = world.post(CHAT, &world.user, &body).await.expect(404);
        assert_eq!(answer.code(), "model_not_found");
        assert_eq!(answer.json()["error"]["param"], json!("model"));
        assert!(!answer.message().contains('\u{1b}'));
    }
}

#[tokio::test]
async fn a_plugin_that_refuses_or_breaks_is_an_error_with_its_name() {
    let world = world().await;
    world.install("echo", &[]).await;
    world.install("misbehave", &[]).await;
    let nothing = json!({"model": "echo", "messages": []});
    let refused = world.post(CHAT, &world.user, &nothing).await.expect(400);
    assert_eq!(
        (refused.code(), refused.message()),
        ("rejected".to_owned(), "There is no message to repeat.".to_owned())
    );
    for body in [say("misbehave", "run:trap"), stream("misbehave", "run:trap")] {
        let broken = world.post(CHAT, &world.user, &body).await.expect(502);
        assert_eq!(broken.code(), "plugin_crashed");
        assert!(broken.message().contains("misbehave"), "{}", broken.text);
        assert_eq!(broken.headers["x-should-retry"], "false");
        // Its receipts can be found.
        let turn = broken.headers["x-innkeeper-turn"].to_str().unwrap();
        let receipts = world.get(&format!("/api/receipts?turn={turn}"), &world.user).await.expect(200).json();
        assert_eq!(receipts["data"][0]["outcome"], json!("trapped"));
    }
    // Once it has said something the failure comes in the stream.
    let late = world.post(CHAT, &world.user, &stream("misbehave", "feed:trap")).await.expect(200);
    let all = frames(&late.text);
    assert!(all[0].contains("begun"), "{all:?}");
    let errors: Vec<&String> = all.iter().filter(|frame| frame.contains("\"error\"")).collect();
    assert_eq!(errors.len(), 1, "{all:?}");
    assert_eq!(all.last().map(String::as_str), Some("[DONE]"));
    // And the server goes on.
    world.post(CHAT, &world.user, &say("echo", "still here")).await.expect(200);
}

#[tokio::test]
async fn events_are_frames_of_the_stream() {
    let world = world().await;
    world.install("probe", &[Permission::EventsEmit]).await;
    let order = json!({"import": "events.emit", "place": "feed", "args": {"event": {"Status": {"description": "working", "done": false, "hidden": false}}}});
    let answer = world.post(CHAT, &world.user, &stream("probe.one", &order.to_string())).await.expect(200);
    let event = frames(&answer.text).into_iter().find(|frame| frame.starts_with("{\"event\":"));
    let event: Value = serde_json::from_str(&event.unwrap_or_else(|| panic!("{}", answer.text))).unwrap();
    assert_eq!(event["event"]["type"], json!("status"));
    assert_eq!(event["event"]["data"]["description"], json!("working"));
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_its_turn() {
    let world = world().await;
    world.install("misbehave", &[]).await;
    let listening = world.listen().await;
    for body in [
        stream("misbehave", "feed:endless-file"),
        stream("misbehave", "feed:silent-stream"),
        say("misbehave", "run:wait"),
    ] {
        let post = listening.post(CHAT, &world.user, &body);
        let request = tokio::spawn(async move {
            let mut pieces = post.send().await.unwrap().bytes_stream();
            while pieces.next().await.is_some() {}
        });
        until("the turn runs", async || world.dispatch.running() == 1).await;
        request.abort();
        until(&format!("the turn of {body} has ended"), async || world.dispatch.running() == 0).await;
    }
}

#[tokio::test]
async fn a_silent_stream_shows_that_it_is_alive() {
    let options = innkeeper_server::ServerOptions {
        keep_alive: Duration::from_millis(50),
        first_frame: Duration::from_millis(50),
        ..innkeeper_server::ServerOptions::default()
    };
    let world = crate::world::world_with(options).await;
    world.install("misbehave", &[]).await;
    let listening = world.listen().await;
    let body = stream("misbehave", "feed:silent-stream");
    let post = listening.post(CHAT, &world.user, &body);
    let mut pieces = post.send().await.unwrap().bytes_stream();
    let mut text = String::new();
    while text.matches(": keep-alive\n\n").count() < 2 {
        let piece =
            tokio::time::timeout(Duration::from_secs(5), pieces.next()).await.unwrap().unwrap().unwrap();
        text.push_str(std::str::from_utf8(&piece).unwrap());
    }
}

#[tokio::test]
async fn an_answer_that_ends_as_failed_is_one_error_in_the_words_of_the_plugin() {
    let world = world().await;
    world.install("probe", &[]).await;
    let pieces = json!({"chunks": [{"Text": "half "}, {"Failed": "no more"}]});
    let order = json!({"import": "chunks", "place": "feed", "args": pieces}).to_string();
    let whole = world.post(CHAT, &world.user, &say("probe.one", &order)).await.expect(502);
    assert_eq!((whole.code(), whole.message()), ("answer_failed".to_owned(), "no more".to_owned()));
    let streamed = world.post(CHAT, &world.user, &stream("probe.one", &order)).await.expect(200);
    let all = frames(&streamed.text);
    assert!(all[0].contains("half "), "{all:?}");
    assert_eq!(all.iter().filter(|frame| frame.contains("\"error\"")).count(), 1, "{all:?}");
    assert_eq!(all.last().map(String::as_str), Some("[DONE]"));
}

#[tokio::test]
async fn an_id_that_cannot_be_the_answers_is_the_clients_fault() {
    let world = world().await;
    world.install("echo", &[]).await;
    let chat = world.post("/api/chats", &world.user, &json!({})).await.expect(201).json();
    let path = format!("/api/chats/{}", chat["id"].as_str().unwrap());
    let mut body = say("echo", "hello");
    // By either name of the field.
    body["id"] = json!("mine");
    world.post(&format!("{path}/completions"), &world.user, &body).await.expect(200);
    body["message_id"] = body.as_object_mut().and_then(|fields| fields.remove("id")).unwrap();
    let taken = world.post(&format!("{path}/completions"), &world.user, &body).await.expect(409);
    assert_eq!(taken.code(), "conflict");
    body["message_id"] = json!("x".repeat(250));
    let long = world.post(&format!("{path}/completions"), &world.user, &body).await.expect(400);
    assert_eq!(long.code(), "invalid_body");
    let messages = world.get(&format!("{path}/messages"), &world.user).await.expect(200).json();
    assert_eq!(messages["data"].as_array().unwrap().len(), 2);
    // A message that is to be there already is refused where it is not.
    let mut body = say("echo", "hello");
    (body["chat_id"], body["message_id"]) = (chat["id"].clone(), json!("nobodys"));
    let missing = world.post(CHAT, &world.user, &body).await.expect(403);
    assert_eq!(missing.code(), "not_allowed");
    body["message_id"] = json!("mine");
    world.post(CHAT, &world.user, &body).await.expect(200);
}
