//! Health.

use axum::body::Body;
use axum::http::{Method, Request};
use innkeeper_server::ServerOptions;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{World, world, world_on, world_with};

#[tokio::test]
async fn a_server_that_works_is_ready() {
    let world = world().await;
    let request = |path: &str| Request::builder().uri(path).body(Body::empty()).unwrap();
    insta::assert_json_snapshot!("healthz", world.send(request("/healthz")).await.expect(200).json());
    insta::assert_json_snapshot!("readyz", world.send(request("/readyz")).await.expect(200).json());
}

#[tokio::test]
async fn readiness_says_that_the_database_is_gone() {
    let world = world().await;
    world.store.pool().close().await;
    let answer = world.send(Request::builder().uri("/readyz").body(Body::empty()).unwrap()).await.expect(503);
    insta::assert_json_snapshot!("readyz-no-database", answer.json());
    assert!(answer.headers.contains_key("retry-after"));
    // Requests that need the database say so, too.
    let answer = world.get("/api/users/me", &world.user).await.expect(503);
    assert_eq!(answer.code(), "storage-unreachable");
    assert!(answer.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn readiness_says_that_the_data_directory_cannot_be_written() {
    let options = ServerOptions { data_dir: Some("/proc/nowhere".into()), ..ServerOptions::default() };
    let world = world_with(options).await;
    let answer =
        world.send(Request::builder().uri("/readyz").body(Body::empty()).unwrap()).await.expect(503).json();
    assert!(
        answer["reason"].as_str().unwrap().starts_with("disk: the data directory cannot be written"),
        "{answer}"
    );
}

#[tokio::test]
async fn answers_carry_an_id_and_headers_that_browsers_heed() {
    let world = world().await;
    let ask = async |id: &str| {
        let request = Request::builder().uri("/healthz").header("x-request-id", id);
        world.send(request.body(Body::empty()).unwrap()).await.headers["x-request-id"]
            .to_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(ask("client-1.2").await, "client-1.2");
    assert_eq!(ask("a b").await.len(), 32);
    assert_eq!(ask(&"x".repeat(65)).await.len(), 32);
    let headers = world.get("/api/users/me", &world.user).await.headers;
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(headers["x-frame-options"], "DENY");
    assert_eq!(headers["cache-control"], "no-store");
    assert!(!headers.contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn a_client_that_does_not_finish_its_head_is_cut() {
    let options =
        ServerOptions { head_timeout: std::time::Duration::from_millis(200), ..ServerOptions::default() };
    let world = world_with(options).await;
    let listening = world.listen().await;
    let mut connection = tokio::net::TcpStream::connect(listening.address).await.unwrap();
    connection.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    let mut answer = Vec::new();
    let read = connection.read_to_end(&mut answer);
    tokio::time::timeout(std::time::Duration::from_secs(5), read).await.unwrap().unwrap();
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn a_full_database_is_a_state_that_is_said_and_passes_without_a_restart() {
    let world = world_on(ServerOptions::default(), |options| options.sqlite_max_pages = Some(400)).await;
    let chat = world.post("/api/chats", &world.user, &json!({})).await.expect(201).json();
    let path = format!("/api/chats/{}", chat["id"].as_str().unwrap());
    let message = json!({"role": "user", "content": "x".repeat(100_000)});
    let mut kept = 0;
    let refused = loop {
        let answer = world.post(&format!("{path}/messages"), &world.user, &message).await;
        if answer.status.as_u16() != 201 {
            break answer;
        }
        kept += 1;
        assert!(kept < 100, "the database did not fill up");
    };
    let refused = refused.expect(503);
    assert_eq!(refused.code(), "storage-full");
    assert!(refused.headers.contains_key("retry-after"));
    let ready = async || world.send(Request::builder().uri("/readyz").body(Body::empty()).unwrap()).await;
    let said = ready().await.expect(503).json();
    assert_eq!(said["reason"], json!("disk: the database has no space left; reading still works"));
    // Reading works, and nothing is half-written.
    let messages = world.get(&format!("{path}/messages"), &world.user).await.expect(200).json();
    assert_eq!(messages["data"].as_array().unwrap().len(), kept);
    world.call(Method::DELETE, &path, &world.user).await.expect(204);
    world.post("/api/chats", &world.user, &json!({})).await.expect(201);
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    ready().await.expect(200);
}

#[tokio::test]
async fn a_full_database_is_said_also_where_a_plugin_was_the_one_to_write() {
    let world = world_on(ServerOptions::default(), |options| options.sqlite_max_pages = Some(2_000)).await;
    world.install("notes", &[]).await;
    let note = json!({"text": "x".repeat(60_000)});
    let mut written = 0;
    while world.post("/api/tools/notes/add_note", &world.user, &note).await.status.as_u16() == 200 {
        written += 1;
        assert!(written < 1_000, "the database did not fill up");
    }
    let ready = Request::builder().uri("/readyz").body(Body::empty()).unwrap();
    let said = world.send(ready).await.expect(503).json();
    assert_eq!(said["reason"], json!("disk: the database has no space left; reading still works"));
}

#[tokio::test]
async fn another_server_in_the_same_directory_is_not_in_the_way_of_the_check() {
    let shared = tempfile::TempDir::new().unwrap();
    let options = || ServerOptions { data_dir: Some(shared.path().to_owned()), ..ServerOptions::default() };
    let (one, other) = (world_with(options()).await, world_with(options()).await);
    let ready = async |world: &World| {
        let request = Request::builder().uri("/readyz").body(Body::empty()).unwrap();
        world.send(request).await.json()
    };
    // An answer holds for a second, so both look at the same moments.
    for _ in 0..3 {
        let (one, other) = tokio::join!(ready(&one), ready(&other));
        assert_eq!((&one["ready"], &other["ready"]), (&json!(true), &json!(true)), "{one} {other}");
        tokio::time::sleep(std::time::Duration::from_millis(1_050)).await;
    }
    assert_eq!(std::fs::read_dir(shared.path()).unwrap().count(), 0, "nothing is left behind");
}
