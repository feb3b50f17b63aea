//! `/api/plugins`.

use axum::body::Body;
use axum::http::Method;
use innkeeper_server::ServerOptions;
use innkeeper_testing::guests::{guest, with_note};
use serde_json::{Value, json};

use crate::world::{Answer, World, hide, request, world, world_with};

async fn upload(world: &World, bytes: impl Into<Body>, kind: &str) -> Answer {
    let request = request(Method::POST, "/api/plugins", &world.admin.key).header("content-type", kind);
    world.send(request.body(bytes.into()).unwrap()).await
}

async fn wasm(world: &World, bytes: Vec<u8>) -> Answer {
    upload(world, bytes, "application/wasm").await
}

#[tokio::test]
async fn a_plugin_is_uploaded_shown_turned_off_and_removed() {
    let world = world().await;
    let installed = wasm(&world, guest("echo")).await.expect(201).json();
    let hidden = ["/digest", "/size", "/installed_at", "/updated_at", "/limits"];
    insta::assert_json_snapshot!("plugin", hide(installed, &hidden));
    assert_eq!(
        world.get("/api/plugins", &world.admin).await.expect(200).json()["data"][0]["id"],
        json!("echo")
    );
    let models = async || world.get("/v1/models", &world.user).await.json()["data"].as_array().unwrap().len();
    assert_eq!(models().await, 1);
    let off = world.call(Method::POST, "/api/plugins/echo/disable", &world.admin).await.expect(200).json();
    assert_eq!(off["state"], json!("disabled"));
    assert_eq!(models().await, 0);
    world.call(Method::POST, "/api/plugins/echo/enable", &world.admin).await.expect(200);
    assert_eq!(models().await, 1);
    world.call(Method::DELETE, "/api/plugins/echo", &world.admin).await.expect(204);
    assert_eq!(world.get("/api/plugins/echo", &world.admin).await.expect(404).code(), "unknown-plugin");
    world.call(Method::DELETE, "/api/plugins/echo", &world.admin).await.expect(404);
    assert_eq!(models().await, 0);
}

#[tokio::test]
async fn a_form_can_carry_the_component() {
    let world = world().await;
    let mut form = b"--x\r\ncontent-disposition: form-data; name=\"note\"\r\n\r\nhello\r\n".to_vec();
    form.extend(b"--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"echo.wasm\"\r\ncontent-type: application/wasm\r\n\r\n");
    form.extend(guest("echo"));
    form.extend(b"\r\n--x--\r\n");
    upload(&world, form, "multipart/form-data; boundary=x").await.expect(201);
    let empty = "--x\r\ncontent-disposition: form-data; name=\"note\"\r\n\r\nhello\r\n--x--\r\n";
    assert_eq!(
        upload(&world, empty, "multipart/form-data; boundary=x").await.expect(400).code(),
        "invalid-form"
    );
    assert_eq!(
        upload(&world, "cut", "multipart/form-data; boundary=x").await.expect(400).code(),
        "invalid-form"
    );
    assert_eq!(upload(&world, "{}", "application/json").await.expect(415).code(), "unsupported-type");
}

#[tokio::test]
async fn what_is_no_plugin_is_refused_and_leaves_nothing() {
    let world = world().await;
    let echo = guest("echo");
    let core = b"\0asm\x01\0\0\0".to_vec();
    let component = b"\0asm\x0d\0\x01\0".to_vec();
    for (bytes, says) in [
        (Vec::new(), "not a WebAssembly component"),
        (b"hello".to_vec(), "not a WebAssembly component"),
        (core, "core WebAssembly module"),
        (component, "exports nothing of `innkeeper:plugin`"),
        (echo[..echo.len() / 2].to_vec(), "damaged"),
    ] {
        let answer = wasm(&world, bytes).await.expect(400);
        assert_eq!(answer.code(), "not-a-plugin");
        assert!(answer.message().contains(says), "{}", answer.message());
    }
    assert_eq!(world.get("/api/plugins", &world.admin).await.json()["data"], json!([]));
}

#[tokio::test]
async fn an_upload_over_the_limit_is_refused() {
    let world = world_with(ServerOptions { component_max: 10_000, ..ServerOptions::default() }).await;
    let answer = wasm(&world, vec![0; 100 << 20]).await.expect(413);
    assert_eq!(answer.code(), "body-too-large");
    let mut form = b"--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n".to_vec();
    form.extend(vec![0; 20_000]);
    form.extend(b"\r\n--x--\r\n");
    upload(&world, form, "multipart/form-data; boundary=x").await.expect(413);
}

#[tokio::test]
async fn permissions_are_granted_and_taken_back() {
    let world = world().await;
    wasm(&world, guest("rate-limit")).await.expect(201);
    let shown = world.get("/api/plugins/rate-limit", &world.admin).await.expect(200).json();
    assert_eq!(shown["grants"], json!({}));
    assert_eq!(shown["missing_permissions"], json!(["kv"]));
    let path = "/api/plugins/rate-limit/grants/kv";
    let granted = world.json(Method::PUT, path, &world.admin, &json!({})).await.expect(200).json();
    assert_eq!(granted["grants"], json!({"kv": {"scope": "own", "unattended": false}}));
    assert_eq!(granted["missing_permissions"], json!([]));
    let wide =
        world.json(Method::PUT, path, &world.admin, &json!({"unattended": true})).await.expect(200).json();
    assert_eq!(wide["grants"]["kv"]["unattended"], json!(true));
    world.json(Method::PUT, path, &world.admin, &json!({"scope": "everything"})).await.expect(400);
    let unknown = world
        .json(Method::PUT, "/api/plugins/rate-limit/grants/fly", &world.admin, &json!({}))
        .await
        .expect(400);
    assert_eq!(unknown.code(), "unknown-permission");
    let unasked = world
        .json(Method::PUT, "/api/plugins/rate-limit/grants/chats.read", &world.admin, &json!({}))
        .await
        .expect(400);
    assert_eq!(unasked.code(), "not-requested");
    let taken = world.call(Method::DELETE, path, &world.admin).await.expect(200).json();
    assert_eq!(taken["grants"], json!({}));
}

#[tokio::test]
async fn what_a_manifest_asks_for_can_be_granted_at_install() {
    let world = world().await;
    let request = request(Method::POST, "/api/plugins?grant_requested=true", &world.admin.key);
    let body =
        request.header("content-type", "application/wasm").body(Body::from(guest("rate-limit"))).unwrap();
    let installed = world.send(body).await.expect(201).json();
    assert_eq!(installed["missing_permissions"], json!([]));
}

#[tokio::test]
async fn an_id_that_is_taken_is_a_conflict_unless_the_plugin_is_to_be_replaced() {
    let world = world().await;
    let install = async |query: &str, bytes: Vec<u8>| {
        let request = request(Method::POST, &format!("/api/plugins{query}"), &world.admin.key);
        world.send(request.header("content-type", "application/wasm").body(Body::from(bytes)).unwrap()).await
    };
    let next = with_note(guest("rate-limit"), 1);
    install("?grant_requested=true", guest("rate-limit")).await.expect(201);
    let refused = install("?grant_requested=true", next.clone()).await.expect(409);
    assert_eq!(refused.code(), "duplicate-plugin");
    assert!(refused.message().contains("`?replace=true`"), "{}", refused.message());
    assert_eq!(refused.json()["error"]["details"], json!({"plugin": "rate-limit", "revision": 1}));
    assert_eq!(world.get("/api/plugins/rate-limit", &world.admin).await.json()["revision"], json!(1));
    let replaced = install("?replace=true", next).await.expect(201).json();
    assert_eq!((&replaced["revision"], &replaced["missing_permissions"]), (&json!(2), &json!([])));
}

#[tokio::test]
async fn valves_are_checked_against_the_plugins_schema() {
    let world = world().await;
    wasm(&world, guest("probe")).await.expect(201);
    let path = "/api/plugins/probe/valves";
    let valves = world.get(path, &world.admin).await.expect(200).json();
    assert_eq!(valves["values"], json!({"job": "", "number": 7}));
    assert_eq!(valves["schema"]["type"], json!("object"));
    let set = world.json(Method::PUT, path, &world.admin, &json!({"number": 8})).await.expect(200).json();
    assert_eq!(set["values"], json!({"job": "", "number": 8}));
    let wrong = world.json(Method::PUT, path, &world.admin, &json!({"number": "eight"})).await.expect(422);
    assert_eq!(wrong.code(), "invalid-valves");
    assert_eq!(wrong.json()["error"]["details"][0]["path"], json!("/number"));
    assert_eq!(world.get(path, &world.admin).await.json()["values"]["number"], json!(8));

    let own = "/api/plugins/probe/valves/user";
    assert_eq!(world.get(own, &world.user).await.expect(200).json()["values"], json!({"text": "default"}));
    world.json(Method::PUT, own, &world.user, &json!({"text": "mine"})).await.expect(200);
    world.json(Method::PUT, own, &world.user, &json!({"text": 1})).await.expect(422);
    assert_eq!(world.get(own, &world.user).await.json()["values"], json!({"text": "mine"}));
    assert_eq!(world.get(own, &world.admin).await.json()["values"], json!({"text": "default"}));
    world.get("/api/plugins/nothing/valves/user", &world.user).await.expect(404);
}

#[tokio::test]
async fn settings_are_kept_and_checked() {
    let world = world().await;
    wasm(&world, guest("rate-limit")).await.expect(201);
    let put = async |body: Value| {
        world.json(Method::PUT, "/api/plugins/rate-limit/settings", &world.admin, &body).await
    };
    let settings = json!({"enabled": true, "global": true, "on_failure": "skip", "priority": 5, "limits": {"fuel": 1000000}});
    let shown = put(settings).await.expect(200).json();
    assert_eq!(shown["settings"]["priority"], json!(5));
    assert_eq!(shown["limits"]["fuel"], json!(1_000_000));
    put(json!({"enabled": true, "on_failure": "dance"})).await.expect(400);
    let unknown = put(json!({"enabled": true, "limits": {"fule": 1}})).await.expect(400);
    assert!(unknown.message().contains("fule"), "{}", unknown.message());
    put(json!({})).await.expect(400);
}
