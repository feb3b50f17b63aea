//! What guests write: each line carries the plugin's name, none is forged, and the last words before a trap arrive.

use innkeeper_testing::logs::listen;
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn every_line_of_a_guest_carries_its_name_and_its_calls_id() {
    let world = World::new().await;
    let misbehave = world.load("misbehave").await;
    let probe = world.load("probe").await;
    let logs = listen("info");
    for (how, amount) in [("logs", 5), ("print", 1), ("panic", 0), ("reach-out", 0)] {
        let _ = world.call(&misbehave).misbehave(how, amount).await;
    }
    let fields = json!([
        ["a\nb", "c\u{1b}[31m"],
        ["x".repeat(10_000), "y".repeat(10_000)],
        ["more", "z".repeat(10_000)]
    ]);
    let args = json!({"level": "Warn", "message": "forged\r\nERROR plugin: other", "fields": fields});
    world.call(&probe).probe("log.log", args).await;
    let text = logs.text();
    assert!(text.lines().count() > 100, "{text}");
    for line in text.lines() {
        assert!(
            line.contains(" call{plugin=guest call=\"call-") && line.contains("}: plugin: "),
            "{line:.300}"
        );
        // The message, the fields, and what the server says itself.
        assert!(line.len() < 2 * 4_096 + 512 && !line.contains('\u{1b}'), "{line:.300}");
    }
    assert!(text.contains("forged\\r\\nERROR plugin: other"), "{text:.3000}");
}

#[tokio::test]
async fn a_line_has_so_many_fields_and_no_more() {
    let world = World::new().await;
    let probe = world.load("probe").await;
    let logs = listen("info");
    let fields: Vec<_> = (0..20).map(|number| json!([format!("field{number}"), "x"])).collect();
    world.call(&probe).probe("log.log", json!({"level": "Info", "message": "m", "fields": fields})).await;
    let text = logs.text();
    assert!(text.contains("field15=x") && !text.contains("field16=x"), "{text}");
}

#[tokio::test]
async fn the_last_words_before_a_trap_are_logged_and_escaped() {
    let world = World::new().await;
    let misbehave = world.load("misbehave").await;
    let logs = listen("info");
    let _ = world.call(&misbehave).misbehave("panic", 0).await;
    let text = logs.text();
    assert!(text.contains("not red"), "{text}");
    assert!(!text.contains('\u{1b}') && !text.lines().any(|line| line.starts_with("ERROR forged")), "{text}");
}
