//! Dropped calls that touch the tables that are shared with Open WebUI.

use innkeeper_model::chat::ChatUpdate;
use innkeeper_model::chat_message::MessageUpdate;
use innkeeper_model::event::WireEvent;
use innkeeper_model::principal::Role;
use serde_json::json;

use super::super::chats::document;
use super::super::*;
use super::{cut, nothing, rows, whole, works};

claims! {
    dropped_writes_of_users_are_whole,
    dropped_writes_of_chats_are_whole,
    dropped_writes_of_messages_are_whole,
    dropped_writes_of_files_are_whole,
    dropped_writes_of_memories_are_whole,
    dropped_reads_leave_working_connections,
}

async fn dropped_writes_of_users_are_whole(world: &World) {
    let users = world.store.users();
    let email = |n: usize| format!("n{n}@example.com");
    let add =
        async |n: usize| users.insert(NewUser { name: "n".into(), email: email(n), role: Role::User }).await;
    whole(world, "insert", nothing, add, async |n| {
        vec![users.find_by_email(&email(n)).await.unwrap().is_some()]
    })
    .await;

    let generation = tokio::sync::Mutex::new(0);
    let reset = async |_| {
        users.set_role(&world.bob, Role::User).await.unwrap();
        *generation.lock().await = world.store.plugins().generation().await.unwrap();
    };
    let role = async |_| {
        let role = users.find(&world.bob).await.unwrap().unwrap().role;
        vec![role == "admin", world.store.plugins().generation().await.unwrap() > *generation.lock().await]
    };
    whole(world, "set_role", reset, async |_| users.set_role(&world.bob, Role::Admin).await, role).await;

    let person = tokio::sync::Mutex::new(None);
    let fill = async |n: usize| {
        let user = users
            .insert(NewUser { name: "d".into(), email: format!("d{n}@example.com"), role: Role::User })
            .await
            .unwrap()
            .id;
        let chat = world.chat(&user, "c").await;
        world.say(&user, &chat, "x").await;
        let file = world.file(&user, "f", b"x").await;
        world.store.api_keys().create(&user, "k").await.unwrap();
        *person.lock().await = Some((user, chat, file));
    };
    let delete = async |_| {
        let user = person.lock().await.clone().unwrap().0;
        users.delete(&user).await
    };
    let gone = async |_| {
        let (user, chat, file) = person.lock().await.clone().unwrap();
        vec![
            users.find(&user).await.unwrap().is_none(),
            world.store.chats().owner(&chat).await.unwrap().is_none(),
            rows(world, "chat_message", "user_id", user.as_str()).await == 0,
            rows(world, "innkeeper_api_key", "user_id", user.as_str()).await == 0,
            !world.stored_files().contains(&file.as_str().to_owned()),
        ]
    };
    whole(world, "delete", fill, delete, gone).await;
}

async fn dropped_writes_of_chats_are_whole(world: &World) {
    let (chats, me) = (world.store.chats(), own(&world.alice));
    let create = async |n: usize| {
        chats.create(&world.alice, &me, NewChat { title: format!("t{n}"), folder: None }).await
    };
    whole(world, "create", nothing, create, async |n| {
        vec![rows(world, "chat", "title", &format!("t{n}")).await == 1]
    })
    .await;

    let chat = tokio::sync::Mutex::new(ChatId::from(""));
    let make = async |_| *chat.lock().await = world.chat(&world.alice, "before").await;
    let update = async |n: usize| {
        let id = chat.lock().await.clone();
        let old = chats.get(&me, &id).await?.unwrap();
        let change = ChatUpdate {
            title: Some("after".into()),
            tags: Some(vec![format!("tag{n}")]),
            ..ChatUpdate::default()
        };
        chats.update(&me, &id, &change, &old.version).await
    };
    let updated = async |n: usize| {
        let id = chat.lock().await.clone();
        let stored = chats.get(&me, &id).await.unwrap().unwrap();
        let title = document(world, &id).await["title"] == "after";
        let tag = rows(world, "tag", "id", &format!("tag{n}")).await == 1;
        vec![stored.title == "after", stored.tags.len() == 1, title, tag]
    };
    whole(world, "update", make, update, updated).await;

    let fill = async |_| {
        let id = world.chat(&world.alice, "d").await;
        world.say(&world.alice, &id, "x").await;
        *chat.lock().await = id;
    };
    let delete = async |_| {
        let id = chat.lock().await.clone();
        chats.delete(&me, &id).await
    };
    let gone = async |_| {
        let id = chat.lock().await.clone();
        let messages = rows(world, "chat_message", "chat_id", id.as_str()).await;
        vec![chats.get(&me, &id).await.unwrap().is_none(), messages == 0]
    };
    whole(world, "delete", fill, delete, gone).await;
}

async fn dropped_writes_of_messages_are_whole(world: &World) {
    let (messages, me) = (world.store.chat_messages(), own(&world.alice));
    let chat = world.chat(&world.alice, "c").await;
    let id = |n: usize| MessageId::from(format!("m{n}"));
    let append = async |n: usize| {
        messages.append(&me, &chat, NewMessage { id: Some(id(n)), ..message("user", "x") }).await
    };
    let appended = async |n: usize| {
        let row = messages.get(&me, &chat, &id(n)).await.unwrap().is_some();
        let history = document(world, &chat).await["history"].clone();
        let current =
            world.store.chats().get(&me, &chat).await.unwrap().unwrap().current_message == Some(id(n));
        vec![
            row,
            history["messages"].get(id(n).as_str()).is_some(),
            history["currentId"] == id(n).as_str(),
            current,
        ]
    };
    whole(world, "append", nothing, append, appended).await;
    let begin = async |n: usize| {
        let question =
            Some(NewMessage { id: Some(format!("q{n}").into()), ..message("user", &format!("{n}")) });
        let answer = NewMessage { id: Some(format!("a{n}").into()), ..message("assistant", "") };
        messages.append_turn(&me, &chat, question, answer).await
    };
    let begun = async |n: usize| {
        let history = document(world, &chat).await["history"].clone();
        let mut parts = Vec::new();
        for name in [format!("q{n}"), format!("a{n}")] {
            parts.push(messages.get(&me, &chat, &name.as_str().into()).await.unwrap().is_some());
            parts.push(history["messages"].get(&name).is_some());
        }
        parts
    };
    whole(world, "append_turn", nothing, begin, begun).await;

    let target = world.say(&world.alice, &chat, "x").await;
    let both = async |expected: &str| {
        let row = messages.get(&me, &chat, &target).await.unwrap().unwrap().content == expected;
        let kept =
            document(world, &chat).await["history"]["messages"][target.as_str()]["content"] == expected;
        vec![row, kept]
    };
    let text = |n: usize| MessageUpdate { content: Some(format!("text {n}")), ..MessageUpdate::default() };
    let set = async |n: usize| messages.set(&me, &chat, &target, &text(n)).await;
    whole(world, "update", nothing, set, async |n| both(&format!("text {n}")).await).await;
    let other = world.say(&world.alice, &chat, "y").await;
    let change_both = async |n: usize| {
        let mut changes = Vec::new();
        for id in [&target, &other] {
            let version = messages.get(&me, &chat, id).await?.unwrap().version;
            let values = MessageUpdate { content: Some(format!("together {n}")), ..MessageUpdate::default() };
            changes.push((id.clone(), version, values));
        }
        messages.update_all(&me, &chat, &changes).await
    };
    let changed = async |n: usize| {
        let mut parts = both(&format!("together {n}")).await;
        let row = messages.get(&me, &chat, &other).await.unwrap().unwrap();
        parts.push(row.content == format!("together {n}"));
        parts
    };
    whole(world, "update_all", nothing, change_both, changed).await;
    let event = |n: usize| [WireEvent::new("replace", json!({"content": format!("event {n}")}))];
    let apply = async |n: usize| messages.apply_events(&me, &chat, &target, &event(n)).await;
    whole(world, "apply_events", nothing, apply, async |n| both(&format!("event {n}")).await).await;
}

async fn dropped_writes_of_files_are_whole(world: &World) {
    let (files, me) = (world.store.files(), own(&world.alice));
    let create = async |n: usize| {
        let data = stream::iter((0..4).map(|_| Ok(bytes::Bytes::from_static(b"piece"))));
        files.create(&world.alice, &me, new_file(&format!("f{n}")), data, 100).await
    };
    let known = async || files.list(&me, None, &first(200)).await.unwrap().items;
    // One row for each file in the storage, at every moment when nothing is under way.
    let matching = async |n: usize| {
        let rows = known().await;
        let mut ids: Vec<String> = rows.iter().map(|file| file.id.as_str().to_owned()).collect();
        let mut stored = world.stored_files();
        ids.sort();
        stored.sort();
        let there = rows.iter().any(|file| file.name == format!("f{n}"));
        if ids == stored { vec![there] } else { vec![true, false] }
    };
    whole(world, "create", nothing, create, matching).await;

    let file = tokio::sync::Mutex::new(None);
    let make = async |_| *file.lock().await = Some(world.file(&world.alice, "d", b"x").await);
    let delete = async |_| {
        let id = file.lock().await.clone().unwrap();
        files.delete(&me, &id).await
    };
    let gone = async |_| {
        let id = file.lock().await.clone().unwrap();
        vec![
            files.get(&me, &id).await.unwrap().is_none(),
            !world.stored_files().contains(&id.as_str().to_owned()),
        ]
    };
    whole(world, "delete", make, delete, gone).await;
}

async fn dropped_writes_of_memories_are_whole(world: &World) {
    let (memories, me) = (world.store.memories(), own(&world.alice));
    let add = async |n: usize| memories.add(&world.alice, &me, &format!("m{n}")).await;
    let count = async |content: String| vec![rows(world, "memory", "content", &content).await == 1];
    whole(world, "add", nothing, add, async |n| count(format!("m{n}")).await).await;
    let target = memories.add(&world.alice, &me, "target").await.unwrap().id;
    let update = async |n: usize| {
        let old = memories.get(&me, &target).await?.unwrap();
        memories.update(&me, &target, &format!("u{n}"), &old.version).await
    };
    whole(world, "update", nothing, update, async |n| count(format!("u{n}")).await).await;
    let victim = tokio::sync::Mutex::new(None);
    let make = async |_| *victim.lock().await = Some(memories.add(&world.alice, &me, "d").await.unwrap().id);
    let delete = async |_| {
        let id = victim.lock().await.clone().unwrap();
        memories.delete(&me, &id).await
    };
    let gone = async |_| {
        let id = victim.lock().await.clone().unwrap();
        vec![memories.get(&me, &id).await.unwrap().is_none()]
    };
    whole(world, "delete", make, delete, gone).await;
}

async fn dropped_reads_leave_working_connections(world: &World) {
    let (store, me) = (&world.store, own(&world.alice));
    let chat = world.chat(&world.alice, "c").await;
    for number in 0..20 {
        world.say(&world.alice, &chat, &format!("{number}{}", "x".repeat(10_000))).await;
    }
    let mut ended = 0;
    for polls in 0..200 {
        let list = async { store.chat_messages().list(&me, &chat, &first(200)).await };
        if let Some(list) = cut(list, polls).await {
            assert_eq!(list.unwrap().items.len(), 20);
            ended += 1;
        }
        let branch = async { store.chat_messages().branch(&me, &chat, None).await };
        if let Some(branch) = cut(branch, polls).await {
            assert_eq!(branch.unwrap().len(), 20);
        }
        if ended == 3 {
            break;
        }
    }
    assert!(ended > 0);
    works(world).await;
}
