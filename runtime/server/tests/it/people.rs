//! `/api/users`.

use axum::http::Method;
use serde_json::json;

use crate::world::{hide, world};

#[tokio::test]
async fn admins_add_change_and_delete_people() {
    let world = world().await;
    let new = json!({"name": "Olga", "email": "olga@example.org"});
    let olga = world.post("/api/users", &world.admin, &new).await.expect(201).json();
    assert_eq!(olga["role"], json!("user"));
    let taken = json!({"name": "Other", "email": "OLGA@example.org"});
    assert_eq!(world.post("/api/users", &world.admin, &taken).await.expect(409).code(), "email-taken");
    let path = format!("/api/users/{}", olga["id"].as_str().unwrap());
    world.get(&path, &world.admin).await.expect(200);
    let role = world
        .json(Method::PUT, &format!("{path}/role"), &world.admin, &json!({"role": "admin"}))
        .await
        .expect(200);
    assert_eq!(role.json()["role"], json!("admin"));
    world
        .json(Method::PUT, &format!("{path}/role"), &world.admin, &json!({"role": "king"}))
        .await
        .expect(400);
    assert_eq!(
        world.get("/api/users", &world.admin).await.expect(200).json()["data"].as_array().unwrap().len(),
        3
    );
    assert_eq!(
        world.get("/api/users?name=olg", &world.admin).await.expect(200).json()["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    world.call(Method::DELETE, &path, &world.admin).await.expect(204);
    world.call(Method::DELETE, &path, &world.admin).await.expect(404);
    let own = format!("/api/users/{}", world.admin.id);
    assert_eq!(world.call(Method::DELETE, &own, &world.admin).await.expect(409).code(), "oneself");
}

#[tokio::test]
async fn answers_about_people_carry_no_secrets() {
    let world = world().await;
    let me = world.get("/api/users/me", &world.user).await.expect(200).json();
    insta::assert_json_snapshot!("me", hide(me, &["/id", "/created_at", "/last_active_at"]));
}
