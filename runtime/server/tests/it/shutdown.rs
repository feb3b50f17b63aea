//! Stopping: readiness off, running turns end, waiting questions are cancelled, a second signal stops at once.

use std::time::Duration;

use futures::StreamExt;
use innkeeper_server::ServerOptions;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use crate::events::subscribe;
use crate::world::{Listening, World, client, until, world_on, world_with};

#[tokio::test]
async fn a_running_turn_ends_before_the_server_does() {
    let world = world_with(ServerOptions::default()).await;
    world.install("misbehave", &[]).await;
    let listening = world.listen().await;
    let post = listening.post(
        "/api/tools/misbehave/misbehave",
        &world.user,
        &json!({"how": "sleep", "amount": 1500}),
    );
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
    listening.ended(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn at_the_deadline_turns_are_cut_and_questions_are_cancelled() {
    let options = ServerOptions { drain_deadline: Duration::from_millis(300), ..ServerOptions::default() };
    let world = world_with(options).await;
    world.install("ask-user", &[]).await;
    let listening = world.listen().await;
    let mut events = subscribe(&listening, &world.user, "").await;
    let post = listening.post("/api/tools/ask-user/confirm", &world.user, &json!({"question": "Go on?"}));
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
    listening.ended(Duration::from_secs(10)).await;
    assert!(begun.elapsed() < Duration::from_secs(10));
    // The subscription has ended, too.
    while events.recv().await.is_some() {}
}

#[tokio::test]
async fn what_a_slow_reader_has_not_read_yet_comes_whole() {
    let world = world_with(ServerOptions::default()).await;
    world.install("probe", &[]).await;
    let listening = world.listen().await;
    // More than the sockets between the two take, so that the last of it waits in the server.
    let chunks = vec![json!({"Text": "x".repeat(900 << 10)}); 7];
    let order = json!({"place": "feed", "import": "chunks", "args": {"chunks": chunks}}).to_string();
    let body =
        json!({"model": "probe.one", "stream": true, "messages": [{"role": "user", "content": order}]});
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut connection = socket.connect(listening.address).await.unwrap();
    let (key, body) = (&world.user.key, body.to_string());
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(body.as_bytes()).await.unwrap();
    let mut first = [0; 64];
    connection.read_exact(&mut first).await.unwrap();
    until("the turn has ended", async || world.dispatch.running() == 0).await;
    listening.stop.drain.cancel();
    until("no connection is taken any more", async || {
        tokio::net::TcpStream::connect(listening.address).await.is_err()
    })
    .await;
    let mut rest = String::new();
    timeout(Duration::from_secs(10), connection.read_to_string(&mut rest)).await.unwrap().unwrap();
    assert!(rest.contains("data: [DONE]") && !rest.contains("\"error\""), "{}", &rest[rest.len() - 600..]);
    assert!(rest.matches('x').count() >= 7 * (900 << 10));
    listening.ended(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn a_connection_that_does_not_close_is_cut_and_the_rest_ends_in_order() {
    let world = world_with(ServerOptions::default()).await;
    let listening = world.listen().await;
    let connection = listening.begin_body("/api/chats", &world.user.key, "application/json", 9).await;
    listening.stop.drain.cancel();
    let stop = listening.stop.clone();
    listening.ended(Duration::from_secs(15)).await;
    assert!(!stop.now.is_cancelled(), "nobody said so");
    drop(connection);
}

#[tokio::test]
async fn a_second_signal_stops_at_once() {
    let world = world_with(ServerOptions::default()).await;
    world.install("misbehave", &[]).await;
    let listening = world.listen().await;
    let body = json!({"model": "misbehave", "stream": true, "messages": [{"role": "user", "content": "feed:silent-stream"}]});
    let post = listening.post("/v1/chat/completions", &world.user, &body);
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
    listening.ended(Duration::from_secs(5)).await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    timeout(Duration::from_secs(5), call).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_second_signal_still_keeps_the_receipts() {
    let world = world_with(ServerOptions::default()).await;
    world.install("misbehave", &[]).await;
    let listening = world.listen().await;
    let post = listening.post("/api/tools/misbehave/misbehave", &world.user, &json!({"how": "wait"}));
    let call = tokio::spawn(post.send());
    until("the call runs", async || world.dispatch.running() == 1).await;
    listening.stop.drain.cancel();
    listening.stop.now.cancel();
    listening.ended(Duration::from_secs(5)).await;
    let receipts = world.get("/api/receipts", &world.user).await.expect(200).json();
    assert_eq!(receipts["data"][0]["outcome"], json!("cancelled"), "{receipts}");
    let _ = call.await;
}

/// A server that waits long for the database, with a calculator.
async fn patient() -> (World, Listening) {
    let world =
        world_on(ServerOptions::default(), |options| options.lock_timeout = Duration::from_secs(30)).await;
    world.install("calculator", &[]).await;
    let listening = world.listen().await;
    (world, listening)
}

#[tokio::test]
async fn a_database_that_does_not_answer_does_not_keep_the_server_from_stopping() {
    let (world, listening) = patient().await;
    // A receipt takes numbers, and what is left of them is given back at the end.
    world.post("/api/tools/calculator/calculate", &world.user, &json!({"expression": "1"})).await.expect(200);
    world.dispatch.receipts().flush().await;
    let lock = world.lock().await;
    let begun = Instant::now();
    listening.stop.drain.cancel();
    listening.ended(Duration::from_secs(6)).await;
    assert!(begun.elapsed() > Duration::from_secs(1), "it tries");
    drop(lock);
}

#[tokio::test]
async fn a_second_signal_does_not_wait_for_the_database() {
    let (world, listening) = patient().await;
    world.post("/api/tools/calculator/calculate", &world.user, &json!({"expression": "1"})).await.expect(200);
    let lock = world.lock().await;
    world.post("/api/tools/calculator/calculate", &world.user, &json!({"expression": "1"})).await.expect(200);
    listening.stop.drain.cancel();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let begun = Instant::now();
    listening.stop.now.cancel();
    listening.ended(Duration::from_secs(6)).await;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    drop(lock);
}
