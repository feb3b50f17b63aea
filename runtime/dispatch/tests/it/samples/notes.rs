//! `notes`: a note is a memory of the person who asks, and theirs alone.

use std::collections::BTreeMap;

use innkeeper_model::Permission;
use innkeeper_model::authority::Authority;
use innkeeper_model::page::PageRequest;
use serde_json::{Value, json};

use super::tool_by;
use crate::world::{World, plugin, world};

async fn with(grants: &[Permission]) -> World {
    world().plugin(plugin("notes").grant(grants)).build().await
}

const ALL: &[Permission] = &[Permission::MemoriesRead, Permission::MemoriesWrite];

async fn add(world: &World, text: &str) -> String {
    let note = world.tool("notes", "add_note", json!({ "text": text })).await.unwrap();
    assert_eq!(note["text"], text.trim());
    assert!(note["created_at"].is_i64(), "{note}");
    note["id"].as_str().unwrap().to_owned()
}

/// Id and text of each note in an answer.
fn notes(answer: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    answer["notes"].as_array().unwrap().iter().map(|note| (text(&note["id"]), text(&note["text"]))).collect()
}

/// What the database holds for Ada.
async fn stored(world: &World) -> BTreeMap<String, String> {
    let page = PageRequest { cursor: None, limit: 200 };
    let found = world.store.memories().list(&Authority::Own(world.ada.clone()), &page).await.unwrap();
    found.items.into_iter().map(|memory| (memory.id.into_string(), memory.content)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notes_are_kept_listed_by_pages_found_and_deleted() {
    let world = with(ALL).await;
    let mut added = BTreeMap::new();
    for text in ["Milk and bread", "  The milkman comes at six\n", "Call Eve"] {
        added.insert(add(&world, text).await, text.trim().to_owned());
    }
    assert_eq!(stored(&world).await, added, "a note is a memory");

    let first = world.tool("notes", "list_notes", json!({ "limit": 2 })).await.unwrap();
    let next = first["next"].as_str().unwrap();
    let rest = world.tool("notes", "list_notes", json!({ "limit": 2, "cursor": next })).await.unwrap();
    assert_eq!((notes(&first).len(), notes(&rest).len(), &rest["next"]), (2, 1, &Value::Null));
    assert_eq!(notes(&first).into_iter().chain(notes(&rest)).collect::<BTreeMap<_, _>>(), added);
    let all = world.tool("notes", "list_notes", json!({})).await.unwrap();
    assert_eq!((notes(&all), &all["next"]), (added.clone(), &Value::Null));
    let error = world.tool("notes", "list_notes", json!({ "cursor": "no cursor" })).await.unwrap_err();
    assert!(error.to_string().contains("cursor"), "{error}");

    for (words, expected) in [
        ("MILK", vec!["Milk and bread", "The milkman comes at six"]),
        ("six  milk", vec!["The milkman comes at six"]),
        ("milk eve", vec![]),
        ("", vec!["Call Eve", "Milk and bread", "The milkman comes at six"]),
    ] {
        let found = world.tool("notes", "search_notes", json!({ "words": words })).await.unwrap();
        let mut texts: Vec<_> = notes(&found).into_values().collect();
        texts.sort();
        assert_eq!(texts, expected, "{words}");
    }

    let (gone, _) = added.pop_first().unwrap();
    let delete = async |id: &str| world.tool("notes", "delete_note", json!({ "id": id })).await.unwrap();
    assert_eq!(delete(&gone).await, "deleted");
    assert_eq!(delete(&gone).await, "there is no such note");
    assert_eq!(stored(&world).await, added);
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notes_of_another_person_are_neither_seen_nor_deleted() {
    let world = with(ALL).await;
    let id = add(&world, "Ada's own").await;
    let bob = async |tool, arguments| tool_by(&world, &world.bob, "notes", tool, arguments).await.unwrap();
    assert_eq!(bob("list_notes", json!({})).await, json!({ "notes": [], "next": null }));
    assert_eq!(bob("search_notes", json!({ "words": "own" })).await, json!({ "notes": [] }));
    assert_eq!(bob("delete_note", json!({ "id": id })).await, "there is no such note");
    let theirs = bob("add_note", json!({ "text": "Bob's own" })).await;
    assert_eq!(stored(&world).await, BTreeMap::from([(id, "Ada's own".to_owned())]));
    let found = bob("search_notes", json!({ "words": "own" })).await;
    assert_eq!(found["notes"], json!([theirs]));
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_note_is_refused_by_name() {
    let world = with(ALL).await;
    for text in ["", " \n\t"] {
        let error = world.tool("notes", "add_note", json!({ "text": text })).await.unwrap_err();
        assert_eq!(error.to_string(), "plugin `notes` failed: the note is empty");
    }
    let long =
        world.tool("notes", "add_note", json!({ "text": "n".repeat(64 * 1024 + 1) })).await.unwrap_err();
    assert!(long.to_string().contains("a memory has 1 to 65536 bytes"), "{long}");
    let error = world.tool("notes", "add_note", json!({})).await.unwrap_err();
    assert_eq!(error.code(), "invalid_arguments");
    assert!(stored(&world).await.is_empty());
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_grant_opens_its_own_tools() {
    let calls = [
        ("add_note", json!({ "text": "x" }), Permission::MemoriesWrite),
        ("delete_note", json!({ "id": "x" }), Permission::MemoriesWrite),
        ("list_notes", json!({}), Permission::MemoriesRead),
        ("search_notes", json!({ "words": "x" }), Permission::MemoriesRead),
    ];
    for granted in ALL {
        let world = with(&[*granted]).await;
        for (tool, arguments, needed) in &calls {
            let said = world.tool("notes", tool, arguments.clone()).await;
            if needed == granted {
                assert!(said.is_ok(), "{tool}: {said:?}");
                continue;
            }
            let error = said.unwrap_err().to_string();
            assert!(error.contains(&format!("was denied `{needed}`")), "{tool}: {error}");
            assert!(error.contains(&format!("innkeeper plugin grant notes {needed}")), "{tool}: {error}");
        }
        let expected = if *granted == Permission::MemoriesWrite { 1 } else { 0 };
        assert_eq!(stored(&world).await.len(), expected, "{granted}");
        world.assert_idle().await;
    }
}
