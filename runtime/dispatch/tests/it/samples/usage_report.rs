//! `usage-report`: counts the person's own chats, and says so in Markdown.

use innkeeper_model::authority::Authority;
use innkeeper_model::chat_message::{MessageUpdate, NewMessage};
use innkeeper_model::chat_request::Usage;
use innkeeper_model::{ChatId, Permission, UserId};
use serde_json::json;

use super::turn_by;
use crate::world::{World, id, plugin, world};

const READ: &[Permission] = &[Permission::ChatsRead, Permission::ChatMessagesRead];

/// A model's answer: who gave it, and what it cost where that is known.
type Answer = (&'static str, Option<(u64, u64)>);

/// A chat with a question before each answer, last changed at `changed`.
async fn used_chat(world: &World, user: &UserId, title: &str, changed: i64, answers: &[Answer]) -> ChatId {
    let (authority, chat) = (Authority::Own(user.clone()), world.new_chat(user, title).await);
    let messages = world.store.chat_messages();
    for &(model, usage) in answers {
        let message = |role: &str| NewMessage { role: role.to_owned(), done: true, ..NewMessage::default() };
        messages.append(&authority, &chat, message("user")).await.unwrap();
        let answer = NewMessage { model: Some(model.to_owned().into()), ..message("assistant") };
        let answer = messages.append(&authority, &chat, answer).await.unwrap();
        if let Some((prompt_tokens, completion_tokens)) = usage {
            let total_tokens = prompt_tokens + completion_tokens;
            let usage = Usage { prompt_tokens, completion_tokens, total_tokens, extra: None };
            let change = MessageUpdate { usage: Some(usage), ..MessageUpdate::default() };
            messages.set(&authority, &chat, &answer.id, &change).await.unwrap();
        }
    }
    let moved = sqlx::query("UPDATE chat SET updated_at = ? WHERE id = ?").bind(changed).bind(chat.as_str());
    assert_eq!(moved.execute(world.sqlite()).await.unwrap().rows_affected(), 1);
    chat
}

/// Ada with two chats, Bob with one.
async fn used(grants: &[Permission]) -> World {
    let world = world().plugin(plugin("usage-report").grant(grants)).build().await;
    let long = [("gpt-fake", Some((10, 20))), ("local", None), ("gpt-fake", Some((1, 2)))];
    used_chat(&world, &world.ada, "Plans | for *May*", 1_000, &long).await;
    used_chat(&world, &world.ada, "Second", 2_000, &[("local", Some((5, 0)))]).await;
    used_chat(&world, &world.bob, "Bob's", 3_000, &[("gpt-fake", Some((1_000, 1_000)))]).await;
    world
}

const REPORT: &str = r"# Usage

Chats: 2. Questions: 4. Answers: 4.

| model | answers | prompt tokens | completion tokens |
| --- | ---: | ---: | ---: |
| gpt-fake | 2 | 11 | 22 |
| local | 2 | 5 | 0 |

## Longest chats

| chat | messages |
| --- | ---: |
| Plans \| for \*May\* | 6 |
| Second | 2 |
";

const LATEST: &str = r"# Usage

Chats: 1. Questions: 1. Answers: 1.

| model | answers | prompt tokens | completion tokens |
| --- | ---: | ---: | ---: |
| local | 1 | 5 | 0 |

## Longest chats

| chat | messages |
| --- | ---: |
| Second | 2 |
";

const THEIRS: &str = r"# Usage

Chats: 1. Questions: 1. Answers: 1.

| model | answers | prompt tokens | completion tokens |
| --- | ---: | ---: | ---: |
| gpt-fake | 1 | 1000 | 1000 |

## Longest chats

| chat | messages |
| --- | ---: |
| Bob's | 2 |
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_is_the_same_whole_and_streamed() {
    let world = used(&[READ, &[Permission::EventsEmit]].concat()).await;
    let whole = world.chat(world.whole_turn("usage-report", "report")).await;
    assert_eq!(whole.text(), REPORT);
    assert!(whole.events().is_empty(), "{whole:?}");
    let streamed = world.chat(world.turn("usage-report", "report")).await;
    assert_eq!(streamed.text(), REPORT);
    let shown: Vec<_> = streamed.events().iter().map(|event| (event.kind.as_str(), &event.data)).collect();
    let (begun, over) = (
        json!({ "description": "Read 0 of 2 chats", "done": false }),
        json!({ "description": "Report complete", "done": true }),
    );
    assert_eq!(shown, [("status", &begun), ("status", &over)]);
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_needs_no_permission_to_show_its_progress() {
    let world = used(READ).await;
    let said = world.chat(world.turn("usage-report", "report")).await;
    assert_eq!((said.text().as_str(), said.events().len()), (REPORT, 0));
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_chooses_how_many_of_the_latest_chats_count() {
    let world = used(READ).await;
    let chosen = world.registry.set_user_valves(&id("usage-report"), &world.ada, json!({ "chats": 1 })).await;
    assert_eq!(chosen.unwrap()["chats"], 1);
    assert_eq!(world.chat(world.whole_turn("usage-report", "report")).await.text(), LATEST);
    let refused =
        world.registry.set_user_valves(&id("usage-report"), &world.ada, json!({ "chats": 0 })).await;
    assert!(refused.is_err(), "{refused:?}");
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_chats_of_the_person_who_asks_are_counted() {
    let world = used(READ).await;
    let theirs = world.chat(turn_by(&world.bob, world.whole_turn("usage-report", "report"))).await;
    assert_eq!(theirs.text(), THEIRS);
    let nobody = crate::world::world().plugin(plugin("usage-report").grant(READ)).build().await;
    let empty = nobody.chat(nobody.turn("usage-report", "report")).await;
    assert_eq!(empty.text(), "# Usage\n\nThere are no chats yet.\n");
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_without_either_grant_is_denied_by_name() {
    for missing in READ {
        let granted: Vec<_> = READ.iter().copied().filter(|granted| granted != missing).collect();
        let world = used(&granted).await;
        let whole = world.chat(world.whole_turn("usage-report", "report")).await;
        let whole = whole.error().to_string();
        assert!(whole.contains(&format!("was denied `{missing}`")), "{whole}");
        let streamed = format!("{:?}", world.chat(world.turn("usage-report", "report")).await);
        assert!(streamed.contains(&format!("was denied `{missing}`")), "{streamed}");
        assert!(!streamed.contains("# Usage"), "{streamed}");
        world.assert_idle().await;
    }
}
