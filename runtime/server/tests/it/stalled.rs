//! Clients that connect and then read nothing.

use std::time::Duration;

use innkeeper_dispatch::Subscription;
use innkeeper_dispatch::hub::About;
use innkeeper_model::event::WireEvent;
use innkeeper_server::ServerOptions;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::world::{Listening, World, until, world, world_with};

async fn send(listening: &Listening, head: &str, body: &str) -> TcpStream {
    let mut connection = TcpStream::connect(listening.address).await.unwrap();
    let head = format!("{head}\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
    connection.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    connection
}

async fn begin_turn(world: &World, listening: &Listening) -> TcpStream {
    let body = json!({"model": "misbehave", "stream": true, "messages": [{"role": "user", "content": "feed:many-chunks"}]});
    let head = format!("POST /v1/chat/completions HTTP/1.1\r\nauthorization: Bearer {}", world.user.key);
    let connection = send(listening, &head, &body.to_string()).await;
    until("the turn runs", async || world.dispatch.running() == 1).await;
    connection
}

fn impatient() -> ServerOptions {
    ServerOptions { write_timeout: Duration::from_millis(700), ..ServerOptions::default() }
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_cut_and_its_turn_ends() {
    let world = world_with(impatient()).await;
    world.install("misbehave", &[]).await;
    let listening = world.listen().await;
    let connection = begin_turn(&world, &listening).await;
    until("the turn has ended", async || world.dispatch.running() == 0).await;
    drop(connection);
}

#[tokio::test]
async fn a_client_that_reads_slowly_is_not_cut() {
    let world = world_with(impatient()).await;
    world.install("misbehave", &[]).await;
    let listening = world.listen().await;
    let mut connection = begin_turn(&world, &listening).await;
    let begun = Instant::now();
    let mut piece = vec![0; 256 << 10];
    while begun.elapsed() < Duration::from_secs(3) {
        assert!(connection.read(&mut piece).await.unwrap() > 0);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(world.dispatch.running(), 1);
    drop(connection);
    until("the turn has ended", async || world.dispatch.running() == 0).await;
}

#[tokio::test]
async fn a_subscriber_that_reads_nothing_is_cut() {
    let world = world_with(impatient()).await;
    let listening = world.listen().await;
    let head = format!("GET /api/events HTTP/1.1\r\nauthorization: Bearer {}", world.user.key);
    let connection = send(&listening, &head, "").await;
    let _others = all_but_one(&world).await;
    until("the subscription has ended", async || {
        publish(&world);
        world.dispatch.hub().subscribe(&world.user.id).is_ok()
    })
    .await;
    drop(connection);
}

#[tokio::test]
async fn a_revoked_key_ends_server_sent_events_that_nobody_reads() {
    ends_with_its_key("GET /api/events HTTP/1.1").await;
}

#[tokio::test]
async fn a_revoked_key_ends_a_socket_that_nobody_reads() {
    let upgrade = "upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13";
    let head =
        format!("GET /api/events/ws HTTP/1.1\r\n{upgrade}\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==");
    ends_with_its_key(&head).await;
}

/// What is ready to be sent goes when the key does, long before the client is given up for not reading it.
async fn ends_with_its_key(head: &str) {
    let world = world().await;
    let listening = world.listen().await;
    let connection =
        send(&listening, &format!("{head}\r\nauthorization: Bearer {}", world.user.key), "").await;
    let _others = all_but_one(&world).await;
    // More than all buffers on the way can take.
    for _ in 0..24 {
        publish(&world);
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert!(world.dispatch.hub().subscribe(&world.user.id).is_err(), "it is still there");
    world.revoke_elsewhere().await;
    until("the subscription has ended", async || world.dispatch.hub().subscribe(&world.user.id).is_ok())
        .await;
    drop(connection);
}

/// All subscriptions that the user may have but the one that a client has, so that there is room again once that one has ended.
async fn all_but_one(world: &World) -> Vec<Subscription> {
    let mut others = Vec::new();
    until("the client has subscribed", async || {
        while let Ok(one) = world.dispatch.hub().subscribe(&world.user.id) {
            others.push(one);
        }
        let is_there = others.len() == 31;
        if !is_there {
            // Or there would be no room for the client's.
            others.clear();
        }
        is_there
    })
    .await;
    others
}

fn publish(world: &World) {
    let event = WireEvent::new("status", json!("x".repeat(1 << 20)));
    world.dispatch.hub().publish(&world.user.id, &About::default(), event);
}
