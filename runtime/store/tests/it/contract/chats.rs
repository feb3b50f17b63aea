//! Chats.

use innkeeper_model::chat::{ChatFilter, ChatUpdate};
use sea_query::ExprTrait;
use serde_json::Value;

use super::*;

claims! {
    a_new_chat_has_upstreams_shape,
    only_admitted_owners_get_chats,
    chats_are_listed_latest_first_in_pages,
    filters_narrow_the_list,
    an_update_needs_the_version_that_was_read,
    titles_and_tags_are_kept_where_upstream_looks,
    deleting_a_chat_ends_what_belongs_to_it,
    unsaved_chats_are_not_there,
    a_title_has_a_bound,
    rows_without_a_time_are_listed_too,
}

async fn a_new_chat_has_upstreams_shape(world: &World) {
    let id = world.chat(&world.alice, "Hello\0 there").await;
    let chat = world.store.chats().get(&own(&world.alice), &id).await.unwrap().unwrap();
    assert_eq!((chat.title.as_str(), chat.archived, chat.pinned), ("Hello there", false, false));
    assert_eq!((&chat.user, chat.created_at, chat.updated_at), (&world.alice, START, START));
    assert_eq!((chat.tags.len(), chat.current_message), (0, None));
    let document = document(world, &id).await;
    assert_eq!(document["title"], "Hello there");
    assert_eq!(document["history"], serde_json::json!({"messages": {}, "currentId": null}));
    assert_eq!(world.store.chats().owner(&id).await.unwrap(), Some(world.alice.clone()));
}

async fn only_admitted_owners_get_chats(world: &World) {
    let chats = world.store.chats();
    let new = || NewChat { title: "t".to_owned(), folder: None };
    assert!(is_not_found(chats.create(&world.pending, &own(&world.pending), new()).await));
    assert!(is_not_found(chats.create(&world.bob, &own(&world.alice), new()).await));
    assert!(is_not_found(chats.create(&world.bob, &all(&world.alice), new()).await));
    assert!(is_not_found(chats.create(&world.bob, &Authority::Unattended, new()).await));
    assert!(chats.create(&world.bob, &all(&world.admin), new()).await.is_ok());
    let foreign = NewChat { title: "t".to_owned(), folder: Some("no-such-folder".to_owned()) };
    assert!(is_invalid(chats.create(&world.alice, &own(&world.alice), foreign).await));
}

async fn chats_are_listed_latest_first_in_pages(world: &World) {
    let mut expected = Vec::new();
    for number in 0..5 {
        // Two of them in the same second.
        world.clock.advance(i64::from(number != 3));
        let id = world.chat(&world.alice, &number.to_string()).await;
        expected.push((-world.clock.seconds(), id));
    }
    world.chat(&world.bob, "not mine").await;
    expected.sort();
    let (mut seen, mut page) = (Vec::new(), first(2));
    loop {
        let part = world.store.chats().list(&own(&world.alice), &ChatFilter::default(), &page).await.unwrap();
        seen.extend(part.items.into_iter().map(|chat| (-chat.updated_at, chat.id)));
        match part.next {
            Some(next) => page = after(Some(next), 2),
            None => break,
        }
    }
    assert_eq!(seen, expected);
    assert!(is_invalid(
        world.store.chats().list(&own(&world.alice), &ChatFilter::default(), &forged()).await
    ));
}

async fn filters_narrow_the_list(world: &World) {
    let chats = world.store.chats();
    let archived = world.chat(&world.alice, "Old 100%_done").await;
    let chat = chats.get(&own(&world.alice), &archived).await.unwrap().unwrap();
    let change = ChatUpdate { archived: Some(true), pinned: Some(true), ..ChatUpdate::default() };
    chats.update(&own(&world.alice), &archived, &change, &chat.version).await.unwrap();
    world.chat(&world.alice, "New").await;
    let count = async |filter: ChatFilter| {
        chats.list(&own(&world.alice), &filter, &first(0)).await.unwrap().items.len()
    };
    assert_eq!(count(ChatFilter::default()).await, 2);
    assert_eq!(count(ChatFilter { archived: Some(true), ..ChatFilter::default() }).await, 1);
    assert_eq!(
        count(ChatFilter { archived: Some(false), pinned: Some(false), ..ChatFilter::default() }).await,
        1
    );
    assert_eq!(count(ChatFilter { folder: Some("f".to_owned()), ..ChatFilter::default() }).await, 0);
    for (part, hits) in
        [("old", 1), ("%", 1), ("100%_D", 1), ("_", 1), ("n%w", 0), ("' OR ''='", 0), ("\\", 0)]
    {
        assert_eq!(
            count(ChatFilter { title_contains: Some(part.to_owned()), ..ChatFilter::default() }).await,
            hits,
            "{part}"
        );
    }
}

async fn an_update_needs_the_version_that_was_read(world: &World) {
    let chats = world.store.chats();
    let id = world.chat(&world.alice, "one").await;
    let old = chats.get(&own(&world.alice), &id).await.unwrap().unwrap();
    let change = |title: &str| ChatUpdate { title: Some(title.to_owned()), ..ChatUpdate::default() };
    let new = chats.update(&own(&world.alice), &id, &change("two"), &old.version).await.unwrap();
    assert_ne!(new.version, old.version, "within the same second");
    assert!(is_conflict(chats.update(&own(&world.alice), &id, &change("three"), &old.version).await));
    assert_eq!(chats.get(&own(&world.alice), &id).await.unwrap().as_ref(), Some(&new));
    let race = |racer: u32| {
        let (chats, alice, id, version) =
            (chats.clone(), world.alice.clone(), id.clone(), new.version.clone());
        let change = change(&racer.to_string());
        tokio::spawn(async move { chats.update(&own(&alice), &id, &change, &version).await })
    };
    let outcomes = futures::future::join_all((0..8).map(race)).await;
    assert_eq!(outcomes.into_iter().filter(|outcome| outcome.as_ref().unwrap().is_ok()).count(), 1);
    for stranger in [own(&world.bob), own(&world.admin), Authority::Nothing] {
        assert!(is_not_found(chats.update(&stranger, &id, &change("x"), &new.version).await));
    }
}

async fn titles_and_tags_are_kept_where_upstream_looks(world: &World) {
    let chats = world.store.chats();
    let id = world.chat(&world.alice, "one").await;
    world.say(&world.alice, &id, "hello").await;
    let old = chats.get(&own(&world.alice), &id).await.unwrap().unwrap();
    let change = ChatUpdate {
        title: Some("\u{1f600} \"quoted\" \\ 'x'".to_owned()),
        tags: Some(vec!["Small Talk".to_owned(), "small talk".to_owned(), "\u{e4}".to_owned()]),
        ..ChatUpdate::default()
    };
    world.clock.advance(5);
    let new = chats.update(&own(&world.alice), &id, &change, &old.version).await.unwrap();
    assert_eq!(
        (new.tags.clone(), new.updated_at),
        (vec!["small_talk".to_owned(), "\u{e4}".to_owned()], START + 5)
    );
    assert_eq!(chats.get(&own(&world.alice), &id).await.unwrap().as_ref(), Some(&new));
    let document = document(world, &id).await;
    assert_eq!(document["title"], new.title.as_str());
    assert_eq!(document["history"]["messages"].as_object().unwrap().len(), 1);
    let mut tx = world.begin().await;
    let mut tags = sea_query::Query::select().columns(["id", "name"]).from("tag").take();
    let mut tags = tx.fetch_all(&mut tags, 10, |row| Ok((row.text("id")?, row.text("name")?))).await.unwrap();
    tx.rollback().await.unwrap();
    tags.sort();
    let pair = |id: &str, name: &str| (id.to_owned(), name.to_owned());
    assert_eq!(tags, [pair("small_talk", "Small Talk"), pair("\u{e4}", "\u{e4}")]);
    let again = ChatUpdate { tags: Some(vec!["Small Talk".to_owned()]), ..ChatUpdate::default() };
    assert_eq!(
        chats.update(&own(&world.alice), &id, &again, &new.version).await.unwrap().tags,
        ["small_talk"]
    );
}

async fn a_title_has_a_bound(world: &World) {
    let (chats, me) = (world.store.chats(), own(&world.alice));
    let title = |bytes: usize| "t".repeat(bytes);
    let most = innkeeper_store::TITLE_MAX;
    let create = async |title| chats.create(&world.alice, &me, NewChat { title, folder: None }).await;
    assert!(is_invalid(create(title(most + 1)).await));
    let chat = create(title(most)).await.unwrap();
    let rename = async |title, version: &str| {
        let change = ChatUpdate { title: Some(title), ..ChatUpdate::default() };
        chats.update(&me, &chat.id, &change, version).await
    };
    assert!(is_invalid(rename(title(most + 1), &chat.version).await));
    assert_eq!(rename(title(most), &chat.version).await.unwrap().title.len(), most);
}

async fn rows_without_a_time_are_listed_too(world: &World) {
    let me = own(&world.alice);
    let chat = world.chat(&world.alice, "c").await;
    for name in ["a", "b", "c", "d"] {
        world.chat(&world.alice, name).await;
        world.file(&world.alice, name, b"x").await;
        world.say(&world.alice, &chat, name).await;
    }
    // Upstream's columns may be NULL: two of each with a time and the others without.
    for (table, time) in [("chat", "updated_at"), ("file", "created_at"), ("chat_message", "created_at")] {
        let mut tx = world.begin().await;
        let mut ids = sea_query::Query::select().column("id").from(table).take();
        let ids = tx.fetch_all(&mut ids, 10, |row| row.text("id")).await.unwrap();
        tx.rollback().await.unwrap();
        for id in &ids[2..] {
            let null = sea_query::Expr::val(None::<i64>);
            let update = sea_query::Query::update().table(table).value(time, null).take();
            world.run(&update.clone().and_where(sea_query::Expr::col("id").eq(id.as_str())).take()).await;
        }
    }
    let mut counts = [0; 3];
    let mut page = Some(first(1));
    while let Some(wanted) = page {
        let part = world.store.chats().list(&me, &ChatFilter::default(), &wanted).await.unwrap();
        counts[0] += part.items.len();
        page = part.next.map(|next| after(Some(next), 1));
    }
    let mut page = Some(first(1));
    while let Some(wanted) = page {
        let part = world.store.files().list(&me, None, &wanted).await.unwrap();
        counts[1] += part.items.len();
        page = part.next.map(|next| after(Some(next), 1));
    }
    let mut page = Some(first(1));
    while let Some(wanted) = page {
        let part = world.store.chat_messages().list(&me, &chat, &wanted).await.unwrap();
        counts[2] += part.items.len();
        page = part.next.map(|next| after(Some(next), 1));
    }
    assert_eq!(counts, [5, 4, 4]);
}

async fn deleting_a_chat_ends_what_belongs_to_it(world: &World) {
    let chats = world.store.chats();
    let id = world.chat(&world.alice, "one").await;
    let message = world.say(&world.alice, &id, "hello").await;
    for stranger in [own(&world.bob), own(&world.admin), all(&world.bob), Authority::Unattended] {
        assert!(!chats.delete(&stranger, &id).await.unwrap());
    }
    assert!(chats.delete(&own(&world.alice), &id).await.unwrap());
    assert!(!chats.delete(&own(&world.alice), &id).await.unwrap());
    assert_eq!(chats.get(&own(&world.alice), &id).await.unwrap(), None);
    assert_eq!(world.store.chat_messages().get(&own(&world.alice), &id, &message).await.unwrap(), None);
    let mut tx = world.begin().await;
    let mut rows = sea_query::Query::select().column("id").from("chat_message").take();
    assert!(tx.fetch_all(&mut rows, 10, |row| row.text("id")).await.unwrap().is_empty());
    tx.rollback().await.unwrap();
    let again = world.chat(&world.bob, "admin may").await;
    assert!(chats.delete(&all(&world.admin), &again).await.unwrap());
}

async fn unsaved_chats_are_not_there(world: &World) {
    let chats = world.store.chats();
    for id in ["temporary:1", "local:1", "channel:1", "", "a\0", "x "] {
        let id = ChatId::from(id);
        assert_eq!(chats.get(&own(&world.alice), &id).await.unwrap(), None);
        assert!(!chats.may_see(&own(&world.alice), &id).await.unwrap());
        assert_eq!(chats.owner(&id).await.unwrap(), None);
        assert!(is_not_found(
            world.store.chat_messages().append(&own(&world.alice), &id, message("user", "x")).await
        ));
    }
}

/// A chat's document as it is stored.
pub(super) async fn document(world: &World, id: &ChatId) -> Value {
    let mut tx = world.begin().await;
    let mut select = sea_query::Query::select()
        .column("chat")
        .from("chat")
        .and_where(sea_query::Expr::col("id").eq(id.as_str()))
        .take();
    let document = tx.fetch_optional(&mut select, |row| row.json("chat")).await.unwrap().unwrap();
    tx.rollback().await.unwrap();
    document
}
