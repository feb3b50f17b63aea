//! `/metrics`.

use serde_json::json;

use crate::world::world;

#[tokio::test]
async fn calls_are_counted_by_plugin_and_nobody_is_named() {
    let world = world().await;
    world.install("calculator", &[]).await;
    world.install("misbehave", &[]).await;
    for (tool, arguments, status) in [
        ("calculator/calculate", json!({"expression": "1"}), 200),
        ("calculator/calculate", json!({"expression": "2"}), 200),
        ("misbehave/misbehave", json!({"how": "trap"}), 502),
        ("misbehave/misbehave", json!({"how": "loop"}), 502),
    ] {
        world.post(&format!("/api/tools/{tool}"), &world.user, &arguments).await.expect(status);
    }
    world.get("/metrics", &world.user).await.expect(403);
    let answer = world.get("/metrics", &world.admin).await.expect(200);
    let text = answer.text.as_str();
    for line in [
        "innkeeper_calls_total{plugin=\"calculator\",export=\"tool.call\",outcome=\"ok\",limit=\"\"} 2",
        "innkeeper_calls_total{plugin=\"misbehave\",export=\"tool.call\",outcome=\"trapped\",limit=\"\"} 1",
        "innkeeper_calls_total{plugin=\"misbehave\",export=\"tool.call\",outcome=\"limit-exceeded\",limit=\"fuel\"} 1",
        "innkeeper_call_active_seconds_count{plugin=\"calculator\",export=\"tool.call\"} 2",
        "innkeeper_receipts_lost_total 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
    }
    let fuel =
        text.lines().find_map(|line| line.strip_prefix("innkeeper_call_fuel_total{plugin=\"calculator\"} "));
    assert!(fuel.unwrap().parse::<u64>().unwrap() > 0, "{text}");
    assert!(text.ends_with("# EOF\n"));
    for person in [&world.user, &world.admin] {
        assert!(!text.contains(person.id.as_str()), "{text}");
    }
}
