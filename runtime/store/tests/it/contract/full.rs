//! A full disk: reads go on, writes say so, nothing is half-written, and no restart is needed afterwards.
//! Only SQLite can be made to run out of space in a test; in PostgreSQL a trigger can say so.

use super::chats::document;
use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_database_is_a_state_and_no_damage() {
    let world = World::new(Backend::Sqlite).await.unwrap();
    let chat = world.chat(&world.alice, "c").await;
    world.say(&world.alice, &chat, "first").await;

    let mut options = Options::new(&world.database.url);
    options.sqlite_max_pages = Some(1);
    let pool = innkeeper_store::connect(&options).await.unwrap();
    let storage = Arc::new(LocalFiles::new(world.files.path().join("uploads")).unwrap());
    let full = Store::new(pool, world.clock.clone(), storage);

    let (me, large) = (own(&world.alice), "x".repeat(100_000));
    assert!(full.last_full().is_none());
    let append = full.chat_messages().append(&me, &chat, message("user", &large)).await;
    assert!(matches!(append, Err(StoreError::Full)), "{append:?}");
    assert!(full.last_full().is_some() && full.for_plugin(&plugin("any")).last_full().is_some());
    let data = stream::iter([Ok(bytes::Bytes::from(large.clone()))]);
    let mut last = full.files().create(&world.alice, &me, new_file("f"), data, 1 << 20).await.map(drop);
    for number in 0..10_000 {
        if last.is_err() {
            break;
        }
        last =
            full.memories().add(&world.alice, &me, &format!("{number}{}", &large[..60_000])).await.map(drop);
    }
    assert!(matches!(last, Err(StoreError::Full)), "{last:?}");

    assert_eq!(full.chat_messages().branch(&me, &chat, None).await.unwrap().len(), 1, "reads go on");
    assert_eq!(document(&world, &chat).await["history"]["messages"].as_object().unwrap().len(), 1);
    let files = world.store.files().list(&me, None, &first(0)).await.unwrap().items;
    assert_eq!(files.len(), world.stored_files().len(), "no bytes without a row");

    world
        .store
        .chat_messages()
        .append(&me, &chat, message("user", &large))
        .await
        .expect("there is space again");
    assert_eq!(full.chat_messages().branch(&me, &chat, None).await.unwrap().len(), 2);
    full.pool().close().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_full_at_the_end_of_a_transaction_is_noted() {
    let Some(world) = World::new(Backend::Postgres).await else { return };
    let chat = world.chat(&world.alice, "c").await;
    let trigger = "CREATE FUNCTION say_full() RETURNS trigger LANGUAGE plpgsql AS \
                   $$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = 'disk_full'; END $$; \
                   CREATE CONSTRAINT TRIGGER says_full AFTER INSERT ON chat_message DEFERRABLE INITIALLY DEFERRED \
                   FOR EACH ROW EXECUTE FUNCTION say_full()";
    crate::run(world.store.pool(), trigger).await;
    assert!(world.store.last_full().is_none());
    let append = world.store.chat_messages().append(&own(&world.alice), &chat, message("user", "x")).await;
    assert!(matches!(append, Err(StoreError::Full)), "{append:?}");
    assert!(world.store.last_full().is_some());
    world.end().await;
}
