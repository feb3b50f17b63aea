//! Messages of chats.

use innkeeper_model::chat_message::MessageUpdate;
use innkeeper_model::chat_request::Usage;
use innkeeper_model::event::WireEvent;
use sea_query::{Expr, ExprTrait, Query};
use serde_json::json;

use super::chats::document;
use super::*;

claims! {
    a_message_is_kept_in_both_places,
    a_branch_is_read_from_its_end_in_one_statement,
    branches_are_bounded_and_circles_end,
    messages_are_listed_oldest_first_in_pages,
    an_update_changes_both_places_and_needs_the_version,
    events_are_folded_into_one_write,
    a_turn_begins_with_question_and_answer_or_not_at_all,
    messages_are_changed_together_or_not_at_all,
    appending_refuses_what_does_not_fit,
    a_legacy_chat_gets_branches,
    strangers_have_no_messages,
    concurrent_appends_all_arrive,
    what_is_stored_of_a_messages_lists_is_bounded,
    a_key_that_two_chats_share_names_one_message,
    an_adopted_chat_may_be_too_large_and_hold_what_cannot_be_taken_apart,
}

async fn a_message_is_kept_in_both_places(world: &World) {
    let chat = world.chat(&world.alice, "c").await;
    let question = world.say(&world.alice, &chat, "Hi\0 \u{1f600}").await;
    world.clock.advance(3);
    let answer = NewMessage {
        id: Some(MessageId::from("answer-1")),
        model: Some("echo".into()),
        done: false,
        ..message("assistant", "")
    };
    let answer = world.store.chat_messages().append(&own(&world.alice), &chat, answer).await.unwrap();
    assert_eq!((answer.parent.as_ref(), answer.done, answer.created_at), (Some(&question), false, START + 3));
    let messages = world.store.chat_messages();
    assert_eq!(messages.get(&own(&world.alice), &chat, &answer.id).await.unwrap().as_ref(), Some(&answer));
    let stored = messages.get(&own(&world.alice), &chat, &question).await.unwrap().unwrap();
    assert_eq!(
        (stored.content.as_str(), stored.user.as_ref(), stored.extra),
        ("Hi \u{1f600}", Some(&world.alice), None)
    );

    let document = document(world, &chat).await;
    let history = &document["history"];
    assert_eq!(history["currentId"], "answer-1");
    let question_json = &history["messages"][question.as_str()];
    assert_eq!(question_json["childrenIds"], json!(["answer-1"]));
    assert_eq!(question_json["content"], "Hi \u{1f600}");
    assert_eq!(
        history["messages"]["answer-1"],
        json!({
            "id": "answer-1", "parentId": question.as_str(), "childrenIds": [], "role": "assistant", "content": "",
            "model": "echo", "done": false, "timestamp": START + 3,
        })
    );
    let chat_row = world.store.chats().get(&own(&world.alice), &chat).await.unwrap().unwrap();
    assert_eq!((chat_row.current_message, chat_row.updated_at), (Some(answer.id), START + 3));

    let mut tx = world.begin().await;
    let mut rows = Query::select()
        .columns(["id", "files"])
        .from("chat_message")
        .order_by("created_at", sea_query::Order::Asc)
        .take();
    let rows =
        tx.fetch_all(&mut rows, 10, |row| Ok((row.text("id")?, row.text_opt("files")?))).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(rows[0], (format!("{chat}-{question}"), Some("null".to_owned())), "as upstream writes it");
}

async fn a_branch_is_read_from_its_end_in_one_statement(world: &World) {
    let messages = world.store.chat_messages();
    let chat = world.chat(&world.alice, "c").await;
    let one = world.say(&world.alice, &chat, "one").await;
    let two = world.say(&world.alice, &chat, "two").await;
    let other = NewMessage { parent: Some(one.clone()), ..message("user", "other two") };
    let other = messages.append(&own(&world.alice), &chat, other).await.unwrap().id;
    let three = world.say(&world.alice, &chat, "three").await;
    let (statements, branch) = world.count(messages.branch(&own(&world.alice), &chat, None)).await;
    let ids = |branch: Vec<innkeeper_model::chat_message::StoredMessage>| {
        branch.into_iter().map(|m| m.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(branch.unwrap()), [one.clone(), other, three]);
    assert_eq!(statements, 1);
    assert_eq!(ids(messages.branch(&own(&world.alice), &chat, Some(&two)).await.unwrap()), [one, two]);
    for nothing in ["none", "", "x\0"] {
        assert!(messages.branch(&own(&world.alice), &chat, Some(&nothing.into())).await.unwrap().is_empty());
    }
    let empty = world.chat(&world.alice, "empty").await;
    assert!(messages.branch(&own(&world.alice), &empty, None).await.unwrap().is_empty());
}

async fn branches_are_bounded_and_circles_end(world: &World) {
    let chat = world.chat(&world.alice, "c").await;
    let mut insert = Query::insert()
        .into_table("chat_message")
        .columns(["id", "chat_id", "user_id", "role", "parent_id", "created_at"])
        .take();
    for number in 0..600_i64 {
        let parent = (number > 0).then(|| format!("m{}", number - 1));
        insert.values_panic([
            format!("{chat}-m{number}").into(),
            chat.as_str().into(),
            world.alice.as_str().into(),
            "user".into(),
            parent.into(),
            (START + number).into(),
        ]);
    }
    world.run(&insert).await;
    let messages = world.store.chat_messages();
    let branch = messages.branch(&own(&world.alice), &chat, Some(&"m599".into())).await.unwrap();
    assert_eq!((branch.len(), branch[0].id.as_str(), branch[499].id.as_str()), (500, "m100", "m599"));
    let circle = Query::update()
        .table("chat_message")
        .value("parent_id", "m2")
        .and_where(Expr::col("id").eq(format!("{chat}-m0")))
        .take();
    world.run(&circle).await;
    let branch = messages.branch(&own(&world.alice), &chat, Some(&"m2".into())).await.unwrap();
    assert_eq!(branch.len(), 3);
}

async fn messages_are_listed_oldest_first_in_pages(world: &World) {
    let chat = world.chat(&world.alice, "c").await;
    for number in 0..5 {
        world.clock.advance(i64::from(number % 2));
        world.say(&world.alice, &chat, &number.to_string()).await;
    }
    let messages = world.store.chat_messages();
    let (mut seen, mut page) = (Vec::new(), first(2));
    loop {
        let part = messages.list(&own(&world.alice), &chat, &page).await.unwrap();
        seen.extend(part.items.into_iter().map(|message| (message.created_at, message.content)));
        match part.next {
            Some(next) => page = after(Some(next), 2),
            None => break,
        }
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.is_sorted_by_key(|(created_at, _)| *created_at));
    assert!(is_invalid(messages.list(&own(&world.alice), &chat, &forged()).await));
}

async fn an_update_changes_both_places_and_needs_the_version(world: &World) {
    let messages = world.store.chat_messages();
    let chat = world.chat(&world.alice, "c").await;
    let id = world.say(&world.alice, &chat, "before").await;
    let old = messages.get(&own(&world.alice), &chat, &id).await.unwrap().unwrap();
    let change = MessageUpdate {
        content: Some("after".to_owned()),
        done: Some(true),
        files: Some(r#"[{"type":"file","id":"f"}]"#.to_owned()),
        usage: Some(Usage {
            prompt_tokens: 1,
            completion_tokens: 2,
            total_tokens: 3,
            extra: Some(r#"{"input_tokens":1}"#.to_owned()),
        }),
        error: Some(r#"{"content":"late"}"#.to_owned()),
        original_content: Some("draft".to_owned()),
        ..MessageUpdate::default()
    };
    let new = messages.update(&own(&world.alice), &chat, &id, &change, &old.version).await.unwrap();
    assert_eq!((new.content.as_str(), new.usage.as_ref().unwrap().total_tokens), ("after", 3));
    assert_eq!(messages.get(&own(&world.alice), &chat, &id).await.unwrap().as_ref(), Some(&new));
    let stored = document(world, &chat).await["history"]["messages"][id.as_str()].clone();
    assert_eq!(stored["content"], "after");
    assert_eq!(stored["originalContent"], "draft");
    assert_eq!(stored["files"], json!([{"type": "file", "id": "f"}]));
    assert_eq!(stored["usage"]["input_tokens"], 1);
    assert!(is_conflict(messages.update(&own(&world.alice), &chat, &id, &change, &old.version).await));
    let text =
        |content: &str| MessageUpdate { content: Some(content.to_owned()), ..MessageUpdate::default() };
    let set = messages.set(&own(&world.alice), &chat, &id, &text("host")).await.unwrap();
    assert_eq!(set.content, "host");
    for bad in ["{}", "[", "null"] {
        let bad = MessageUpdate { files: Some(bad.to_owned()), ..MessageUpdate::default() };
        assert!(is_invalid(messages.set(&own(&world.alice), &chat, &id, &bad).await));
    }
    assert!(is_not_found(messages.set(&own(&world.alice), &chat, &"none".into(), &text("x")).await));
    assert!(is_not_found(messages.set(&own(&world.bob), &chat, &id, &text("x")).await));
}

async fn events_are_folded_into_one_write(world: &World) {
    let messages = world.store.chat_messages();
    let chat = world.chat(&world.alice, "c").await;
    let id = world.say(&world.alice, &chat, "start").await;
    let events = [
        WireEvent::new("status", json!({"description": "one\u{0}", "done": false})),
        WireEvent::new("message", json!({"content": " and"})),
        WireEvent::new("notification", json!({"type": "info", "content": "not kept"})),
        WireEvent::new("message", json!({"content": " more"})),
        WireEvent::new("files", json!({"files": [{"id": "f"}]})),
        WireEvent::new("embeds", json!({"embeds": ["a"]})),
        WireEvent::new("embeds", json!({"embeds": ["b"], "replace": true})),
        WireEvent::new("source", json!({"source": {"name": "s"}})),
        WireEvent::new("citation", json!({"source": {"name": "t"}})),
        WireEvent::new("citation", json!({"type": "code_execution"})),
        WireEvent::new("status", json!({"description": "two", "done": true})),
        WireEvent::new("files", json!("no object")),
    ];
    let (statements, applied) =
        world.count(messages.apply_events(&own(&world.alice), &chat, &id, &events)).await;
    applied.unwrap();
    assert_eq!(statements, 4, "however many events there are");
    let stored = messages.get(&own(&world.alice), &chat, &id).await.unwrap().unwrap();
    assert_eq!(stored.content, "start and more");
    assert_eq!(
        stored.status_history.as_deref(),
        Some(r#"[{"description":"one","done":false},{"description":"two","done":true}]"#)
    );
    assert_eq!(stored.files.as_deref(), Some(r#"[{"id":"f"}]"#));
    assert_eq!(stored.embeds.as_deref(), Some(r#"["b"]"#));
    assert_eq!(stored.sources.as_deref(), Some(r#"[{"source":{"name":"s"}},{"source":{"name":"t"}}]"#));
    let kept = document(world, &chat).await["history"]["messages"][id.as_str()].clone();
    assert_eq!(
        (&kept["content"], kept["statusHistory"].as_array().unwrap().len()),
        (&json!("start and more"), 2)
    );

    let more = [
        WireEvent::new("replace", json!({"content": "new"})),
        WireEvent::new("status", json!({"description": "three"})),
    ];
    messages.apply_events(&own(&world.alice), &chat, &id, &more).await.unwrap();
    let stored = messages.get(&own(&world.alice), &chat, &id).await.unwrap().unwrap();
    assert_eq!(
        (stored.content.as_str(), stored.status_history.unwrap().matches("description").count()),
        ("new", 3)
    );
    let passing = [WireEvent::new("notification", json!({}))];
    let (statements, _) = world.count(messages.apply_events(&own(&world.alice), &chat, &id, &passing)).await;
    assert_eq!(statements, 0);
    assert!(is_not_found(messages.apply_events(&own(&world.bob), &chat, &id, &more).await));
}

async fn a_turn_begins_with_question_and_answer_or_not_at_all(world: &World) {
    let (messages, me) = (world.store.chat_messages(), own(&world.alice));
    let chat = world.chat(&world.alice, "c").await;
    let answer = |id: &str| NewMessage { id: Some(id.into()), done: false, ..message("assistant", "") };
    let begin =
        async |question: Option<NewMessage>, answer| messages.append_turn(&me, &chat, question, answer).await;
    let said = async || -> Vec<(String, String)> {
        let branch = messages.branch(&me, &chat, None).await.unwrap();
        assert_eq!(
            document(world, &chat).await["history"]["messages"].as_object().unwrap().len(),
            branch.len()
        );
        branch.into_iter().map(|message| (message.role, message.content)).collect()
    };
    let first = begin(Some(message("user", "one\0 \u{1f600}")), answer("a1")).await.unwrap();
    assert_eq!(messages.get(&me, &chat, &"a1".into()).await.unwrap().as_ref(), Some(&first));
    let expected = [("user", "one \u{1f600}"), ("assistant", "")].map(|(r, c)| (r.to_owned(), c.to_owned()));
    assert_eq!(said().await, expected);
    // One that cannot have its answer is not appended either.
    assert!(is_conflict(begin(Some(message("user", "two")), answer("a1")).await));
    let foreign = NewMessage { parent: Some("elsewhere".into()), ..answer("a2") };
    assert!(is_invalid(begin(Some(message("user", "two")), foreign).await));
    assert_eq!(said().await, expected);
    // A question that is there already, as after a failure, is not asked again.
    world.say(&world.alice, &chat, "two").await;
    let second = begin(Some(message("user", "two")), answer("a2")).await.unwrap();
    assert_eq!(said().await.len(), 4);
    let asked = messages.get(&me, &chat, second.parent.as_ref().unwrap()).await.unwrap().unwrap();
    assert_eq!(asked.content, "two");
    // The same text in another role is another message.
    begin(Some(message("user", "")), answer("a3")).await.unwrap();
    assert_eq!(said().await.len(), 6);
    let third = begin(None, answer("a4")).await.unwrap();
    assert_eq!(third.parent, Some("a3".into()));
    assert!(is_not_found(
        messages.append_turn(&own(&world.bob), &chat, None, message("assistant", "x")).await
    ));
}

async fn messages_are_changed_together_or_not_at_all(world: &World) {
    let (messages, me) = (world.store.chat_messages(), own(&world.alice));
    let chat = world.chat(&world.alice, "c").await;
    let mut stored = Vec::new();
    for text in ["one", "two", "three"] {
        let id = world.say(&world.alice, &chat, text).await;
        stored.push(messages.get(&me, &chat, &id).await.unwrap().unwrap());
    }
    let change = |number: usize, text: &str| {
        let values = MessageUpdate { content: Some(text.to_owned()), ..MessageUpdate::default() };
        (stored[number].id.clone(), stored[number].version.clone(), values)
    };
    let texts = async || -> Vec<String> {
        let kept = document(world, &chat).await["history"]["messages"].clone();
        let branch = messages.branch(&me, &chat, None).await.unwrap();
        let text = |message: innkeeper_model::chat_message::StoredMessage| {
            assert_eq!(kept[message.id.as_str()]["content"], message.content.as_str());
            message.content
        };
        branch.into_iter().map(text).collect()
    };
    let changed = messages.update_all(&me, &chat, &[change(2, "3"), change(0, "1")]).await.unwrap();
    assert_eq!(changed.iter().map(|message| message.content.as_str()).collect::<Vec<_>>(), ["3", "1"]);
    assert_eq!(texts().await, ["1", "two", "3"]);
    // The second is not of that version any more, so the first stays as it is.
    assert!(is_conflict(messages.update_all(&me, &chat, &[change(1, "2"), change(0, "late")]).await));
    let missing = ("elsewhere".into(), String::new(), MessageUpdate::default());
    assert!(is_not_found(messages.update_all(&me, &chat, &[change(1, "2"), missing]).await));
    assert!(is_invalid(messages.update_all(&me, &chat, &[change(1, "2"), change(1, "2")]).await));
    assert!(is_not_found(messages.update_all(&own(&world.bob), &chat, &[change(1, "2")]).await));
    assert_eq!(texts().await, ["1", "two", "3"]);
    assert!(messages.update_all(&me, &chat, &[]).await.unwrap().is_empty());
}

async fn appending_refuses_what_does_not_fit(world: &World) {
    let messages = world.store.chat_messages();
    let chat = world.chat(&world.alice, "c").await;
    let elsewhere = world.chat(&world.alice, "d").await;
    let foreign = world.say(&world.alice, &elsewhere, "x").await;
    let append = async |message: NewMessage| messages.append(&own(&world.alice), &chat, message).await;
    assert!(is_invalid(append(NewMessage { parent: Some(foreign), ..message("user", "x") }).await));
    let with_id = |id: &str| NewMessage { id: Some(id.into()), ..message("user", "x") };
    for bad in ["", "a\0", "a ", "a\nb", &"x".repeat(256), &"x".repeat(230)] {
        assert!(is_invalid(append(with_id(bad)).await), "{bad:?}");
    }
    assert!(is_invalid(append(message("", "x")).await));
    append(with_id("same")).await.unwrap();
    assert!(is_conflict(append(with_id("same")).await));
    append(with_id("SAME")).await.expect("ids are told apart by case");
    assert!(is_not_found(messages.append(&own(&world.bob), &chat, message("user", "x")).await));
}

async fn a_legacy_chat_gets_branches(world: &World) {
    let chat = world.chat(&world.alice, "c").await;
    let linear = json!({"title": "t", "messages": [
        {"id": "a", "role": "user", "content": "No tree"}, {"id": "b", "role": "assistant", "content": "Right"},
    ], "custom": 1.50});
    let update = Query::update()
        .table("chat")
        .value("chat", innkeeper_store::pool::json(world.store.pool().backend(), linear.to_string()))
        .value("current_message_id", "b")
        .and_where(Expr::col("id").eq(chat.as_str()))
        .take();
    world.run(&update).await;
    world.say(&world.alice, &chat, "next").await;
    let document = document(world, &chat).await;
    assert_eq!(document["history"]["messages"]["b"]["childrenIds"].as_array().unwrap().len(), 1);
    assert_eq!(document["history"]["messages"]["b"]["parentId"], "a");
    assert_eq!(document["custom"], 1.5);
}

async fn strangers_have_no_messages(world: &World) {
    let messages = world.store.chat_messages();
    let chat = world.chat(&world.alice, "c").await;
    let id = world.say(&world.alice, &chat, "secret").await;
    for stranger in
        [own(&world.bob), own(&world.admin), own(&world.pending), all(&world.bob), Authority::Unattended]
    {
        assert_eq!(messages.get(&stranger, &chat, &id).await.unwrap(), None);
        assert!(messages.list(&stranger, &chat, &first(0)).await.unwrap().items.is_empty());
        assert!(messages.branch(&stranger, &chat, None).await.unwrap().is_empty());
    }
    assert_eq!(messages.branch(&all(&world.admin), &chat, None).await.unwrap().len(), 1);
    let elsewhere = world.chat(&world.bob, "d").await;
    assert_eq!(messages.get(&own(&world.bob), &elsewhere, &id).await.unwrap(), None);
}

async fn concurrent_appends_all_arrive(world: &World) {
    let chat = world.chat(&world.alice, "c").await;
    let append = |number: u32| {
        let (messages, alice, chat) = (world.store.chat_messages(), world.alice.clone(), chat.clone());
        tokio::spawn(async move {
            messages.append(&own(&alice), &chat, message("user", &number.to_string())).await
        })
    };
    for outcome in futures::future::join_all((0..12).map(append)).await {
        outcome.unwrap().unwrap();
    }
    let branch = world.store.chat_messages().branch(&own(&world.alice), &chat, None).await.unwrap();
    assert_eq!(branch.len(), 12, "each came after another");
    assert_eq!(document(world, &chat).await["history"]["messages"].as_object().unwrap().len(), 12);
}

async fn what_is_stored_of_a_messages_lists_is_bounded(world: &World) {
    let (messages, me) = (world.store.chat_messages(), own(&world.alice));
    let chat = world.chat(&world.alice, "c").await;
    let id = world.say(&world.alice, &chat, "x").await;
    let data = |number: usize| json!({"number": number, "many": vec![0; 9_990]});
    let kinds =
        [("status", "status_history"), ("files", "files"), ("embeds", "embeds"), ("source", "sources")];
    let event = |kind: &str, number: usize| match kind {
        "status" | "source" => WireEvent::new(kind, data(number)),
        list => WireEvent::new(kind, json!({ list: [data(number)] })),
    };
    // Each list gets about 1.2 million values, more than any may hold, in two parts.
    for part in [0..60, 60..120] {
        let events: Vec<_> = part.flat_map(|number| kinds.map(|(kind, _)| event(kind, number))).collect();
        messages.apply_events(&me, &chat, &id, &events).await.unwrap();
    }
    let stored = messages.get(&me, &chat, &id).await.unwrap().unwrap();
    let numbers = |text: &Option<String>| -> Vec<u64> {
        let list: Vec<serde_json::Value> = serde_json::from_str(text.as_deref().unwrap()).unwrap();
        list.iter().map(|item| item["number"].as_u64().unwrap()).collect()
    };
    let latest: Vec<u64> = (101..120).collect();
    let first: Vec<u64> = (0..19).collect();
    assert!(numbers(&stored.status_history).ends_with(&latest), "the latest statuses");
    for list in [&stored.files, &stored.embeds, &stored.sources] {
        assert!(numbers(list).starts_with(&first), "texts refer to the first by number");
    }
    for list in [&stored.status_history, &stored.files, &stored.embeds, &stored.sources] {
        let text = list.as_deref().unwrap();
        assert!(innkeeper_model::json::check_up_to(text, innkeeper_model::json::MAX_VALUES).is_ok());
    }
    // Few values, many bytes.
    let mut large = vec![WireEvent::new("embeds", json!({"embeds": ["x".repeat(1 << 20)]})); 3];
    large.insert(0, WireEvent::new("embeds", json!({"embeds": [], "replace": true})));
    messages.apply_events(&me, &chat, &id, &large).await.unwrap();
    let embeds = messages.get(&me, &chat, &id).await.unwrap().unwrap().embeds.unwrap();
    assert!((1 << 20..2 << 20).contains(&embeds.len()), "{}", embeds.len());
    // Nor by a change.
    let many = format!("[{}0]", "0,".repeat(innkeeper_model::json::MAX_VALUES));
    let long = json!(["x".repeat(2 << 20)]).to_string();
    for list in [many, long] {
        let change = MessageUpdate { files: Some(list), ..MessageUpdate::default() };
        assert!(is_invalid(messages.set(&me, &chat, &id, &change).await));
    }
    // The answer still has its place.
    let change = MessageUpdate { content: Some("x".repeat(4 << 20)), ..MessageUpdate::default() };
    messages.set(&me, &chat, &id, &change).await.unwrap();
    world.say(&world.alice, &chat, "next").await;
}

async fn a_key_that_two_chats_share_names_one_message(world: &World) {
    let (messages, me) = (world.store.chat_messages(), own(&world.alice));
    let (mine, other) = (world.chat(&world.alice, "c").await, world.chat(&world.bob, "d").await);
    // Ids as another program may have made them: chat `a` and message `b-c`, chat `a-b` and message `c`.
    for (chat, id) in [(&mine, "a"), (&other, "a-b")] {
        let update =
            Query::update().table("chat").value("id", id).and_where(Expr::col("id").eq(chat.as_str())).take();
        world.run(&update).await;
    }
    let (mine, other) = (ChatId::from("a"), ChatId::from("a-b"));
    let new = NewMessage { id: Some("c".into()), ..message("user", "bob's") };
    let theirs = messages.append(&own(&world.bob), &other, new).await.unwrap();
    let change = MessageUpdate { content: Some("mine".to_owned()), ..MessageUpdate::default() };
    assert!(is_not_found(messages.set(&me, &mine, &"b-c".into(), &change).await));
    assert_eq!(messages.get(&own(&world.bob), &other, &theirs.id).await.unwrap(), Some(theirs));
}

async fn an_adopted_chat_may_be_too_large_and_hold_what_cannot_be_taken_apart(world: &World) {
    let (messages, me) = (world.store.chat_messages(), own(&world.alice));
    let chat = world.chat(&world.alice, "c").await;
    let id = world.say(&world.alice, &chat, "x").await;
    let put = async |document: String| {
        let update = Query::update()
            .table("chat")
            .value("chat", innkeeper_store::pool::json(world.store.pool().backend(), document))
            .and_where(Expr::col("id").eq(chat.as_str()))
            .take();
        world.run(&update).await;
    };
    let odd = format!(
        r#"{{"history":{{"messages":{{"{id}":{{"n":12345678901234567890123,"x":1e400}}}},"currentId":"{id}"}}}}"#
    );
    put(odd).await;
    world.say(&world.alice, &chat, "next").await;
    let mut tx = world.begin().await;
    let mut select =
        Query::select().column("chat").from("chat").and_where(Expr::col("id").eq(chat.as_str())).take();
    let text = tx.fetch_optional(&mut select, |row| row.text("chat")).await.unwrap().unwrap();
    tx.rollback().await.unwrap();
    assert!(text.contains(r#""n":12345678901234567890123,"x":1e400"#), "{text}");

    let pixels = "x".repeat(innkeeper_store::CHAT_BYTES_MAX);
    put(format!(r#"{{"history":{{"messages":{{"{id}":{{"done":false,"image":"{pixels}"}}}}}}}}"#)).await;
    let done = MessageUpdate { done: Some(true), ..MessageUpdate::default() };
    messages.set(&me, &chat, &id, &done).await.unwrap();
    let row = world.store.chats().get(&me, &chat).await.unwrap().unwrap();
    let title = innkeeper_model::chat::ChatUpdate {
        title: Some("a longer title than before".to_owned()),
        ..Default::default()
    };
    world.store.chats().update(&me, &chat, &title, &row.version).await.unwrap();
    let grown = messages.append(&me, &chat, message("user", "more")).await;
    assert!(matches!(grown, Err(StoreError::Quota("chat-bytes"))), "{grown:?}");
}
