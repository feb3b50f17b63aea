//! `/v1/models`.

use serde_json::json;

use crate::world::{hide, world};

#[tokio::test]
async fn pipes_are_listed_as_models() {
    let world = world().await;
    assert_eq!(
        world.get("/v1/models", &world.user).await.expect(200).json(),
        json!({"object": "list", "data": []})
    );
    world.install("echo", &[]).await;
    world.install("probe", &[]).await;
    let models = world.get("/v1/models", &world.user).await.expect(200).json();
    let hidden =
        ["/data/0/created", "/data/1/created", "/data/1/invocation", "/data/2/created", "/data/2/invocation"];
    insta::assert_json_snapshot!("models", hide(models, &hidden));
    let one = world.get("/v1/models/echo", &world.user).await.expect(200).json();
    assert_eq!(one["id"], json!("echo"));
    let missing = world.get("/v1/models/nothing", &world.user).await.expect(404);
    insta::assert_json_snapshot!("unknown-model", missing.json());
}
