//! `/api/receipts`.

use serde_json::json;

use crate::world::{hide, world};

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
    let count = |answer: crate::world::Answer| answer.expect(200).json()["data"].as_array().unwrap().len();

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
