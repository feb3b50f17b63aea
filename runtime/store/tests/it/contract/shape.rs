//! Shared tables that Open WebUI changes while this program runs.

use std::time::Duration;

use innkeeper_model::chat::ChatFilter;
use innkeeper_model::kv::KvScope;
use innkeeper_store::shape;
use sea_query::Query;

use super::*;

claims! {
    an_unknown_revision_is_read_and_only_own_tables_are_written,
    a_missing_column_is_named_and_nothing_shared_is_written,
    a_change_is_noticed_by_the_first_statement_that_meets_it,
}

async fn an_unknown_revision_is_read_and_only_own_tables_are_written(world: &World) {
    let (store, alice) = (&world.store, &world.alice);
    let chat = world.chat(alice, "before").await;
    let message = world.say(alice, &chat, "hello").await;
    let file = world.file(alice, "f.txt", b"bytes").await;
    revise(world, "f00dfeed").await;
    let seen = store.for_plugin(&plugin("p"));
    assert!(!store.refresh_shape().await.unwrap().is_known());

    // Reads, also through a plugin's share.
    assert_eq!(seen.chats().get(&own(alice), &chat).await.unwrap().unwrap().title, "before");
    let found = seen.chats().list(&own(alice), &ChatFilter::default(), &first(0)).await.unwrap();
    assert_eq!(found.items.len(), 1);
    assert_eq!(seen.chat_messages().branch(&own(alice), &chat, Some(&message)).await.unwrap().len(), 1);
    assert!(seen.files().open(&own(alice), &file).await.unwrap().is_some());

    // Writes to shared tables: refused, whoever asks, and nothing is left of them.
    let refused = |error: StoreError| {
        assert!(matches!(&error, StoreError::UnknownShape(revision) if revision == "f00dfeed"), "{error:?}");
        assert!(error.is_transient(), "the same call works once the program is upgraded");
    };
    let new = NewChat { title: "after".to_owned(), folder: None };
    refused(seen.chats().create(alice, &own(alice), new).await.unwrap_err());
    refused(store.chats().delete(&own(alice), &chat).await.unwrap_err());
    let more = super::message("user", "more");
    refused(seen.chat_messages().append(&own(alice), &chat, more).await.unwrap_err());
    refused(seen.memories().add(alice, &own(alice), "likes tea").await.unwrap_err());
    refused(store.users().set_role(&world.bob, Role::Admin).await.unwrap_err());
    refused(store.users().delete(alice).await.unwrap_err());
    let data = stream::iter([Ok(bytes::Bytes::from_static(b"x"))]);
    let (files, mine) = (store.files(), own(alice));
    refused(files.create(alice, &mine, new_file("g.txt"), data, 100).await.unwrap_err());
    assert_eq!(world.stored_files().len(), 1, "no bytes without a row");
    assert_eq!(store.users().count().await.unwrap(), 4);
    assert_eq!(store.users().find(&world.bob).await.unwrap().unwrap().role, "user");

    // Own tables.
    let scope = KvScope::User(plugin("p"), alice.clone());
    seen.kv().set(&scope, "k", b"v", None, &QUOTA).await.unwrap();
    let (_, secret) = store.api_keys().create(alice, "laptop").await.unwrap();
    assert!(store.api_keys().verify(&secret).await.unwrap().is_some());
    super::plugins::install(world, "echo", b"one").await;

    revise(world, shape::KNOWN_REVISIONS[0]).await;
    assert!(store.refresh_shape().await.unwrap().is_known());
    assert!(seen.chats().delete(&own(alice), &chat).await.unwrap());
}

async fn a_missing_column_is_named_and_nothing_shared_is_written(world: &World) {
    let (store, alice) = (&world.store, &world.alice);
    let chat = world.chat(alice, "before").await;
    store.memories().add(alice, &own(alice), "likes tea").await.unwrap();
    drop_column(world, "memory", "content").await;
    let error = store.memories().list(&own(alice), &first(0)).await.unwrap_err();
    assert!(matches!(&error, StoreError::SchemaMissing(what) if what.contains("content")), "{error:?}");
    let shape = store.refresh_shape().await.unwrap();
    assert_eq!(shape.all_missing(), ["memory.content"]);
    // The revision is a known one, so it is not the revision that is to blame.
    let error = store.chats().delete(&own(alice), &chat).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::SchemaMissing(what) if what == "column `memory.content`"),
        "{error:?}"
    );
    assert!(store.chats().get(&own(alice), &chat).await.unwrap().is_some(), "the others are read");
    super::plugins::install(world, "echo", b"one").await;
}

async fn a_change_is_noticed_by_the_first_statement_that_meets_it(world: &World) {
    let (store, alice) = (&world.store, &world.alice);
    let chat = world.chat(alice, "before").await;
    let watching = tokio::spawn({
        let store = store.clone();
        async move { store.watch_shape().await }
    });
    revise(world, "f00dfeed").await;
    drop_column(world, "memory", "content").await;
    let met = store.for_plugin(&plugin("p")).memories().list(&own(alice), &first(0)).await;
    assert!(matches!(met, Err(StoreError::SchemaMissing(_))), "{met:?}");
    let noticed = tokio::time::timeout(Duration::from_secs(20), async {
        let title = |n: usize| NewChat { title: n.to_string(), folder: None };
        for n in 0.. {
            match store.chats().create(alice, &own(alice), title(n)).await {
                Err(StoreError::UnknownShape(_)) => return,
                other => drop(other.unwrap()),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    noticed.await.expect("it is noticed long before the minute is over");
    assert!(store.chats().get(&own(alice), &chat).await.unwrap().is_some());
    watching.abort();
    let _ = watching.await;
}

async fn revise(world: &World, revision: &str) {
    let update = Query::update().table("alembic_version").value("version_num", revision).take();
    world.run(&update).await;
}

async fn drop_column(world: &World, table: &str, column: &str) {
    crate::run(world.store.pool(), &format!("ALTER TABLE {table} DROP COLUMN {column}")).await;
}

/// All columns that nobody asks for are gone, and each method does what it did.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repositories_use_no_column_of_shared_tables_that_is_not_asked_for() {
    let world = World::new(Backend::Sqlite).await.unwrap();
    let (_database, empty) = crate::empty(Backend::Sqlite).await.unwrap();
    let nothing = shape::look(&Db::new(empty)).await.unwrap();
    for table in crate::migrations::tables(world.store.pool()).await {
        if table.starts_with("innkeeper_") || table.starts_with("sqlite_") || table == "alembic_version" {
            continue;
        }
        let needed = nothing.missing(&table).join("\", \"");
        let mut sql = format!("PRAGMA foreign_keys = OFF; DROP TABLE \"{table}\"");
        if !needed.is_empty() {
            sql = format!(
                "CREATE TABLE kept AS SELECT \"{needed}\" FROM \"{table}\"; {sql}; ALTER TABLE kept RENAME TO \"{table}\""
            );
        }
        crate::run(world.store.pool(), &sql).await;
    }
    crate::run(world.store.pool(), "CREATE UNIQUE INDEX one_of_each ON tag (id, user_id)").await;
    assert!(world.store.refresh_shape().await.unwrap().is_known());

    super::statements::methods_of_the_shared_tables_send_a_constant_number_of_statements(&world).await;
    let (store, me) = (&world.store, own(&world.alice));
    let (chat, file) = (world.chat(&world.alice, "c").await, world.file(&world.alice, "f", b"x").await);
    let id = world.say(&world.alice, &chat, "x").await;
    let status = innkeeper_model::event::WireEvent::new("status", serde_json::json!({"description": "x"}));
    store.chat_messages().apply_events(&me, &chat, &id, &[status]).await.unwrap();
    assert!(store.chats().may_write(&own(&world.alice), &chat).await.unwrap());
    assert!(store.files().open(&me, &file).await.unwrap().is_some());
    assert!(store.users().find_by_email("alice@example.com").await.unwrap().is_some());
    assert_eq!(store.users().get_many(&me, std::slice::from_ref(&world.alice)).await.unwrap().len(), 1);
    store.api_keys().create(&world.alice, "k").await.unwrap();
    assert!(store.users().delete(&world.alice).await.unwrap());
}
