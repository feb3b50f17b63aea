//! Stopping by signals, also where the database does not answer any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use innkeeper_testing::databases::{Backend, database};
use innkeeper_testing::guests;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::program::{Program, client, text};
use crate::server::Server;

/// Passes everything on to a server until it is silenced; then connections stay open and nothing comes through.
async fn relay(to: String) -> (String, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let silent = Arc::new(AtomicBool::new(false));
    let is_silent = Arc::clone(&silent);
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let (near, far) = (near.into_split(), TcpStream::connect(&to).await.unwrap().into_split());
            tokio::spawn(pass_on(near.0, far.1, Arc::clone(&is_silent)));
            tokio::spawn(pass_on(far.0, near.1, Arc::clone(&is_silent)));
        }
    });
    (address, silent)
}

async fn pass_on(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, silent: Arc<AtomicBool>) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if silent.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        to.write_all(&bytes[..count]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_stops_within_seconds_although_its_database_is_silent() {
    let Some(database) = database(Backend::Postgres).await else { return };
    let (login, rest) = database.url.split_once('@').unwrap();
    let (server, name) = rest.split_once('/').unwrap();
    let (address, silent) = relay(server.to_owned()).await;
    let mut program = Program::new();
    program.variables.push(("INNKEEPER__DATABASE__URL".to_owned(), format!("{login}@{address}/{name}")));
    program.run(&["user", "add", "--name", "Ada", "--email", "ada@example.org", "--role", "admin"]).expect(0);
    let key = program.json(&["key", "create", "--user", "ada@example.org"]);
    program.run(&["plugin", "install", text(&guests::path("calculator"))]).expect(0);
    let mut server = Server::start(&program);
    let call = async || {
        let post = client().post(server.url("/api/tools/calculator/calculate"));
        post.bearer_auth(key["secret"].as_str().unwrap()).json(&json!({"expression": "1"})).send().await
    };
    // Its receipt takes numbers, and what is left of them is given back at the end.
    assert_eq!(call().await.unwrap().status().as_u16(), 200);
    let receipts = client().get(server.url("/api/receipts")).bearer_auth(key["secret"].as_str().unwrap());
    while receipts.try_clone().unwrap().send().await.unwrap().json::<serde_json::Value>().await.unwrap()["data"]
        == json!([])
    {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    silent.store(true, Ordering::SeqCst);
    server.signal();
    let ended = tokio::task::spawn_blocking(move || server.end(Duration::from_secs(12)));
    assert_eq!(ended.await.unwrap(), Some(0));
}

/// A server with a call that waits for ever: it has asked a question that nobody answers.
async fn busy() -> (Program, Server, tokio::task::JoinHandle<()>) {
    let program = Program::new();
    program.run(&["user", "add", "--name", "Ada", "--email", "ada@example.org"]).expect(0);
    let key = program.json(&["key", "create", "--user", "ada@example.org"]);
    let key = key["secret"].as_str().unwrap().to_owned();
    program.run(&["plugin", "install", text(&guests::path("misbehave")), "--grant", "events.call"]).expect(0);
    let server = Server::start(&program);
    let mut events = client().get(server.url("/api/events")).bearer_auth(&key).send().await.unwrap();
    let call = client().post(server.url("/api/tools/misbehave/misbehave")).bearer_auth(&key);
    let call = call.json(&json!({"how": "many-questions", "amount": 1}));
    tokio::spawn(async move { call.send().await.map(drop) });
    let mut heard = String::new();
    while !heard.contains("\"ask\":\"") {
        let piece = tokio::time::timeout(Duration::from_secs(20), events.chunk()).await.unwrap();
        heard.push_str(&String::from_utf8_lossy(&piece.unwrap().unwrap()));
    }
    // Whoever leaves is waited for only a while, so the window stays open.
    let window = tokio::spawn(async move { while let Ok(Some(_)) = events.chunk().await {} });
    (program, server, window)
}

async fn stopping(server: &Server) {
    let ready = async || client().get(server.url("/readyz")).send().await.unwrap().status().as_u16();
    while ready().await != 503 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_signal_ends_a_server_that_waits_for_a_call() {
    for second in ["-TERM", "-INT"] {
        let (_program, mut server, window) = busy().await;
        server.send("-TERM");
        stopping(&server).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(server.runs(), "the call may end before the server does");
        server.send(second);
        let ended = tokio::task::spawn_blocking(move || server.end(Duration::from_secs(3)));
        assert_eq!(ended.await.unwrap(), Some(0), "{second}");
        window.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_stops_in_order() {
    let (_program, mut server, window) = busy().await;
    server.send("-INT");
    stopping(&server).await;
    assert!(server.runs(), "the call may end before the server does");
    server.send("-INT");
    let ended = tokio::task::spawn_blocking(move || server.end(Duration::from_secs(3)));
    assert_eq!(ended.await.unwrap(), Some(0));
    window.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_that_comes_with_the_first_is_not_lost() {
    let (_program, mut server, window) = busy().await;
    // Both wait for it when it goes on.
    for signal in ["-STOP", "-TERM", "-INT", "-CONT"] {
        server.send(signal);
    }
    let ended = tokio::task::spawn_blocking(move || server.end(Duration::from_secs(3)));
    assert_eq!(ended.await.unwrap(), Some(0));
    window.await.unwrap();
}
