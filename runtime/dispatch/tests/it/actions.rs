//! Actions that a person runs on a message.

use innkeeper_dispatch::{ActionTurn, DispatchError, ToolTurn};
use innkeeper_model::Permission;
use innkeeper_model::authority::Authority;
use innkeeper_model::chat_message::{MessageUpdate, NewMessage, StoredMessage};
use innkeeper_model::principal::Role;
use innkeeper_model::{ChatId, MessageId, Principal, tool::ToolContent};
use serde_json::{Value, json};

use crate::events::arrived;
use crate::world::{World, id, plugin, world};

async fn chat(world: &World, text: &str) -> ChatId {
    let authority = Authority::Own(world.ada.clone());
    let chat = world.new_chat(&world.ada, "Plans").await;
    let message =
        NewMessage { role: "user".to_owned(), content: text.to_owned(), done: true, ..NewMessage::default() };
    world.store.chat_messages().append(&authority, &chat, message).await.unwrap();
    chat
}

async fn branch(world: &World, chat: &ChatId) -> Vec<StoredMessage> {
    world.store.chat_messages().branch(&Authority::Own(world.ada.clone()), chat, None).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_asks_for_a_name_and_shows_the_file() {
    let grants =
        &[Permission::FilesWrite, Permission::EventsCall, Permission::EventsEmit, Permission::ChatsRead];
    let world = world().plugin(plugin("export-markdown").grant(grants)).build().await;
    let chat = chat(&world, "the text of the chat").await;
    let last = branch(&world, &chat).await.pop().unwrap().id;
    let mut ada = world.dispatch.hub().subscribe(&world.ada).unwrap();
    let answers = async {
        let question = ada.next().await.unwrap();
        assert_eq!((question.event.kind.as_str(), question.chat.as_ref()), ("input", Some(&chat)));
        world.dispatch.hub().answer(&world.ada, &question.ask.unwrap(), json!("My plans")).unwrap();
        ada.next().await.unwrap()
    };
    let export =
        world.dispatch.run_action(world.action_turn("export-markdown", "export", Some(chat.clone())));
    let (outcome, shown) = tokio::join!(export, answers);
    let outcome = outcome.unwrap();
    assert!(matches!(outcome.result.unwrap().content.as_slice(), [ToolContent::File { .. }]));
    assert_eq!((shown.event.kind.as_str(), shown.turn), ("files", outcome.turn));
    assert_eq!((shown.chat.as_ref(), shown.message.as_ref()), (Some(&chat), Some(&last)));
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
        world.dispatch.run_action(world.action_turn("probe", "probe", Some(chat.clone()))).await.unwrap();
    let content = outcome.result.unwrap().content;
    assert!(
        matches!(content.as_slice(), [ToolContent::Json { value }] if *value == json!({"ok": Value::Null})),
        "{content:?}"
    );
    let given = ActionTurn { messages: Some(Vec::new()), ..world.action_turn("probe", "probe", Some(chat)) };
    assert_eq!(world.dispatch.run_action(given).await.unwrap().result, None);
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_action_that_is_not_there_is_named() {
    let world = world().plugin(plugin("probe")).plugin(plugin("echo")).build().await;
    let error = world.dispatch.run_action(world.action_turn("probe", "export", None)).await.unwrap_err();
    assert_eq!(error, DispatchError::UnknownAction { plugin: id("probe"), action: "export".to_owned() });
    let error = world.dispatch.run_action(world.action_turn("nobody", "export", None)).await.unwrap_err();
    assert_eq!(error.code(), "plugin_not_found");
    let error = world.dispatch.run_action(world.action_turn("probe", "probe", None)).await.unwrap_err();
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
        let run = world.dispatch.run_action(world.action_turn("probe", "probe", Some(chat.clone())));
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

/// An order for `probe` to show that it is at work, and what else it has to do.
fn shows(what: Value, args: &Value, place: &str) -> Value {
    let mut args = args.clone();
    args["event"] = what;
    json!({ "import": "events.emit", "args": args, "place": place })
}

fn working() -> Value {
    json!({ "Status": {"description": "working", "done": false, "hidden": false} })
}

/// How many statuses each message of the chat has.
async fn statuses(world: &World, chat: &ChatId) -> Vec<usize> {
    let count = |message: &StoredMessage| {
        let history = message.status_history.as_deref().unwrap_or("[]");
        serde_json::from_str::<Vec<Value>>(history).unwrap().len()
    };
    branch(world, chat).await.iter().map(count).collect()
}

/// A chat of Ada's whose first message is an order for `probe`, and the last one too. Gives the id of the first as well.
async fn orders(world: &World, order: &Value) -> (ChatId, MessageId) {
    let chat = chat(world, &order.to_string()).await;
    let first = branch(world, &chat).await.pop().unwrap().id;
    let last =
        NewMessage { role: "assistant".to_owned(), content: order.to_string(), ..NewMessage::default() };
    let authority = Authority::Own(world.ada.clone());
    world.store.chat_messages().append(&authority, &chat, last).await.unwrap();
    (chat, first)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_an_action_are_kept_in_the_message_that_it_is_for() {
    let world = world().plugin(plugin("probe").grant(&[Permission::EventsEmit])).build().await;
    for place in ["call", "background"] {
        let (chat, first) = orders(&world, &shows(working(), &json!({}), place)).await;
        let mut ada = world.dispatch.hub().subscribe(&world.ada).unwrap();
        world.dispatch.run_action(world.action_turn("probe", "probe", Some(chat.clone()))).await.unwrap();
        if place == "call" {
            // Whoever reads the chat when the action is over finds them.
            assert_eq!(statuses(&world, &chat).await, [0, 1], "the last one");
        }
        world.assert_idle().await;
        assert_eq!(statuses(&world, &chat).await, [0, 1], "{place}: the last one");
        let named = ActionTurn {
            message: Some(first.clone()),
            ..world.action_turn("probe", "probe", Some(chat.clone()))
        };
        world.dispatch.run_action(named).await.unwrap();
        world.assert_idle().await;
        assert_eq!(statuses(&world, &chat).await, [1, 1], "{place}: the one that is named");
        let last = branch(&world, &chat).await.pop().unwrap().id;
        let about: Vec<_> = arrived(&mut ada).await.into_iter().map(|event| event.message).collect();
        assert_eq!(about, [Some(last), Some(first)], "{place}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_an_action_do_not_stand_in_the_way_of_what_it_changes() {
    let world = world().plugin(plugin("probe").grant(&[Permission::EventsEmit])).build().await;
    let change = json!({ "change": "by the action" });
    for (event, kept) in
        [(working(), 1), (json!({ "Message": "shown " }), 0), (json!({ "Replace": "shown" }), 0)]
    {
        let (chat, _) = orders(&world, &shows(event.clone(), &change, "call")).await;
        world.dispatch.run_action(world.action_turn("probe", "probe", Some(chat.clone()))).await.unwrap();
        let texts: Vec<_> = branch(&world, &chat).await.into_iter().map(|message| message.content).collect();
        assert_eq!(texts, ["by the action", "by the action"], "{event}: its result is its last word");
        assert_eq!(statuses(&world, &chat).await, [0, kept], "{event}");
    }
    // Without a result that says otherwise the text stays as events made it.
    let (chat, _) = orders(&world, &shows(json!({ "Replace": "shown" }), &json!({}), "call")).await;
    world.dispatch.run_action(world.action_turn("probe", "probe", Some(chat.clone()))).await.unwrap();
    assert_eq!(branch(&world, &chat).await.pop().unwrap().content, "shown");
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_kept_in_no_chat_that_the_person_may_only_read() {
    let world = world().plugin(plugin("probe").grant(&[Permission::EventsEmit])).build().await;
    let pool = world.sqlite();
    let folder = "INSERT INTO folder (id, user_id, name, is_expanded, created_at, updated_at) VALUES ('f', ?, 'F', 0, 0, 0)";
    sqlx::query(folder).bind(world.ada.as_str()).execute(pool).await.unwrap();
    let shared = "INSERT INTO access_grant (id, resource_type, resource_id, principal_type, principal_id, permission, created_at) VALUES ('g', 'folder', 'f', 'user', ?, 'read', 0)";
    sqlx::query(shared).bind(world.bob.as_str()).execute(pool).await.unwrap();
    let (chat, first) = orders(&world, &shows(working(), &json!({}), "call")).await;
    let moved = sqlx::query("UPDATE chat SET folder_id = 'f' WHERE id = ?").bind(chat.as_str());
    assert_eq!(moved.execute(pool).await.unwrap().rows_affected(), 1);
    let mut bob = world.dispatch.hub().subscribe(&world.bob).unwrap();
    let mut kept = Vec::new();
    for user in [&world.bob, &world.ada] {
        let principal = Principal::person(user.clone(), Role::User);
        let turn = ActionTurn {
            principal: principal.clone(),
            ..world.action_turn("probe", "probe", Some(chat.clone()))
        };
        world.dispatch.run_action(turn).await.unwrap();
        let turn = world.tool_turn("probe", "call", shows(working(), &json!({}), "call"));
        let turn = ToolTurn { principal, chat: Some(chat.clone()), message: Some(first.clone()), ..turn };
        world.dispatch.call_tool(turn).await.unwrap();
        kept.push(statuses(&world, &chat).await);
    }
    assert_eq!(arrived(&mut bob).await.len(), 2, "they are shown all the same");
    assert_eq!(kept, [[0, 0], [0, 1]], "and those of the tool in no chat");
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_about_a_message_of_messages_that_the_client_sent_are_kept_where_it_is_named() {
    let world = world().plugin(plugin("probe").grant(&[Permission::EventsEmit])).build().await;
    let (chat, first) =
        orders(&world, &shows(working(), &json!({ "change": "by the action" }), "call")).await;
    let messages = branch(&world, &chat).await;
    for (message, expected) in [(None, [0, 0]), (Some(first), [1, 0])] {
        let turn = world.action_turn("probe", "probe", Some(chat.clone()));
        let turn = ActionTurn { messages: Some(messages.clone()), message, ..turn };
        assert!(world.dispatch.run_action(turn).await.unwrap().result.is_some());
        assert_eq!(statuses(&world, &chat).await, expected);
    }
    let texts = |messages: Vec<StoredMessage>| {
        messages.into_iter().map(|message| message.content).collect::<Vec<_>>()
    };
    assert_eq!(texts(branch(&world, &chat).await), texts(messages), "the texts are the client's");
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_action_has_shown_is_kept_also_where_it_fails_or_its_client_leaves() {
    let world = world().plugin(plugin("probe").grant(&[Permission::EventsEmit])).build().await;
    let (chat, _) = orders(&world, &shows(working(), &json!({ "then": "fail" }), "call")).await;
    world.dispatch.run_action(world.action_turn("probe", "probe", Some(chat.clone()))).await.unwrap_err();
    assert_eq!(statuses(&world, &chat).await, [0, 1]);
    let (chat, _) = orders(&world, &shows(working(), &json!({ "then": "wait" }), "call")).await;
    let mut ada = world.dispatch.hub().subscribe(&world.ada).unwrap();
    {
        let turn = world.action_turn("probe", "probe", Some(chat.clone()));
        let mut run = std::pin::pin!(world.dispatch.run_action(turn));
        tokio::select! {
            ended = &mut run => panic!("{ended:?}"),
            event = ada.next() => assert_eq!(event.unwrap().chat.as_ref(), Some(&chat)),
        }
    }
    drop(ada);
    world.assert_idle().await;
    assert_eq!(statuses(&world, &chat).await, [0, 1]);
}
