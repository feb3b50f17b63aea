//! Plain calls: a result, and a receipt that says what it cost.

use innkeeper_model::Permission;
use innkeeper_model::receipt::Outcome;
use innkeeper_model::tool::ToolContent;
use innkeeper_sandbox::CallError;
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn a_tool_answers_and_its_receipt_says_what_it_cost() {
    let world = World::new().await;
    let calculator = world.load("calculator").await;
    let manifest = world.sandbox.describe(&calculator).await.unwrap();
    assert_eq!(manifest.id.as_str(), "calculator");
    let (result, receipt) = world.call(&calculator).tool("calculate", json!({"expression": "2*(3+4)"})).await;
    assert_eq!(result.unwrap().content, [ToolContent::Json { value: json!(14.0) }]);
    assert_eq!(receipt.outcome, Outcome::Ok);
    assert!(receipt.delivered.fuel > 0 && receipt.delivered.peak_memory > 0, "{receipt:?}");
    assert_eq!(receipt.background, None);
}

#[tokio::test]
async fn a_loop_ends_by_fuel_and_by_time() {
    let world = World::new().await;
    let misbehave = world.load("misbehave").await;
    let (result, receipt) =
        world.call(&misbehave).limit("fuel", 10_000_000).tool("misbehave", json!({"how": "loop"})).await;
    assert_eq!(result, Err(CallError::Limit("fuel")));
    assert_eq!(receipt.outcome, Outcome::LimitExceeded { limit: "fuel".into() });
    let call = world.call(&misbehave).limit("fuel", u64::MAX / 4).limit("active", 100);
    let (result, receipt) = call.tool("misbehave", json!({"how": "loop"})).await;
    assert_eq!(result, Err(CallError::Limit("active")));
    assert!(receipt.delivered.active_us >= 100_000, "{receipt:?}");
}

#[tokio::test]
async fn an_import_reaches_the_database_only_with_a_grant() {
    let world = World::new().await;
    let probe = world.load("probe").await;
    let denied = world.call(&probe).probe("users.me", json!({})).await;
    assert_eq!(denied["error"]["code"], "denied", "{denied}");
    let found = world.call(&probe).grant(&[Permission::UsersRead]).probe("users.me", json!({})).await;
    assert_eq!(found["ok"]["name"], "Ada", "{found}");
    assert_eq!(found["ok"]["email"], json!(null), "{found}");
}
