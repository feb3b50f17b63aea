//! `/api/receipts`.

use std::time::Duration;

use innkeeper_server::ServerOptions;
use serde_json::json;

use crate::world::{Answer, hide, until, world, world_with};

fn count(answer: Answer) -> usize {
    answer.expect(200).json()["data"].as_array().unwrap().len()
}

#[tokio::test]
async fn people_see_their_own_receipts_and_admins_all() {
    let world = world().await;
    world.install("calculator", &[]).await;
    let call = async |who| {
        let answer = world
            .post("/api/tools/calculator/calculate", who, &json!({"expression": "1"}))
            .await
            .expect(200)
            .json();
        (answer["call"].as_str().unwrap().to_owned(), answer["turn"].as_str().unwrap().to_owned())
    };
    let (own, turn) = call(&world.user).await;
    let (others, _) = call(&world.admin).await;

    assert_eq!(count(world.get("/api/receipts", &world.user).await), 1);
    assert_eq!(count(world.get("/api/receipts", &world.admin).await), 2);
    assert_eq!(count(world.get(&format!("/api/receipts?user={}", world.user.id), &world.admin).await), 1);
    assert_eq!(count(world.get(&format!("/api/receipts?turn={turn}"), &world.user).await), 1);
    assert_eq!(count(world.get("/api/receipts?plugin=calculator&outcome=ok", &world.admin).await), 2);
    assert_eq!(count(world.get("/api/receipts?outcome=trapped", &world.admin).await), 0);
    assert_eq!(count(world.get("/api/plugins/calculator/receipts", &world.admin).await), 2);
    world.get(&format!("/api/receipts?user={}", world.admin.id), &world.user).await.expect(403);

    let hidden = world.get(&format!("/api/receipts/{others}"), &world.user).await.expect(404);
    assert_eq!(hidden.code(), "unknown-receipt");
    world.get(&format!("/api/receipts/{others}"), &world.admin).await.expect(200);
    let receipt = world.get(&format!("/api/receipts/{own}"), &world.user).await.expect(200).json();
    let used = ["fuel", "active_us", "waiting_us", "peak_memory", "host_calls", "host_bytes"]
        .map(|name| format!("/delivered/{name}"));
    let mut hidden = vec!["/sequence", "/id", "/turn", "/user", "/started_at"];
    hidden.extend(used.iter().map(String::as_str));
    insta::assert_json_snapshot!("receipt", hide(receipt, &hidden));
}

#[tokio::test]
async fn receipts_come_in_pages_newest_first() {
    let world = world().await;
    world.install("calculator", &[]).await;
    let mut calls = Vec::new();
    for _ in 0..3 {
        let answer = world
            .post("/api/tools/calculator/calculate", &world.user, &json!({"expression": "1"}))
            .await
            .json();
        calls.push(answer["call"].clone());
    }
    let first = world.get("/api/receipts?limit=2", &world.user).await.expect(200).json();
    let cursor = first["next"].as_str().unwrap();
    let second =
        world.get(&format!("/api/receipts?limit=2&cursor={cursor}"), &world.user).await.expect(200).json();
    let seen: Vec<_> = [&first, &second]
        .iter()
        .flat_map(|page| page["data"].as_array().unwrap())
        .map(|item| item["id"].clone())
        .collect();
    calls.reverse();
    assert_eq!(seen, calls);
    assert_eq!(second["next"], json!(null));
    world.get("/api/receipts?cursor=forged", &world.user).await.expect(400);
    world.get("/api/receipts?limit=many", &world.user).await.expect(400);
}

#[tokio::test]
async fn a_misspelt_name_in_a_query_is_refused() {
    let world = world().await;
    for path in [
        "/api/receipts?usr=x",
        "/api/keys?usr=x",
        "/api/users?limt=1",
        "/api/chats?limt=1",
        "/api/actions?modl=x",
    ] {
        let refused = world.get(path, &world.admin).await.expect(400);
        assert_eq!(refused.code(), "invalid-query", "{path}");
        assert!(refused.message().contains("unknown field"), "{}", refused.message());
    }
}

#[tokio::test]
async fn older_receipts_go_while_the_server_runs() {
    let options =
        ServerOptions { receipts_rows: 1, upkeep: Duration::from_millis(50), ..ServerOptions::default() };
    let world = world_with(options).await;
    world.install("calculator", &[]).await;
    let listening = world.listen().await;
    for _ in 0..3 {
        let call =
            listening.post("/api/tools/calculator/calculate", &world.user, &json!({"expression": "1"}));
        assert_eq!(call.send().await.unwrap().status().as_u16(), 200);
    }
    until("one receipt is left", async || count(world.get("/api/receipts", &world.admin).await) == 1).await;
}
