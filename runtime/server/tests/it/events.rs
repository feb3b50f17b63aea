//! `/api/events`: server-sent events and answers.

use std::time::Duration;

use futures::StreamExt;
use innkeeper_model::sse::{SseDecoder, SseFrame};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::world::{Listening, Person, client, hide, until, world};

/// Frames of a subscription as they come.
pub(crate) async fn subscribe(listening: &Listening, who: &Person, query: &str) -> mpsc::Receiver<SseFrame> {
    let get = client().get(listening.url(&format!("/api/events{query}"))).bearer_auth(&who.key);
    let response = get.send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    let (sender, mut frames) = mpsc::channel(100);
    tokio::spawn(async move {
        let mut decoder = SseDecoder::new(1 << 20);
        let mut pieces = response.bytes_stream();
        while let Some(Ok(piece)) = pieces.next().await {
            for frame in decoder.push(&piece).unwrap() {
                if sender.send(frame).await.is_err() {
                    return;
                }
            }
        }
    });
    let ready = next(&mut frames).await;
    assert_eq!((ready.event.as_deref(), ready.data.as_str()), (Some("ready"), "{}"));
    frames
}

async fn next(frames: &mut mpsc::Receiver<SseFrame>) -> SseFrame {
    tokio::time::timeout(Duration::from_secs(10), frames.recv()).await.unwrap().unwrap()
}

pub(crate) async fn event(frames: &mut mpsc::Receiver<SseFrame>) -> Value {
    let frame = next(frames).await;
    assert_eq!(frame.event.as_deref(), Some("event"), "{frame:?}");
    serde_json::from_str(&frame.data).unwrap()
}

pub(crate) fn confirm(listening: &Listening, who: &Person) -> tokio::task::JoinHandle<(u16, Value)> {
    let post = listening.post("/api/tools/ask-user/confirm", who, &json!({"question": "Go on?"}));
    tokio::spawn(async move {
        let response = post.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    })
}

#[tokio::test]
async fn a_question_reaches_the_person_and_the_answer_counts_once() {
    let world = world().await;
    world.install("ask-user", &[]).await;
    let listening = world.listen().await;
    let mut own = subscribe(&listening, &world.user, "").await;
    let mut others = subscribe(&listening, &world.admin, "").await;
    let call = confirm(&listening, &world.user);
    let question = event(&mut own).await;
    insta::assert_json_snapshot!("question", hide(question.clone(), &["/turn", "/ask"]));
    let path = format!("/api/events/answers/{}", question["ask"].as_str().unwrap());

    // Neither the admin nor a wrong shape of answer gets anywhere.
    let stolen = world.post(&path, &world.admin, &json!({"answer": true})).await.expect(404);
    assert_eq!(stolen.code(), "unknown-ask");
    world.post(&path, &world.user, &json!({"anwser": true})).await.expect(400);
    world.post(&path, &world.user, &json!({"answer": true})).await.expect(204);
    let late = world.post(&path, &world.user, &json!({"answer": false})).await.expect(404);
    assert_eq!(late.text, stolen.text);

    let (status, outcome) = call.await.unwrap();
    assert_eq!(status, 200, "{outcome}");
    assert_eq!(outcome["result"]["content"][0]["text"], json!("yes"));
    assert!(others.try_recv().is_err(), "an event reached somebody else");
}

#[tokio::test]
async fn a_question_without_anybody_there_fails() {
    let world = world().await;
    world.install("ask-user", &[]).await;
    let answer = world
        .post("/api/tools/ask-user/confirm", &world.user, &json!({"question": "Go on?"}))
        .await
        .expect(502);
    assert!(answer.message().contains("no user who could be asked"), "{}", answer.message());
}

#[tokio::test]
async fn a_caller_that_goes_away_withdraws_its_question() {
    let world = world().await;
    world.install("ask-user", &[]).await;
    let listening = world.listen().await;
    let mut own = subscribe(&listening, &world.user, "").await;
    let call = confirm(&listening, &world.user);
    let question = event(&mut own).await;
    assert_eq!(world.dispatch.hub().open_questions(), 1);
    call.abort();
    until("the question is withdrawn", async || world.dispatch.hub().open_questions() == 0).await;
    let path = format!("/api/events/answers/{}", question["ask"].as_str().unwrap());
    world.post(&path, &world.user, &json!({"answer": true})).await.expect(404);
}

#[tokio::test]
async fn a_subscription_ends_when_its_key_is_revoked() {
    let world = world().await;
    let listening = world.listen().await;
    let mut own = subscribe(&listening, &world.user, "").await;
    world.revoke_elsewhere().await;
    let end = tokio::time::timeout(Duration::from_secs(8), own.recv()).await.unwrap();
    assert_eq!(end, None);
}

#[tokio::test]
async fn one_subscription_too_many_is_told_to_come_back() {
    let world = world().await;
    let listening = world.listen().await;
    let mut open = Vec::new();
    for _ in 0..32 {
        open.push(subscribe(&listening, &world.user, "").await);
    }
    let refused = world.get("/api/events", &world.user).await.expect(429);
    assert_eq!(refused.code(), "too-many-subscriptions");
    subscribe(&listening, &world.admin, "").await;
}

#[tokio::test]
async fn a_subscription_to_one_chat_has_only_its_events() {
    let world = world().await;
    world.install("ask-user", &[]).await;
    let listening = world.listen().await;
    let mut one = subscribe(&listening, &world.user, "?chat_id=temporary:1").await;
    for chat in ["temporary:2", "temporary:1"] {
        let post = listening
            .post("/api/tools/ask-user/confirm", &world.user, &json!({"question": chat}))
            .header("x-openwebui-chat-id", chat);
        tokio::spawn(post.send());
        until("it asks", async || world.dispatch.hub().open_questions() > 0).await;
    }
    let first = event(&mut one).await;
    assert_eq!(first["chat_id"], json!("temporary:1"));
}
