//! `echo`: the last thing that the user said.

use serde_json::{Value, json};

use super::user;
use crate::world::{plugin, world};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_repeats_word_by_word_where_the_client_wants_a_stream() {
    let world = world().plugin(plugin("echo")).build().await;
    for (text, words) in [
        ("one two  three\n", vec!["one ", "two ", " ", "three\n"]),
        ("zwei Wörter", vec!["zwei ", "Wörter"]),
        ("alone", vec!["alone"]),
    ] {
        let streamed = world.chat(world.turn_of(user("echo", true, text))).await;
        assert_eq!((streamed.text().as_str(), streamed.texts()), (text, words));
        let whole = world.chat(world.turn_of(user("echo", false, text))).await;
        assert_eq!((whole.text().as_str(), whole.texts()), (text, vec![text]));
    }
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_repeats_the_user_and_nobody_else() {
    let world = world().plugin(plugin("echo")).build().await;
    let parts = json!([
        {"type": "text", "text": "a picture"},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
    ]);
    let message = |role: &str, content: Value| json!({ "role": role, "content": content });
    let messages = [
        message("user", json!("first")),
        message("assistant", json!("between")),
        message("user", parts),
        message("assistant", json!("last")),
    ];
    let said = world.chat(world.turn_of(json!({ "model": "echo", "messages": messages }))).await;
    assert_eq!(said.text(), "a picture");
    world.assert_idle().await;
}
