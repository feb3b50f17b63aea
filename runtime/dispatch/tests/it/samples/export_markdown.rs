//! `export-markdown`: from the question for a title to the bytes of the file.

use futures::TryStreamExt;
use innkeeper_dispatch::{ActionOutcome, DispatchError};
use innkeeper_model::authority::Authority;
use innkeeper_model::chat_message::NewMessage;
use innkeeper_model::file::File;
use innkeeper_model::page::PageRequest;
use innkeeper_model::tool::ToolContent;
use innkeeper_model::{ChatId, Permission};
use serde_json::{Value, json};

use crate::world::{World, id, plugin, world};

const NEEDED: &[Permission] = &[Permission::FilesWrite, Permission::EventsCall, Permission::EventsEmit];

/// A world with a chat of Ada's, a question and an answer long.
async fn with(grants: &[Permission]) -> (World, ChatId) {
    let world = world().plugin(plugin("export-markdown").grant(grants)).build().await;
    let authority = Authority::Own(world.ada.clone());
    let chat = world.new_chat(&world.ada, "Plans").await;
    let message = |role: &str, content: &str| NewMessage {
        role: role.to_owned(),
        content: content.to_owned(),
        done: true,
        ..NewMessage::default()
    };
    let answer =
        NewMessage { model: Some("echo".to_owned().into()), ..message("assistant", "Sleep *late*.\n") };
    for message in [message("user", &format!("What shall we do? {}", "é".repeat(60))), answer] {
        world.store.chat_messages().append(&authority, &chat, message).await.unwrap();
    }
    (world, chat)
}

async fn files(world: &World) -> Vec<File> {
    let page = PageRequest { cursor: None, limit: 200 };
    world.store.files().list(&Authority::Own(world.ada.clone()), None, &page).await.unwrap().items
}

/// Runs the action and answers its question. Gives the title that it proposed, and what came of it.
async fn export(
    world: &World,
    chat: &ChatId,
    answer: Value,
) -> (Value, Result<ActionOutcome, DispatchError>) {
    let mut ada = world.dispatch.hub().subscribe(&world.ada).unwrap();
    let turn = world.action_turn("export-markdown", "export", Some(chat.clone()));
    let answers = async {
        let delivery = ada.next().await.unwrap();
        world.dispatch.hub().answer(&world.ada, &delivery.ask.unwrap(), answer).unwrap();
        delivery.event.data["value"].clone()
    };
    let (outcome, proposed) = tokio::join!(world.dispatch.run_action(turn), answers);
    (proposed, outcome)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_holds_the_chat() {
    let (world, chat) = with(&[NEEDED, &[Permission::ChatsRead]].concat()).await;
    let (proposed, outcome) = export(&world, &chat, json!("  ../My plans & more ")).await;
    assert_eq!(proposed, "Plans");
    let content = outcome.unwrap().result.unwrap().content;
    let [ToolContent::File { id }] = content.as_slice() else { panic!("{content:?}") };
    let opened = world.store.files().open(&Authority::Own(world.ada.clone()), id).await.unwrap();
    let (file, bytes) = opened.unwrap();
    assert_eq!(
        (file.name.as_str(), file.content_type.as_deref()),
        ("My-plans-more.md", Some("text/markdown"))
    );
    let bytes = bytes.try_fold(Vec::new(), async |mut all, piece| {
        all.extend_from_slice(&piece);
        Ok(all)
    });
    let text = String::from_utf8(bytes.await.unwrap()).unwrap();
    let asked = format!("What shall we do? {}", "é".repeat(60));
    let expected =
        format!("# ../My plans & more\n\n## You\n\n{asked}\n\n## Assistant (echo)\n\nSleep *late*.\n");
    assert_eq!(text, expected);
    assert_eq!(file.size, Some(expected.len() as u64));
    let theirs = Authority::Own(world.bob.clone());
    assert!(world.store.files().open(&theirs, id).await.unwrap().is_none(), "the file is the person's own");
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_message_keeps_its_link_to_the_file() {
    let (world, chat) = with(NEEDED).await;
    let (_, outcome) = export(&world, &chat, json!("Plans")).await;
    let content = outcome.unwrap().result.unwrap().content;
    let [ToolContent::File { id }] = content.as_slice() else { panic!("{content:?}") };
    let rows = "SELECT role, files FROM chat_message WHERE chat_id = ? ORDER BY id";
    let rows: Vec<(String, Option<String>)> =
        sqlx::query_as(rows).bind(chat.as_str()).fetch_all(world.sqlite()).await.unwrap();
    let [(question, none), (answer, files)] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!((question.as_str(), answer.as_str()), ("user", "assistant"));
    assert!(none.as_deref().is_none_or(|none| none == "null"), "{none:?}");
    let files: Value = serde_json::from_str(files.as_deref().unwrap()).unwrap();
    assert_eq!((&files[0]["id"], &files[0]["name"]), (&json!(id.as_str()), &json!("Plans.md")), "{files}");
    assert_eq!(files.as_array().map(Vec::len), Some(1));
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_is_closed_exports_nothing() {
    let (world, chat) = with(NEEDED).await;
    for closed in [Value::Null, json!(false)] {
        let (_, outcome) = export(&world, &chat, closed).await;
        assert_eq!(outcome.unwrap().result, None);
    }
    assert!(files(&world).await.is_empty());
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_title_is_refused() {
    let (world, chat) = with(NEEDED).await;
    for title in ["", " \n "] {
        let (_, outcome) = export(&world, &chat, json!(title)).await;
        let message = "The file needs a title.".to_owned();
        assert_eq!(outcome.unwrap_err(), DispatchError::Rejected { plugin: id("export-markdown"), message });
    }
    assert!(files(&world).await.is_empty());
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_look_at_the_chat_it_proposes_what_was_said_first() {
    let (world, chat) = with(NEEDED).await;
    let (proposed, outcome) = export(&world, &chat, json!("t")).await;
    assert_eq!(proposed, format!("What shall we do? {}", "é".repeat(42)), "60 characters");
    assert!(outcome.is_ok(), "{outcome:?}");
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_grant_for_files_none_is_stored() {
    let (world, chat) = with(&[Permission::EventsCall, Permission::EventsEmit]).await;
    let (_, outcome) = export(&world, &chat, json!("t")).await;
    let error = outcome.unwrap_err().to_string();
    assert!(error.contains("was denied `files.write`"), "{error}");
    assert!(files(&world).await.is_empty());
    world.assert_idle().await;
}
