//! The OpenAPI document.

use std::path::PathBuf;

use serde_json::Value;

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
    assert!(
        kept == now,
        "runtime/server/openapi.json is out of date; run this test with {UPDATE}=1 and commit the file"
    );
}

#[tokio::test]
async fn the_served_document_is_the_kept_one() {
    let world = world().await;
    let served = world.get("/api/openapi.json", &world.user).await.expect(200).json();
    let kept: Value = serde_json::from_str(&innkeeper_server::openapi_json(&world.server).unwrap()).unwrap();
    assert_eq!(served, kept);
}

#[tokio::test]
async fn every_operation_has_a_name_of_its_own_and_every_answer_a_description() {
    let world = world().await;
    let document: Value =
        serde_json::from_str(&innkeeper_server::openapi_json(&world.server).unwrap()).unwrap();
    let mut names = std::collections::BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "{method} {path}: {name}");
            assert!(operation["summary"].is_string(), "{method} {path}");
            for (status, response) in operation["responses"].as_object().unwrap() {
                assert!(response["description"].is_string(), "{method} {path}: {status}");
            }
            // Parts of the path are described, and nothing else is said to be one.
            let parts = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
            let described =
                operation["parameters"].as_array().into_iter().flatten().filter(|one| one["in"] == "path");
            let described: Vec<&str> = described.map(|one| one["name"].as_str().unwrap()).collect();
            assert_eq!(parts.collect::<Vec<_>>(), described, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn no_plugin_can_be_named_like_what_addresses_begin_with() {
    let world = world().await;
    let document: Value =
        serde_json::from_str(&innkeeper_server::openapi_json(&world.server).unwrap()).unwrap();
    let mut looked_at = std::collections::BTreeSet::new();
    for path in document["paths"].as_object().unwrap().keys() {
        let first = path.split('/').nth(1).unwrap();
        assert!(innkeeper_model::PluginId::parse(first).is_err(), "{path}: add `{first}` to `RESERVED`");
        looked_at.insert(first.to_owned());
    }
    assert_eq!(looked_at.into_iter().collect::<Vec<_>>(), ["api", "healthz", "metrics", "readyz", "v1"]);
}
