//! Budgets of rows and bytes, and each plugin's share of the connections.

use std::time::Duration;

use innkeeper_model::chat::ChatFilter;
use innkeeper_model::chat_message::MessageUpdate;
use innkeeper_store::RowBudget;
use sea_query::{Expr, ExprTrait, Query};

use super::*;

claims! {
    rows_beyond_the_budget_are_an_error_of_their_own,
    bytes_beyond_the_budget_are_an_error_of_their_own,
    a_read_without_a_budget_is_bounded_too,
    a_chat_does_not_grow_without_end,
    writes_are_not_charged_for_what_they_read_themselves,
    a_plugin_cannot_take_the_whole_pool,
}

async fn rows_beyond_the_budget_are_an_error_of_their_own(world: &World) {
    for number in 0..10 {
        world.store.memories().add(&world.alice, &own(&world.alice), &number.to_string()).await.unwrap();
    }
    let budget = Arc::new(RowBudget::new(15, 1 << 20));
    let memories = world.store.with_row_budget(budget.clone()).memories();
    assert_eq!(memories.list(&own(&world.alice), &first(0)).await.unwrap().items.len(), 10);
    assert_eq!(budget.rows_left(), 5);
    assert!(matches!(memories.list(&own(&world.alice), &first(0)).await, Err(StoreError::RowLimit)));
    assert!(
        matches!(memories.list(&own(&world.alice), &first(1)).await, Err(StoreError::RowLimit)),
        "it stays used up"
    );
    assert_eq!(world.store.memories().list(&own(&world.alice), &first(0)).await.unwrap().items.len(), 10);
}

async fn bytes_beyond_the_budget_are_an_error_of_their_own(world: &World) {
    let chat = world.chat(&world.alice, "c").await;
    for _ in 0..5 {
        world.say(&world.alice, &chat, &"x".repeat(1000)).await;
    }
    let budget = Arc::new(RowBudget::new(100, 3000));
    let messages = world.store.with_row_budget(budget.clone()).chat_messages();
    assert!(matches!(messages.list(&own(&world.alice), &chat, &first(0)).await, Err(StoreError::ByteLimit)));
    assert!(matches!(messages.branch(&own(&world.alice), &chat, None).await, Err(StoreError::ByteLimit)));
    assert_eq!(world.store.chat_messages().branch(&own(&world.alice), &chat, None).await.unwrap().len(), 5);
}

async fn a_read_without_a_budget_is_bounded_too(world: &World) {
    let (me, messages) = (own(&world.alice), world.store.chat_messages());
    let chat = world.chat(&world.alice, "c").await;
    world.say(&world.alice, &chat, &"x".repeat(6 << 20)).await;
    assert_eq!(messages.list(&me, &chat, &first(0)).await.unwrap().items.len(), 1);
    // More than its document could hold, as another program may have stored it.
    for number in 0..5 {
        let columns = ["chat_id", "user_id", "role", "content", "done", "created_at", "updated_at"];
        let values = Query::select()
            .expr(Expr::val(format!("{chat}-more-{number}")))
            .columns(columns)
            .from("chat_message")
            .and_where(Expr::col("chat_id").eq(chat.as_str()))
            .limit(1)
            .take();
        let mut insert =
            Query::insert().into_table("chat_message").columns(["id"].into_iter().chain(columns)).take();
        world.run(&*insert.select_from(values).unwrap()).await;
    }
    assert!(matches!(messages.list(&me, &chat, &first(0)).await, Err(StoreError::ByteLimit)));
    for _ in 0..2 {
        let page = messages.list(&me, &chat, &first(2)).await.unwrap();
        assert_eq!(page.items.len(), 2, "each read is on its own");
    }
}

async fn a_chat_does_not_grow_without_end(world: &World) {
    let (me, messages) = (own(&world.alice), world.store.chat_messages());
    let chat = world.chat(&world.alice, "c").await;
    let half = "x".repeat(innkeeper_store::CHAT_BYTES_MAX / 2);
    let id = world.say(&world.alice, &chat, &half).await;
    let too_large = |refused: Result<_, StoreError>| {
        assert!(matches!(refused, Err(StoreError::Quota(innkeeper_store::CHAT_BYTES))), "{refused:?}");
    };
    too_large(messages.append(&me, &chat, message("user", &half)).await);
    let twice = MessageUpdate { content: Some(half.repeat(2)), ..MessageUpdate::default() };
    too_large(messages.set(&me, &chat, &id, &twice).await);
    assert_eq!(messages.branch(&me, &chat, None).await.unwrap()[0].content.len(), half.len());
    world.say(&world.alice, &chat, "a little more").await;
}

async fn writes_are_not_charged_for_what_they_read_themselves(world: &World) {
    let chat = world.chat(&world.alice, "c").await;
    let budget = Arc::new(RowBudget::new(1, 10));
    let store = world.store.with_row_budget(budget.clone());
    let appended =
        store.chat_messages().append(&own(&world.alice), &chat, message("user", &"x".repeat(1000))).await;
    assert!(appended.is_ok());
    assert!(store.chats().may_see(&own(&world.alice), &chat).await.unwrap());
    assert_eq!((budget.rows_left(), budget.bytes_left()), (1, 10));
}

async fn a_plugin_cannot_take_the_whole_pool(world: &World) {
    // SQLite has one writer at a time, so this is shown with locks on the servers.
    if world.backend == Backend::Sqlite {
        return;
    }
    let memory = world.store.memories().add(&world.alice, &own(&world.alice), "x").await.unwrap();
    let mut lock = world.begin().await;
    let mut select = sea_query::Query::select().column("id").from("memory").take();
    lock.fetch_all(select.lock_exclusive(), 10, |_| Ok(())).await.unwrap();
    let greedy = world.store.for_plugin(&plugin("greedy"));
    let blocked: Vec<_> = (0..20)
        .map(|_| {
            let (memories, alice, memory) = (greedy.memories(), world.alice.clone(), memory.clone());
            tokio::spawn(async move { memories.update(&own(&alice), &memory.id, "y", &memory.version).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.store.pool().in_use(), 3, "its share of two of eight, and the lock's own");
    let other = world.store.for_plugin(&plugin("other"));
    let read =
        async { other.chats().list(&own(&world.bob), &ChatFilter::default(), &PageRequest::default()).await };
    tokio::time::timeout(Duration::from_secs(2), read).await.expect("others do not wait").unwrap();
    lock.rollback().await.unwrap();
    let outcomes = futures::future::join_all(blocked).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.as_ref().unwrap().is_ok()).count(), 1);
}
