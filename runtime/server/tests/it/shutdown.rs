//! Stopping: readiness off, running turns end, waiting questions are cancelled, a second signal stops at once.

use std::time::Duration;

use futures::StreamExt;
use innkeeper_server::ServerOptions;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::events::subscribe;
use crate::world::{client, until, world_on, world_with};

#[tokio::test]
async fn a_running_turn_ends_before_the_server_does() {
    let world = world_with(ServerOptions::default()).await;
    world.install("misbehave", &[]).await;
    let listening = world.listen().await;
    let post = client()
        .post(listening.url("/api/tools/misbehave/misbehave"))
        .bearer_auth(&world.user.key)
        .json(&json!({"how": "sleep", "amount": 1500}));
    let call = tokio::spawn(async move { post.send().await.unwrap().status().as_u16() });
    until("the call runs", async || world.dispatch.running() == 1).await;
    listening.stop.drain.cancel();
    // The server still answers, and says that it is stopping.
    let client = client();
    until("readiness is off", async || {
        client.get(listening.url("/readyz")).send().await.unwrap().status().as_u16() == 503
    })
    .await;
    let ready: Value = client.get(listening.url("/readyz")).send().await.unwrap().json().await.unwrap();
    assert_eq!((&ready["reason"], &ready["checks"]["draining"]), (&json!("draining"), &json!(true)));
    let refused = client
        .post(listening.url("/v1/chat/completions"))
        .bearer_auth(&world.user.key)
        .json(&json!({"model": "misbehave", "messages": []}))
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status().as_u16(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(call.await.unwrap(), 200);
    drop(client);
    timeout(Duration::from_secs(10), listening.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn at_the_deadline_turns_are_cut_and_questions_are_cancelled() {
    let options = ServerOptions { drain_deadline: Duration::from_millis(300), ..ServerOptions::default() };
    let world = world_with(options).await;
    world.install("ask-user", &[]).await;
    let listening = world.listen().await;
    let mut events = subscribe(&listening, &world.user, "").await;
    let post = client()
        .post(listening.url("/api/tools/ask-user/confirm"))
        .bearer_auth(&world.user.key)
        .json(&json!({"question": "Go on?"}));
    let call = tokio::spawn(async move {
        let answer = post.send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    });
    until("it asks", async || world.dispatch.hub().open_questions() == 1).await;
    let begun = Instant::now();
    listening.stop.drain.cancel();
    let (status, said) = timeout(Duration::from_secs(10), call).await.unwrap().unwrap();
    assert_eq!((status, &said["error"]["code"]), (503, &json!("cancelled")), "{said}");
    assert_eq!(world.dispatch.hub().open_questions(), 0);
    timeout(Duration::from_secs(10), listening.task).await.unwrap().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10));
    // The subscription has ended, too.
    while events.recv().await.is_some() {}
}

#[tokio::test]
async fn a_second_signal_stops_at_once() {
    let world = world_with(ServerOptions::default()).await;
    world.install("misbehave", &[]).await;
    let listening = world.listen().await;
    let body = json!({"model": "misbehave", "stream": true, "messages": [{"role": "user", "content": "feed:silent-stream"}]});
    let post = client().post(listening.url("/v1/chat/completions")).bearer_auth(&world.user.key).json(&body);
    let call = tokio::spawn(async move {
        if let Ok(response) = post.send().await {
            let mut pieces = response.bytes_stream();
            while let Some(Ok(_)) = pieces.next().await {}
        }
    });
    until("the turn runs", async || world.dispatch.running() == 1).await;
    listening.stop.drain.cancel();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let begun = Instant::now();
    listening.stop.now.cancel();
    timeout(Duration::from_secs(5), listening.task).await.unwrap().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    timeout(Duration::from_secs(5), call).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_second_signal_still_keeps_the_receipts() {
    let world = world_with(ServerOptions::default()).await;
    world.install("misbehave", &[]).await;
    let listening = world.listen().await;
    let post = client()
        .post(listening.url("/api/tools/misbehave/misbehave"))
        .bearer_auth(&world.user.key)
        .json(&json!({"how": "wait"}));
    let call = tokio::spawn(post.send());
    until("the call runs", async || world.dispatch.running() == 1).await;
    listening.stop.drain.cancel();
    listening.stop.now.cancel();
    timeout(Duration::from_secs(5), listening.task).await.unwrap().unwrap();
    let receipts = world.get("/api/receipts", &world.user).await.expect(200).json();
    assert_eq!(receipts["data"][0]["outcome"], json!("cancelled"), "{receipts}");
    let _ = call.await;
}

#[tokio::test]
async fn a_database_that_does_not_answer_does_not_keep_the_server_from_stopping() {
    let world =
        world_on(ServerOptions::default(), |options| options.lock_timeout = Duration::from_secs(30)).await;
    world.install("calculator", &[]).await;
    let listening = world.listen().await;
    // A receipt takes numbers, and what is left of them is given back at the end.
    world.post("/api/tools/calculator/calculate", &world.user, &json!({"expression": "1"})).await.expect(200);
    world.dispatch.receipts().flush().await;
    let lock = world.lock().await;
    let begun = Instant::now();
    listening.stop.drain.cancel();
    timeout(Duration::from_secs(6), listening.task).await.unwrap().unwrap();
    assert!(begun.elapsed() > Duration::from_secs(1), "it tries");
    drop(lock);
}

#[tokio::test]
async fn a_second_signal_does_not_wait_for_the_database() {
    let world =
        world_on(ServerOptions::default(), |options| options.lock_timeout = Duration::from_secs(30)).await;
    world.install("calculator", &[]).await;
    let listening = world.listen().await;
    world.post("/api/tools/calculator/calculate", &world.user, &json!({"expression": "1"})).await.expect(200);
    let lock = world.lock().await;
    world.post("/api/tools/calculator/calculate", &world.user, &json!({"expression": "1"})).await.expect(200);
    listening.stop.drain.cancel();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let begun = Instant::now();
    listening.stop.now.cancel();
    timeout(Duration::from_secs(6), listening.task).await.unwrap().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    drop(lock);
}
