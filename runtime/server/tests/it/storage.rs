//! A database that goes away, is locked, or cannot be written, while something is done.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use innkeeper_server::ServerOptions;
use innkeeper_store::Pool;
use innkeeper_testing::guests::guest;
use serde_json::{Value, json};

use crate::world::{Answer, World, request, world, world_on};

async fn install(world: &World) -> Answer {
    let request = request(Method::POST, "/api/plugins", &world.admin.key);
    world
        .send(request.header("content-type", "application/wasm").body(Body::from(guest("echo"))).unwrap())
        .await
}

/// What a turn that is to be stored, a tool call that writes and an installation are told.
async fn told(world: &World, chat: &str) -> [Answer; 3] {
    let path = format!("{chat}/completions");
    let turn = json!({"model": "misbehave", "messages": [{"role": "user", "content": "x"}]});
    let note = json!({"text": "milk"});
    let (turn, tool, installed) = tokio::join!(
        world.post(&path, &world.user, &turn),
        world.post("/api/tools/notes/add_note", &world.user, &note),
        install(world),
    );
    [turn, tool, installed]
}

async fn prepare(world: &World) -> String {
    world.install("notes", &[]).await;
    world.install("misbehave", &[]).await;
    let chat = world.post("/api/chats", &world.user, &json!({})).await.expect(201).json();
    // Keys that were looked up just now need no database.
    world.get("/api/users/me", &world.admin).await.expect(200);
    format!("/api/chats/{}", chat["id"].as_str().unwrap())
}

#[tokio::test]
async fn a_locked_database_is_unavailable_and_leaves_nothing_half_written() {
    let world =
        world_on(ServerOptions::default(), |options| options.lock_timeout = Duration::from_millis(300)).await;
    let chat = prepare(&world).await;
    let lock = world.lock().await;
    let [turn, tool, installed] = told(&world, &chat).await;
    drop(lock);
    assert_eq!((turn.status.as_u16(), turn.code().as_str()), (503, "storage_unavailable"), "{}", turn.text);
    assert!(turn.headers.contains_key("retry-after"));
    assert_eq!((tool.status.as_u16(), tool.code().as_str()), (502, "plugin-failed"), "{}", tool.text);
    assert_eq!(
        (installed.status.as_u16(), installed.code().as_str()),
        (503, "storage-busy"),
        "{}",
        installed.text
    );
    let messages = world.get(&format!("{chat}/messages"), &world.user).await.expect(200).json();
    assert_eq!(messages["data"], json!([]));
    world.get("/api/plugins/echo", &world.admin).await.expect(404);
    install(&world).await.expect(201);
    world.post("/api/tools/notes/add_note", &world.user, &json!({"text": "milk"})).await.expect(200);
}

#[tokio::test]
async fn a_database_that_has_gone_is_unavailable() {
    let world = world().await;
    let chat = prepare(&world).await;
    world.store.pool().close().await;
    let expected = [(503, "storage_unavailable"), (502, "plugin-failed"), (503, "storage-unreachable")];
    for (answer, expected) in told(&world, &chat).await.into_iter().zip(expected) {
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), expected, "{}", answer.text);
        assert_eq!(answer.headers.contains_key("retry-after"), expected.0 == 503);
    }
}

#[tokio::test]
async fn a_request_that_runs_no_plugin_ends_in_time() {
    let options = ServerOptions { request_timeout: Duration::from_millis(200), ..ServerOptions::default() };
    let world = world_on(options, |options| options.lock_timeout = Duration::from_secs(30)).await;
    let lock = world.lock().await;
    let answer = world.post("/api/chats", &world.user, &json!({})).await.expect(504);
    assert_eq!(answer.code(), "timeout");
    assert_eq!(answer.headers["x-should-retry"], "false");
    assert!(answer.message().contains("within 200ms"), "{}", answer.text);
    drop(lock);
    world.post("/api/chats", &world.user, &json!({})).await.expect(201);
}

/// Runs a statement behind the server's back, on a connection of its own pool.
async fn run(world: &World, statement: &'static str) {
    let Pool::Sqlite(pool) = world.store.pool() else { panic!("these tests run on SQLite") };
    sqlx::query(statement).execute(pool).await.unwrap();
}

async fn ready(world: &World) -> Answer {
    world.send(Request::builder().uri("/readyz").body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_database_that_is_only_read_says_so_until_it_can_be_written() {
    let world = world_on(ServerOptions::default(), |options| options.max_connections = 1).await;
    world.get("/api/users/me", &world.user).await.expect(200);
    run(&world, "PRAGMA query_only = ON").await;
    let answer = world.post("/api/chats", &world.user, &json!({})).await.expect(503);
    assert_eq!(answer.code(), "storage-read-only");
    assert!(answer.message().contains("the operator must make it writable"), "{}", answer.text);
    assert_eq!(answer.headers["retry-after"], "10");
    world.get("/api/chats", &world.user).await.expect(200);
    run(&world, "PRAGMA query_only = OFF").await;
    world.post("/api/chats", &world.user, &json!({})).await.expect(201);
}

#[tokio::test]
async fn shared_tables_of_an_unknown_revision_are_only_read() {
    let world = world().await;
    run(&world, "UPDATE alembic_version SET version_num = 'f00dfeed'").await;
    world.store.refresh_shape().await.unwrap();
    let answer = world.post("/api/chats", &world.user, &json!({})).await.expect(503);
    assert_eq!(answer.code(), "storage-read-only");
    assert!(answer.message().contains("f00dfeed"), "{}", answer.text);
    assert_eq!(answer.headers["retry-after"], "60");
    world.get("/api/chats", &world.user).await.expect(200);
}

#[tokio::test]
async fn a_column_that_another_program_has_removed_makes_the_database_unfit() {
    let world = world().await;
    world.get("/api/chats", &world.user).await.expect(200);
    run(&world, "ALTER TABLE chat DROP COLUMN current_message_id").await;
    let answer = world.get("/api/chats", &world.user).await.expect(503);
    assert_eq!(answer.code(), "storage-unfit");
    assert_eq!(answer.headers["retry-after"], "60");
    // Neither names of tables nor of columns are anybody's business.
    assert!(!answer.text.contains("current_message_id"), "{}", answer.text);
    world.get("/api/users/me", &world.user).await.expect(200);
}

#[tokio::test]
async fn readiness_says_that_a_newer_program_has_changed_the_schema() {
    let world = world().await;
    ready(&world).await.expect(200);
    run(
        &world,
        "INSERT INTO innkeeper_migration (stream, version, name, checksum, oldest_program, program, applied_at) \
         SELECT stream, 9000, 'future', checksum, '9.0.0', '9.0.0', applied_at FROM innkeeper_migration LIMIT 1",
    )
    .await;
    // An answer holds for a second.
    tokio::time::sleep(Duration::from_millis(1_050)).await;
    let said: Value = ready(&world).await.expect(503).json();
    let reason = said["reason"].as_str().unwrap();
    assert!(reason.starts_with("schema: ") && reason.contains("9.0.0"), "{said}");
    assert_eq!((&said["ready"], &said["checks"]["database"]), (&json!(false), &json!("ok")));
    run(&world, "DELETE FROM innkeeper_migration WHERE version = 9000").await;
    tokio::time::sleep(Duration::from_millis(1_050)).await;
    ready(&world).await.expect(200);
}
