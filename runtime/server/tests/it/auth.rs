//! Keys and roles.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Method, Request};
use innkeeper_model::principal::Role;
use innkeeper_server::ServerOptions;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::world::{client, frames, person, request, until, world, world_with};

#[tokio::test]
async fn every_route_but_health_and_the_document_needs_a_key() {
    let world = world().await;
    let document: serde_json::Value =
        serde_json::from_str(&innkeeper_server::openapi_json(&world.server).unwrap()).unwrap();
    let mut looked_at = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let free = operation["security"] == json!([{}]);
            assert_eq!(free, path == "/healthz" || path == "/readyz", "{path}");
            let path: String = path
                .split('/')
                .map(|part| if part.starts_with('{') { "x" } else { part })
                .collect::<Vec<_>>()
                .join("/");
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let bare = Request::builder().method(method).uri(&path).body(Body::empty()).unwrap();
            let answer = world.send(bare).await;
            if free {
                answer.expect(200);
            } else {
                let answer = answer.expect(401);
                assert!(answer.message().contains("Authorization: Bearer"), "{path}: {}", answer.text);
                assert_eq!(answer.headers["www-authenticate"], "Bearer");
            }
            looked_at += 1;
        }
    }
    assert!(looked_at > 40, "{looked_at}");
    let document = Request::builder().uri("/api/openapi.json").body(Body::empty()).unwrap();
    world.send(document).await.expect(200);
}

#[tokio::test]
async fn wrong_keys_of_every_sort_look_the_same() {
    let world = world().await;
    let ask = async |value: String| {
        let request = Request::builder().uri("/api/users/me").header("authorization", value);
        world.send(request.body(Body::empty()).unwrap()).await
    };
    let key = &world.user.key;
    ask(format!("Bearer {key}")).await.expect(200);
    ask(format!("bearer {key}")).await.expect(200);
    let expected =
        ask("Bearer ik_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned()).await.expect(401).text;
    for wrong in [
        "Bearer",
        "Bearer ",
        key,
        "Basic dTpw",
        "Bearer sk-1",
        &format!("Bearer {key}x"),
        &format!("Bearer {}", key.to_lowercase()),
    ] {
        assert_eq!(ask(wrong.to_owned()).await.expect(401).text, expected, "{wrong}");
    }
    let two = Request::builder()
        .uri("/api/users/me")
        .header("authorization", format!("Bearer {key}"))
        .header("authorization", "Bearer x");
    world.send(two.body(Body::empty()).unwrap()).await.expect(401);
}

#[tokio::test]
async fn a_key_in_the_address_is_refused_even_if_it_is_right() {
    let world = world().await;
    let key = &world.user.key;
    for query in
        [format!("key={key}"), format!("x=1&API_KEY={key}"), format!("anything={key}"), "token=1".to_owned()]
    {
        let both = request(Method::GET, &format!("/api/users/me?{query}"), key).body(Body::empty()).unwrap();
        let answer = world.send(both).await.expect(400);
        assert_eq!(answer.code(), "key-in-address");
        assert!(!answer.text.contains(key));
    }
    let openai = request(Method::GET, "/v1/models?api_key=1", key).body(Body::empty()).unwrap();
    world.send(openai).await.expect(400);
}

#[tokio::test]
async fn only_admins_may_do_what_is_admins_business() {
    let world = world().await;
    let settings = json!({"enabled": true});
    let body = json!({});
    for (method, path, body) in [
        ("GET", "/api/plugins", &body),
        ("POST", "/api/plugins", &body),
        ("GET", "/api/plugins/echo", &body),
        ("DELETE", "/api/plugins/echo", &body),
        ("POST", "/api/plugins/echo/enable", &body),
        ("POST", "/api/plugins/echo/disable", &body),
        ("PUT", "/api/plugins/echo/grants/kv", &body),
        ("DELETE", "/api/plugins/echo/grants/kv", &body),
        ("PUT", "/api/plugins/echo/settings", &settings),
        ("GET", "/api/plugins/echo/valves", &body),
        ("PUT", "/api/plugins/echo/valves", &body),
        ("GET", "/api/plugins/echo/receipts", &body),
        ("GET", "/api/users", &body),
        ("POST", "/api/users", &body),
        ("GET", "/api/users/x", &body),
        ("DELETE", "/api/users/x", &body),
        ("PUT", "/api/users/x/role", &body),
    ] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let answer = world.json(method, path, &world.user, body).await;
        assert_eq!(answer.status.as_u16(), 403, "{path}: {}", answer.text);
        assert_eq!(answer.code(), "forbidden");
    }
}

#[tokio::test]
async fn people_who_are_not_admitted_can_do_nothing() {
    let world = world().await;
    let path = format!("/api/users/{}/role", world.user.id);
    world.get("/api/users/me", &world.user).await.expect(200);
    world.json(Method::PUT, &path, &world.admin, &json!({"role": "pending"})).await.expect(200);
    world.get("/api/users/me", &world.user).await.expect(401);
}

#[tokio::test]
async fn a_revoked_key_stops_working_within_two_seconds_also_when_another_server_revoked_it() {
    let world = world().await;
    let listening = world.listen().await;
    let client = client();
    let url = listening.url("/api/users/me");
    let ask = async || client.get(&url).bearer_auth(&world.user.key).send().await.unwrap().status().as_u16();
    assert_eq!(ask().await, 200);
    let begun = Instant::now();
    world.revoke_elsewhere().await;
    until("the key is not taken any more", async || ask().await == 401).await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_key_that_is_revoked_while_the_body_comes_in_starts_nothing() {
    let world = world().await;
    world.install("calculator", &[]).await;
    world.install("echo", &[]).await;
    let listening = world.listen().await;
    let (client, url) = (client(), listening.url("/api/users/me"));
    let ask = async |key: &str| client.get(&url).bearer_auth(key).send().await.unwrap().status().as_u16();
    for (path, body) in [
        ("/api/tools/calculator/calculate", json!({"expression": "1"}).to_string().into_bytes()),
        (
            "/v1/chat/completions",
            json!({"model": "echo", "messages": [{"role": "user", "content": "x"}]}).to_string().into_bytes(),
        ),
        ("/api/plugins", innkeeper_testing::guests::guest("notes")),
        (
            "/api/users",
            json!({"name": "Eve", "email": "eve@example.org", "role": "admin"}).to_string().into_bytes(),
        ),
    ] {
        let (key, secret) = world.store.api_keys().create(&world.admin.id, "slow").await.unwrap();
        let kind = if path == "/api/plugins" { "application/wasm" } else { "application/json" };
        let mut connection = listening.begin_body(path, &secret, kind, body.len()).await;
        let (half, rest) = body.split_at(body.len() / 2);
        connection.write_all(half).await.unwrap();
        assert!(world.store.api_keys().revoke(&key.id).await.unwrap());
        until("the key is not taken any more", async || ask(&secret).await == 401).await;
        connection.write_all(rest).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 401 "), "{path}: {answer}");
    }
    world.dispatch.receipts().flush().await;
    assert_eq!(world.get("/api/receipts", &world.admin).await.expect(200).json()["data"], json!([]));
    assert_eq!(world.registry.list().len(), 2);
    assert_eq!(world.get("/api/users", &world.admin).await.json()["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_role_that_another_program_changes_ends_subscriptions_and_turns() {
    let world = world().await;
    world.install("ask-user", &[]).await;
    let listening = world.listen().await;
    let mut admins = crate::events::subscribe(&listening, &world.admin, "").await;
    let mut own = crate::events::subscribe(&listening, &world.user, "").await;
    let call = crate::events::confirm(&listening, &world.user);
    crate::events::event(&mut own).await;
    let generation = world.store.plugins().generation().await.unwrap();
    // As Open WebUI would, which tells nobody of it.
    let update = sea_query::Query::update()
        .table("user")
        .value("role", "pending")
        .and_where(sea_query::ExprTrait::eq(sea_query::Expr::col("id"), world.user.id.as_str()))
        .take();
    innkeeper_store::Db::new(world.store.pool().clone()).execute(&update).await.unwrap();
    assert_eq!(tokio::time::timeout(Duration::from_secs(4), own.recv()).await.unwrap(), None);
    let (status, said) = tokio::time::timeout(Duration::from_secs(4), call).await.unwrap().unwrap();
    assert_eq!(status, 401, "{said}");
    assert_eq!(world.store.plugins().generation().await.unwrap(), generation);
    assert!(admins.try_recv().is_err_and(|error| error == tokio::sync::mpsc::error::TryRecvError::Empty));
}

#[tokio::test]
async fn a_stream_ends_when_its_key_is_revoked() {
    let options = ServerOptions { first_frame: Duration::from_millis(50), ..ServerOptions::default() };
    let world = world_with(options).await;
    world.install("misbehave", &[]).await;
    let listening = world.listen().await;
    let body = json!({"model": "misbehave", "stream": true, "messages": [{"role": "user", "content": "feed:silent-stream"}]});
    let post = listening.post("/v1/chat/completions", &world.user, &body);
    let response = tokio::spawn(async move { post.send().await.unwrap().text().await.unwrap() });
    until("the turn runs", async || world.dispatch.running() == 1).await;
    world.revoke_elsewhere().await;
    let text = tokio::time::timeout(Duration::from_secs(8), response).await.unwrap().unwrap();
    let last = frames(&text);
    assert!(text.contains("revoked"), "{text}");
    assert_eq!(last.last().map(String::as_str), Some("[DONE]"));
    until("the turn has ended", async || world.dispatch.running() == 0).await;
}

#[tokio::test]
async fn a_person_has_a_bounded_number_of_keys() {
    let world = world().await;
    for _ in 1..innkeeper_store::KEYS_MAX {
        world.post("/api/keys", &world.user, &json!({"name": "one of many"})).await.expect(201);
    }
    let refused = world.post("/api/keys", &world.user, &json!({"name": "one too many"})).await.expect(409);
    assert_eq!(refused.code(), "too-many-keys");
    world.post("/api/keys", &world.admin, &json!({"name": "another person's"})).await.expect(201);
}

#[tokio::test]
async fn keys_are_their_owners_own() {
    let world = world().await;
    let other = person(&world.store, "Olga", Role::User).await;
    let made = world.post("/api/keys", &world.user, &json!({"name": "laptop"})).await.expect(201).json();
    assert!(made["secret"].as_str().unwrap().starts_with("ik_"));
    let id = made["id"].as_str().unwrap();
    let listed = world.get("/api/keys", &world.user).await.expect(200);
    assert!(!listed.text.contains("secret") && !listed.text.contains("ik_"));
    assert_eq!(listed.json()["data"].as_array().unwrap().len(), 2);

    let path = format!("/api/keys/{id}");
    let statements = async || {
        let before = world.store.statements();
        world.get("/api/users/me", &world.user).await.expect(200);
        world.store.statements() - before
    };
    statements().await;
    assert_eq!(statements().await, 0, "a key is looked up once a second");
    world.call(Method::DELETE, &path, &other).await.expect(404);
    assert_eq!(statements().await, 0, "who may not revoke a key makes nobody look it up again");
    world.get(&format!("/api/keys?user={}", world.user.id), &other).await.expect(403);
    world.post("/api/keys", &other, &json!({"name": "x", "user": world.user.id})).await.expect(403);
    world.post("/api/keys", &world.admin, &json!({"name": "x", "user": "nobody"})).await.expect(404);
    world.get(&format!("/api/keys?user={}", world.user.id), &world.admin).await.expect(200);
    world.call(Method::DELETE, &path, &world.user).await.expect(204);
    world.call(Method::DELETE, &path, &world.user).await.expect(404);
}

#[tokio::test]
async fn a_revoked_key_ends_a_turn_whose_client_reads_nothing() {
    let world = world().await;
    world.install("misbehave", &[]).await;
    let listening = world.listen().await;
    let body = json!({"model": "misbehave", "stream": true, "messages": [{"role": "user", "content": "feed:many-chunks"}]}).to_string();
    let mut connection = tokio::net::TcpStream::connect(listening.address).await.unwrap();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n",
        world.user.key,
        body.len()
    );
    tokio::io::AsyncWriteExt::write_all(&mut connection, format!("{head}{body}").as_bytes()).await.unwrap();
    until("the turn runs", async || world.dispatch.running() == 1).await;
    // Long enough to fill every buffer on the way.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.dispatch.running(), 1);
    world.revoke_elsewhere().await;
    until("the turn has ended", async || world.dispatch.running() == 0).await;
    drop(connection);
}
