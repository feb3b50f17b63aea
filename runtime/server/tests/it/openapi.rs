//! The OpenAPI document.

use std::path::PathBuf;

use crate::world::world;

/// Set to write the document anew.
const UPDATE: &str = "INNKEEPER_UPDATE_OPENAPI";

#[tokio::test]
async fn the_kept_document_is_up_to_date() {
    let world = world().await;
    let now = innkeeper_server::openapi_json(&world.server).unwrap();
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    #[expect(clippy::disallowed_methods, reason = "a switch of this test alone")]
    let update = std::env::var_os(UPDATE).is_some();
    if update {
        std::fs::write(&path, &now).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == now, "runtime/server/openapi.json is out of date; run this test with {UPDATE}=1 and commit the file");
}

#[tokio::test]
async fn the_served_document_is_the_kept_one() {
    let world = world().await;
    let served = world.get("/api/openapi.json", &world.user).await.expect(200).json();
    let kept: serde_json::Value = serde_json::from_str(&innkeeper_server::openapi_json(&world.server).unwrap()).unwrap();
    assert_eq!(served, kept);
}
