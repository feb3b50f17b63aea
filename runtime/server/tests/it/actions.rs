//! `/api/actions`.

use serde_json::json;

use crate::world::world;

#[tokio::test]
async fn actions_are_listed_and_run() {
    let world = world().await;
    world.install("probe", &[]).await;
    insta::assert_json_snapshot!("actions", world.get("/api/actions", &world.user).await.expect(200).json());
    let order = json!({"import": "users.me", "place": "call", "args": {}}).to_string();
    let body = json!({"messages": [{"id": "m1", "role": "user", "content": order}]});
    let answer = world.post("/api/actions/probe/probe", &world.user, &body).await.expect(200).json();
    let content = &answer["result"]["content"][0];
    assert_eq!(content["type"], json!("json"));
    assert_eq!(content["value"]["ok"]["id"], json!(world.user.id), "{answer}");
    world.get(&format!("/api/receipts/{}", answer["call"].as_str().unwrap()), &world.user).await.expect(200);
}

#[tokio::test]
async fn actions_of_a_model_are_those_that_the_operator_offers_there() {
    let world = world().await;
    world.install("probe", &[]).await;
    world.install("export-markdown", &[]).await;
    let offered = async |path: &str| {
        let listed = world.get(path, &world.user).await.expect(200).json();
        let actions = listed["data"].as_array().unwrap().iter();
        actions.map(|action| action["plugin"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let apply = async |plugin: &str, settings: serde_json::Value| {
        let path = format!("/api/plugins/{plugin}/settings");
        world.json(axum::http::Method::PUT, &path, &world.admin, &settings).await.expect(200);
    };
    assert_eq!(offered("/api/actions").await, ["export-markdown", "probe"]);
    assert!(offered("/api/actions?model=echo").await.is_empty(), "a new action is offered nowhere");
    apply("probe", json!({"enabled": true, "models": ["echo"]})).await;
    apply("export-markdown", json!({"enabled": true, "global": true})).await;
    assert_eq!(offered("/api/actions?model=echo").await, ["export-markdown", "probe"]);
    assert_eq!(offered("/api/actions?model=other").await, ["export-markdown"]);
    apply("export-markdown", json!({"enabled": false, "global": true})).await;
    assert!(offered("/api/actions?model=other").await.is_empty());
    let wrong = world.get("/api/actions?modle=echo", &world.user).await.expect(400);
    assert_eq!(wrong.code(), "invalid-query");
}

#[tokio::test]
async fn actions_that_cannot_run_say_why() {
    let world = world().await;
    world.install("probe", &[]).await;
    let check = async |path: &str, body: serde_json::Value, status: u16, code: &str| {
        let answer = world.post(path, &world.user, &body).await.expect(status);
        assert_eq!(answer.code(), code, "{}", answer.text);
    };
    check("/api/actions/nothing/x", json!({"messages": []}), 404, "unknown-plugin").await;
    check("/api/actions/probe/x", json!({"messages": []}), 404, "unknown-action").await;
    check(
        "/api/actions/probe/probe",
        json!({"chat_id": "00000000-0000-4000-8000-000000000000"}),
        403,
        "not-allowed",
    )
    .await;
    check("/api/actions/probe/probe", json!({"chatid": "x"}), 400, "invalid-body").await;
}
