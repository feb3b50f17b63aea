//! Actions that a person runs on a message.

use innkeeper_dispatch::{ActionTurn, DispatchError};
use innkeeper_model::Permission;
use innkeeper_model::authority::Authority;
use innkeeper_model::chat::NewChat;
use innkeeper_model::chat_message::{MessageUpdate, NewMessage};
use innkeeper_model::{ChatId, tool::ToolContent};
use serde_json::{Value, json};

use crate::world::{World, id, plugin, world};

async fn chat(world: &World, text: &str) -> ChatId {
    let authority = Authority::Own(world.ada.clone());
    let new = NewChat { title: "Plans".to_owned(), folder: None };
    let chat = world.store.chats().create(&world.ada, &authority, new).await.unwrap().id;
    let message =
        NewMessage { role: "user".to_owned(), content: text.to_owned(), done: true, ..NewMessage::default() };
    world.store.chat_messages().append(&authority, &chat, message).await.unwrap();
    chat
}

fn action(world: &World, plugin: &str, action: &str, chat: Option<ChatId>) -> ActionTurn {
    ActionTurn {
        principal: world.principal(),
        plugin: id(plugin),
        action: action.to_owned(),
        chat,
        messages: None,
        message: None,
        locale: None,
        body_bytes: 0,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_asks_for_a_name_and_shows_the_file() {
    let grants =
        &[Permission::FilesWrite, Permission::EventsCall, Permission::EventsEmit, Permission::ChatsRead];
    let world = world().plugin(plugin("export-markdown").grant(grants)).build().await;
    let chat = chat(&world, "the text of the chat").await;
    let mut ada = world.dispatch.hub().subscribe(&world.ada).unwrap();
    let answers = async {
        let question = ada.next().await.unwrap();
        assert_eq!((question.event.kind.as_str(), question.chat.as_ref()), ("input", Some(&chat)));
        world.dispatch.hub().answer(&world.ada, &question.ask.unwrap(), json!("My plans")).unwrap();
        ada.next().await.unwrap()
    };
    let export = world.dispatch.run_action(action(&world, "export-markdown", "export", Some(chat.clone())));
    let (outcome, shown) = tokio::join!(export, answers);
    let outcome = outcome.unwrap();
    assert!(matches!(outcome.result.unwrap().content.as_slice(), [ToolContent::File { .. }]));
    assert_eq!((shown.event.kind.as_str(), shown.turn), ("files", outcome.turn));
    assert!(shown.event.data.to_string().contains("My-plans.md"), "{:?}", shown.event);
    assert_eq!(world.receipt(&outcome.call).await.outcome.as_str(), "ok");
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_action_sees_the_stored_branch_or_the_messages_that_it_is_given() {
    let world = world().plugin(plugin("probe")).build().await;
    let order = json!({ "import": "context.locale", "args": {}, "place": "call" }).to_string();
    let chat = chat(&world, &order).await;
    let outcome =
        world.dispatch.run_action(action(&world, "probe", "probe", Some(chat.clone()))).await.unwrap();
    let content = outcome.result.unwrap().content;
    assert!(
        matches!(content.as_slice(), [ToolContent::Json { value }] if *value == json!({"ok": Value::Null})),
        "{content:?}"
    );
    let given = ActionTurn { messages: Some(Vec::new()), ..action(&world, "probe", "probe", Some(chat)) };
    assert_eq!(world.dispatch.run_action(given).await.unwrap().result, None);
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_action_that_is_not_there_is_named() {
    let world = world().plugin(plugin("probe")).plugin(plugin("echo")).build().await;
    let error = world.dispatch.run_action(action(&world, "probe", "export", None)).await.unwrap_err();
    assert_eq!(error, DispatchError::UnknownAction { plugin: id("probe"), action: "export".to_owned() });
    let error = world.dispatch.run_action(action(&world, "nobody", "export", None)).await.unwrap_err();
    assert_eq!(error.code(), "plugin_not_found");
    let error = world.dispatch.run_action(action(&world, "probe", "probe", None)).await.unwrap_err();
    assert_eq!(error.code(), "invalid_request");
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_an_action_are_stored_together_and_never_over_somebody_elses() {
    let world = world().plugin(plugin("probe").grant(&[Permission::EventsCall])).build().await;
    let question = json!({ "Confirmation": {"title": "t", "message": "m"} });
    let args = json!({ "question": question, "change": "by the action" });
    let order = json!({ "import": "events.call", "args": args, "place": "call" }).to_string();
    let authority = Authority::Own(world.ada.clone());
    let messages = world.store.chat_messages();
    for edits in [false, true] {
        let chat = chat(&world, "first").await;
        let last = NewMessage { role: "user".to_owned(), content: order.clone(), ..NewMessage::default() };
        let last = messages.append(&authority, &chat, last).await.unwrap().id;
        let mut ada = world.dispatch.hub().subscribe(&world.ada).unwrap();
        let meanwhile = async {
            let ask = ada.next().await.unwrap().ask.unwrap();
            if edits {
                let edit = MessageUpdate { content: Some("by hand".to_owned()), ..MessageUpdate::default() };
                messages.set(&authority, &chat, &last, &edit).await.unwrap();
            }
            world.dispatch.hub().answer(&world.ada, &ask, json!(true)).unwrap();
        };
        let run = world.dispatch.run_action(action(&world, "probe", "probe", Some(chat.clone())));
        let (outcome, ()) = tokio::join!(run, meanwhile);
        let branch = messages.branch(&authority, &chat, None).await.unwrap();
        let texts: Vec<_> = branch.iter().map(|message| message.content.as_str()).collect();
        if edits {
            assert_eq!(outcome.unwrap_err().code(), "conflict");
            assert_eq!(texts, ["first", "by hand"]);
        } else {
            assert_eq!(outcome.unwrap().result.unwrap().messages.len(), 2);
            assert_eq!(texts, ["by the action", "by the action"]);
        }
    }
    world.assert_idle().await;
}
