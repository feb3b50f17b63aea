//! Turns in chats that are stored here.

use std::task::Poll;

use innkeeper_dispatch::{ChatTurn, Frame};
use innkeeper_model::authority::Authority;
use innkeeper_model::chat_message::{NewMessage, StoredMessage};
use innkeeper_model::chunk::Chunk;
use innkeeper_model::{ChatId, MessageId, Permission, UserId};
use serde_json::{Value, json};

use crate::upstream::{Answer, Upstream, delta};
use crate::world::{World, order, plugin, soon, stored, world};

async fn messages(world: &World, user: &UserId, chat: &ChatId) -> Vec<StoredMessage> {
    world.store.chat_messages().branch(&Authority::Own(user.clone()), chat, None).await.unwrap()
}

fn parsed(text: &Option<String>) -> Value {
    serde_json::from_str(text.as_deref().unwrap_or("null")).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn question_and_answer_are_stored_once() {
    let world = world().plugin(plugin("echo")).build().await;
    let chat = world.new_chat(&world.ada, "Stored").await;
    world.chat(stored(world.turn("echo", "one two"), &chat)).await.text();
    world.chat(stored(world.whole_turn("echo", "three"), &chat)).await.text();
    let kept = messages(&world, &world.ada, &chat).await;
    let shown: Vec<_> =
        kept.iter().map(|message| (message.role.as_str(), message.content.as_str(), message.done)).collect();
    assert_eq!(
        shown,
        [
            ("user", "one two", true),
            ("assistant", "one two", true),
            ("user", "three", true),
            ("assistant", "three", true)
        ]
    );
    assert_eq!(kept[1].model.as_ref().map(|model| model.as_str()), Some("echo"));
    assert!(kept.windows(2).all(|pair| pair[1].parent.as_ref() == Some(&pair[0].id)));
    // A question that is there already, as after a failure, is not stored again.
    let new = NewMessage {
        role: "user".to_owned(),
        content: "four".to_owned(),
        done: true,
        ..NewMessage::default()
    };
    world.store.chat_messages().append(&Authority::Own(world.ada.clone()), &chat, new).await.unwrap();
    world.chat(stored(world.turn("echo", "four"), &chat)).await.text();
    assert_eq!(messages(&world, &world.ada, &chat).await.len(), 6);
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_stored_that_was_not_to_be() {
    let world = world().plugin(plugin("echo")).build().await;
    let chat = world.new_chat(&world.ada, "Stored").await;
    let turn = ChatTurn { chat: Some(chat.clone()), ..world.turn("echo", "hi") };
    world.chat(turn).await.text();
    assert!(messages(&world, &world.ada, &chat).await.is_empty());
    let without = ChatTurn { store_turn: true, ..world.turn("echo", "hi") };
    assert_eq!(world.chat(without).await.error().code(), "invalid_request");
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_outlet_filter_changes_is_stored_beside_the_original() {
    let world = world()
        .plugin(plugin("misbehave").filter(|filter| filter.toggle = false).global())
        .plugin(plugin("echo"))
        .build()
        .await;
    let chat = world.new_chat(&world.ada, "Stored").await;
    let said = world.chat(stored(world.turn("echo", "outlet:nothing"), &chat)).await;
    assert_eq!(said.text(), "outlet:nothing");
    assert_eq!(said.events()[0].kind, "chat:outlet");
    let answer = messages(&world, &world.ada, &chat).await.pop().unwrap();
    assert_eq!(answer.content, "done");
    // Kept where upstream keeps it: in the chat's document.
    let document: String = sqlx::query_scalar("SELECT chat FROM chat WHERE id = ?")
        .bind(chat.as_str())
        .fetch_one(world.sqlite())
        .await
        .unwrap();
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(
        document["history"]["messages"][answer.id.as_str()]["originalContent"],
        "outlet:nothing",
        "{document}"
    );
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_that_an_outlet_filter_shows_is_stored_after_what_it_returns() {
    let world = world()
        .plugin(
            plugin("probe").grant(&[Permission::EventsEmit]).filter(|filter| filter.toggle = false).global(),
        )
        .plugin(plugin("echo"))
        .build()
        .await;
    let returned = json!({ "ok": null }).to_string();
    for (event, expected) in [
        (json!({"Message": " and more"}), format!("{returned} and more")),
        (json!({"Replace": "instead"}), "instead".to_owned()),
    ] {
        let chat = world.new_chat(&world.ada, "Stored").await;
        let shows = order("outlet", "events.emit", json!({ "event": event }));
        world.chat(stored(world.turn("echo", &shows), &chat)).await.text();
        world.assert_idle().await;
        let answer = messages(&world, &world.ada, &chat).await.pop().unwrap();
        assert_eq!((answer.content, answer.done), (expected, true), "{event}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_is_stored_with_what_had_come() {
    let upstream = Upstream::start().await;
    upstream.answer(Answer::Cut);
    let world = world().provider(upstream.config()).plugin(plugin("misbehave")).build().await;
    let chat = world.new_chat(&world.ada, "Stored").await;
    for (model, text, partial) in
        [("gpt-fake", "hi", "cut "), ("misbehave", "feed:trap", "begun"), ("misbehave", "run:trap", "")]
    {
        let error = world.chat(stored(world.turn(model, text), &chat)).await.error();
        let answer = messages(&world, &world.ada, &chat).await.pop().unwrap();
        assert_eq!(
            (answer.role.as_str(), answer.content.as_str(), answer.done),
            ("assistant", partial, true),
            "{text}"
        );
        assert_eq!(parsed(&answer.error)["content"], error.to_string());
    }
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_for_which_the_chat_has_no_room_is_stored_as_a_failure() {
    let world = world().plugin(plugin("echo")).build().await;
    let chat = world.new_chat(&world.ada, "Full").await;
    let mine = Authority::Own(world.ada.clone());
    let long = NewMessage {
        role: "user".to_owned(),
        content: "x".repeat(14 << 20),
        done: true,
        ..NewMessage::default()
    };
    world.store.chat_messages().append(&mine, &chat, long).await.unwrap();
    let error = world.chat(stored(world.turn("echo", &"y".repeat(700 << 10)), &chat)).await.error();
    assert!(error.to_string().contains("chat-bytes"), "{error}");
    let kept = messages(&world, &world.ada, &chat).await;
    let answer = kept.last().unwrap();
    assert_eq!((answer.role.as_str(), answer.content.as_str(), answer.done), ("assistant", "", true));
    assert!(answer.error.as_deref().is_some_and(|error| error.contains("chat-bytes")), "{:?}", answer.error);
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_written_while_guests_keep_all_their_threads() {
    let guests = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let world = world().guests(guests.handle()).plugin(plugin("misbehave")).build().await;
    let chat = world.new_chat(&world.ada, "Stored").await;
    let turn = stored(world.turn("misbehave", "feed:sleep 500"), &chat);
    let mut turn = world.dispatch.chat(turn).await.unwrap();
    assert!(matches!(turn.frames.recv().await, Some(Frame::Chunk(_))));
    // Somebody else writes when the answer ends, so that its write has begun and waits.
    let writer = world.sqlite().begin_with("BEGIN IMMEDIATE").await.unwrap();
    soon("the answer's write waits", || world.store.pool().in_use() == 2).await;
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (blocks, blocked) = tokio::sync::oneshot::channel();
    guests.spawn(async move {
        blocks.send(()).unwrap();
        released.recv()
    });
    blocked.await.unwrap();
    writer.rollback().await.unwrap();
    let is_done = async {
        while !messages(&world, &world.ada, &chat).await.pop().unwrap().done {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let written = tokio::time::timeout(std::time::Duration::from_secs(5), is_done).await;
    drop(release);
    assert!(written.is_ok(), "the write waits for guests, and everybody for the write");
    world.assert_idle().await;
    guests.shutdown_background();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_that_its_client_leaves_is_stored_as_cancelled() {
    let world = world().plugin(plugin("misbehave")).build().await;
    let chat = world.new_chat(&world.ada, "Stored").await;
    let mut handle = world.dispatch.chat(stored(world.turn("misbehave", "feed:wait"), &chat)).await.unwrap();
    handle.frames.recv().await.unwrap();
    drop(handle);
    world.assert_idle().await;
    let answer = messages(&world, &world.ada, &chat).await.pop().unwrap();
    assert_eq!((answer.content.as_str(), answer.done), ("begun", true));
    assert_eq!(parsed(&answer.error)["content"], "the turn was cancelled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_of_somebody_else_is_not_touched_and_looks_like_none() {
    let world = world().plugin(plugin("probe").grant(&[Permission::EventsEmit])).build().await;
    let theirs = world.new_chat(&world.bob, "Stored").await;
    let (mut ada, mut bob) = (
        world.dispatch.hub().subscribe(&world.ada).unwrap(),
        world.dispatch.hub().subscribe(&world.bob).unwrap(),
    );
    let status = json!({ "event": {"Status": {"description": "x", "done": false, "hidden": false}} });
    let text = order("run", "events.emit", status.clone());
    let mut said = Vec::new();
    for chat in [theirs.clone(), ChatId::from("0b0e7f3c-0000-4000-8000-000000000000")] {
        let plain = ChatTurn { chat: Some(chat.clone()), ..world.turn("probe.one", &text) };
        for turn in [plain, stored(world.turn("probe.one", &text), &chat)] {
            let error = world.chat(turn).await.error();
            assert_eq!(error.code(), "not_allowed");
            said.push(error.to_string());
        }
        let arguments = json!({ "import": "events.emit", "args": status });
        let tool = innkeeper_dispatch::ToolTurn {
            chat: Some(chat.clone()),
            ..world.tool_turn("probe", "call", arguments)
        };
        said.push(world.dispatch.call_tool(tool).await.unwrap_err().to_string());
        let action = world.action_turn("probe", "probe", Some(chat));
        said.push(world.dispatch.run_action(action).await.unwrap_err().to_string());
    }
    said.dedup();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(messages(&world, &world.bob, &theirs).await.is_empty());
    assert!(crate::events::arrived(&mut ada).await.is_empty());
    assert!(crate::events::arrived(&mut bob).await.is_empty());
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_kept_types_are_stored_with_the_message() {
    let world = world().plugin(plugin("probe").grant(&[Permission::EventsEmit])).build().await;
    let chat = world.new_chat(&world.ada, "Stored").await;
    let cases = [
        json!({"Status": {"description": "looking", "done": false, "hidden": false}}),
        json!({"Message": "shown "}),
        json!({"Replace": "instead "}),
        json!({"Files": [{"kind": "file", "url": "/api/v1/files/1/content"}]}),
        json!({"Embeds": {"items": ["https://example.org/a"], "replace": false}}),
        json!({"Source": {"name": "book", "documents": [{"text": "t", "source": "s"}]}}),
        json!({"Notification": {"level": "Info", "content": "not kept"}}),
    ];
    for event in cases {
        let text = order("run", "events.emit", json!({ "event": event.clone() }));
        let said = world.chat(stored(world.turn("probe.one", &text), &chat)).await;
        let answered = said
            .chunks
            .iter()
            .filter_map(|chunk| {
                if let innkeeper_model::chunk::Chunk::Text(text) = chunk { Some(text.as_str()) } else { None }
            })
            .collect::<String>();
        assert!(answered.contains("\"ok\""), "{event}: {said:?}");
        let answer = messages(&world, &world.ada, &chat).await.pop().unwrap();
        let (case, _) = event.as_object().unwrap().iter().next().unwrap();
        let expected = match case.as_str() {
            "Message" => format!("shown {answered}"),
            "Replace" => format!("instead {answered}"),
            _ => answered,
        };
        assert_eq!(answer.content, expected, "{case}");
        let kept = [&answer.status_history, &answer.files, &answer.embeds, &answer.sources];
        let count: usize = kept.into_iter().map(|list| parsed(list).as_array().map_or(0, Vec::len)).sum();
        assert_eq!(
            count,
            usize::from(!matches!(case.as_str(), "Message" | "Replace" | "Notification")),
            "{answer:?}"
        );
    }
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_background_work_are_stored_too() {
    let world = world().plugin(plugin("probe").grant(&[Permission::EventsEmit])).build().await;
    let chat = world.new_chat(&world.ada, "Stored").await;
    let status = json!({ "event": {"Status": {"description": "afterwards", "done": true, "hidden": false}} });
    world
        .chat(stored(world.turn("probe.one", &order("background", "events.emit", status)), &chat))
        .await
        .text();
    world.assert_idle().await;
    let answer = messages(&world, &world.ada, &chat).await.pop().unwrap();
    assert_eq!(parsed(&answer.status_history)[0]["description"], "afterwards");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_events_are_stored_in_a_few_writes_and_in_order() {
    let world = world().plugin(plugin("misbehave").grant(&[Permission::EventsEmit])).build().await;
    let chat = world.new_chat(&world.ada, "Stored").await;
    let before = world.store.statements();
    world.chat(stored(world.turn("misbehave", "many-events 200"), &chat)).await.text();
    let answer = messages(&world, &world.ada, &chat).await.pop().unwrap();
    let history = parsed(&answer.status_history);
    let numbers: Vec<_> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|status| status["description"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(numbers, (0..200).map(|number| number.to_string()).collect::<Vec<_>>());
    let statements = world.store.statements() - before;
    assert!(statements < 120, "{statements} statements");
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn usage_of_an_answer_is_stored() {
    let upstream = Upstream::start().await;
    upstream.say(vec![
        delta("text"),
        json!({ "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3} })
            .to_string(),
    ]);
    let world = world().provider(upstream.config()).build().await;
    let chat = world.new_chat(&world.ada, "Stored").await;
    world.chat(stored(world.turn("gpt-fake", "hi"), &chat)).await.text();
    let answer = messages(&world, &world.ada, &chat).await.pop().unwrap();
    assert!(answer.usage.is_some(), "{answer:?}");
    assert_eq!(answer.content, "text");
    world.assert_idle().await;
}

/// Polls a future so often and drops it, unless it ends before.
async fn cut<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let (mut future, mut left) = (std::pin::pin!(future), polls);
    std::future::poll_fn(|context| {
        let Some(rest) = left.checked_sub(1) else { return Poll::Ready(None) };
        left = rest;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_at_any_moment_leaves_no_question_without_an_answer() {
    let world = world().plugin(plugin("echo")).build().await;
    // How far a poll comes is not the same each time, so all are tried until some clients have left while their turn began.
    let mut left = 0;
    for _ in 0..20 {
        for polls in 0..200 {
            let chat = world.new_chat(&world.ada, "Stored").await;
            let ended = cut(world.dispatch.chat(stored(world.turn("echo", "hi"), &chat)), polls).await;
            let over = ended.is_some();
            drop(ended);
            world.assert_idle().await;
            let kept = messages(&world, &world.ada, &chat).await;
            match kept.as_slice() {
                [] => assert!(!over),
                [question, answer] => {
                    left += usize::from(!over);
                    assert_eq!((question.content.as_str(), answer.role.as_str()), ("hi", "assistant"));
                    assert!(answer.done, "after {polls} polls: {answer:?}");
                }
                other => panic!("after {polls} polls: {other:?}"),
            }
            if over {
                break;
            }
        }
        if left > 0 {
            return;
        }
    }
    panic!("no client left while its turn began");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_that_cannot_be_the_answers_is_told_and_nothing_is_stored() {
    let world = world().plugin(plugin("echo")).build().await;
    let chat = world.new_chat(&world.ada, "Stored").await;
    let named = |id: &str| ChatTurn { message: Some(id.into()), ..stored(world.turn("echo", "hi"), &chat) };
    world.chat(named("mine")).await.text();
    for (id, code) in [("mine", "conflict"), (&"x".repeat(255), "invalid_request"), ("", "invalid_request")] {
        assert_eq!(world.chat(named(id)).await.error().code(), code, "{id}");
    }
    assert_eq!(messages(&world, &world.ada, &chat).await.len(), 2);
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_ends_as_failed_is_stored_as_a_failure_and_passes_no_outlet_filter() {
    let upstream = Upstream::start().await;
    let broken = json!({ "error": {"message": "no more"} }).to_string();
    upstream.say(vec![delta("half "), broken]);
    let world = world()
        .keep_instances(false)
        .provider(upstream.config())
        .plugin(plugin("probe"))
        .plugin(
            plugin("nothing")
                .named("watch")
                .filter(|filter| {
                    (filter.toggle, filter.hooks.stream, filter.hooks.outlet) = (false, false, true);
                })
                .global(),
        )
        .build()
        .await;
    let chat = world.new_chat(&world.ada, "Stored").await;
    let pieces = json!({ "chunks": [{"Text": "half "}, {"Failed": "no more"}] });
    for (model, text) in [("probe.one", order("feed", "chunks", pieces)), ("gpt-fake", "hi".to_owned())] {
        let said = world.chat(stored(world.turn(model, &text), &chat)).await;
        assert_eq!(said.partial(), "half ", "{model}");
        assert!(said.chunks.iter().any(|chunk| matches!(chunk, Chunk::Failed(_))), "{model}: {said:?}");
        let trail = world.trail(&said).await;
        assert!(!trail.contains(&"watch filter.outlet".to_owned()), "{model}: {trail:?}");
        let error = said.error();
        assert_eq!((error.code(), error.to_string().as_str()), ("answer_failed", "no more"), "{model}");
        let answer = messages(&world, &world.ada, &chat).await.pop().unwrap();
        assert_eq!((answer.content.as_str(), answer.done), ("half ", true), "{model}");
        assert_eq!(parsed(&answer.error)["content"], "no more", "{model}");
    }
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_reads_nothing_of_a_stored_turn_leaves_it_as_cancelled() {
    let world = world()
        .stall_timeout(std::time::Duration::from_millis(300))
        .plugin(plugin("misbehave"))
        .build()
        .await;
    let chat = world.new_chat(&world.ada, "Stored").await;
    let turn = stored(world.turn("misbehave", "feed:many-chunks 500"), &chat);
    let _handle = world.dispatch.chat(turn).await.unwrap();
    world.assert_idle().await;
    let answer = messages(&world, &world.ada, &chat).await.pop().unwrap();
    assert!(answer.done && answer.content.starts_with("begun"), "{answer:?}");
    assert_eq!(parsed(&answer.error)["content"], "the turn was cancelled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_not_in_the_chat_cannot_be_named() {
    let world = world().plugin(plugin("probe").grant(&[Permission::EventsEmit])).build().await;
    let (chat, other) =
        (world.new_chat(&world.ada, "Stored").await, world.new_chat(&world.ada, "Stored").await);
    let here = ChatTurn { message: Some("here".into()), ..stored(world.turn("probe.one", "hi"), &chat) };
    world.chat(here).await.text();
    let status = json!({ "event": {"Status": {"description": "x", "done": false, "hidden": false}} });
    let mut ada = world.dispatch.hub().subscribe(&world.ada).unwrap();
    for (chat, message, known) in
        [(&chat, "here", true), (&chat, "elsewhere", false), (&other, "here", false)]
    {
        let (chat, message) = (Some(chat.clone()), Some(MessageId::from(message)));
        let turn = world.turn("probe.one", &order("run", "events.emit", status.clone()));
        let turn = ChatTurn { chat: chat.clone(), message: message.clone(), ..turn };
        let mut errors = vec![world.chat(turn).await.end.error];
        let tool = world.tool_turn("probe", "call", json!({ "import": "events.emit", "args": status }));
        let tool = innkeeper_dispatch::ToolTurn { chat: chat.clone(), message: message.clone(), ..tool };
        errors.push(world.dispatch.call_tool(tool).await.err());
        let action = innkeeper_dispatch::ActionTurn { message, ..world.action_turn("probe", "probe", chat) };
        errors.push(world.dispatch.run_action(action).await.err());
        for error in errors {
            assert_eq!(error.map(|error| error.code()), (!known).then_some("not_allowed"));
        }
    }
    let about = crate::events::arrived(&mut ada).await;
    assert_eq!(about.len(), 2);
    assert!(about.iter().all(|event| event.message == Some("here".into())), "{about:?}");
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_of_a_person_that_no_longer_fit_are_named() {
    let world = world().plugin(plugin("probe")).plugin(plugin("echo")).build().await;
    let stale = json!({ "text": 5 });
    world.store.valves().set_user(&crate::world::id("probe"), &world.ada, &stale).await.unwrap();
    let error = world.tool("probe", "invocation", json!({})).await.unwrap_err();
    assert_eq!(error.code(), "invalid_valves");
    assert!(error.to_string().contains("`probe`") && error.to_string().contains("text"), "{error}");
    assert_eq!(world.chat(world.turn("probe.one", "hi")).await.error(), error);
    let mut turn = world.turn("echo", "hi");
    (turn.filter_ids, turn.principal) = (vec!["probe".to_owned()], world.principal());
    assert_eq!(world.chat(turn).await.text(), "hi", "a filter that is not at work there needs none");
    world.assert_idle().await;
}
