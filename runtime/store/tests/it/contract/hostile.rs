//! Text that guests and clients make up: it is kept as it is, refused, or names nothing; it never reaches other rows.

use innkeeper_model::chat::ChatFilter;
use innkeeper_model::kv::KvScope;
use innkeeper_model::{FileId, MemoryId};
use innkeeper_store::ReceiptFilter;

use super::*;

claims! {
    texts_are_kept_exactly_except_for_nul,
    nul_is_kept_nowhere_in_a_message,
    ids_name_exactly_one_row,
    ids_that_are_sql_name_nothing,
    forged_cursors_are_refused_everywhere,
    corrupt_documents_are_errors_and_no_panics,
    a_large_text_is_kept,
}

const TEXTS: [&str; 9] = [
    "'; DROP TABLE chat; --",
    "\" OR \"\"=\"",
    "\\' \\\" \\\\ \\n",
    "$1 ? :a @b %s {0}",
    "\u{1f469}\u{200d}\u{1f469}\u{200d}\u{1f467}\u{200d}\u{1f466} \u{202e}rtl",
    "  blanks at both ends  ",
    "\u{feff}\u{0}nul\u{0}",
    "line\r\nbreak\ttab\u{1b}[31m",
    "null",
];

async fn texts_are_kept_exactly_except_for_nul(world: &World) {
    let (store, me) = (&world.store, own(&world.alice));
    for text in TEXTS {
        let expected = text.replace('\0', "");
        let chat = world.chat(&world.alice, text).await;
        assert_eq!(store.chats().get(&me, &chat).await.unwrap().unwrap().title, expected);
        let id = world.say(&world.alice, &chat, text).await;
        assert_eq!(store.chat_messages().get(&me, &chat, &id).await.unwrap().unwrap().content, expected);
        assert_eq!(
            super::chats::document(world, &chat).await["history"]["messages"][id.as_str()]["content"],
            expected
        );
        let memory = store.memories().add(&world.alice, &me, text).await.unwrap();
        assert_eq!(store.memories().get(&me, &memory.id).await.unwrap().unwrap().content, expected);
        let scope = KvScope::Shared(plugin("p"));
        store.kv().set(&scope, text, text.as_bytes(), None, &QUOTA).await.unwrap();
        assert_eq!(
            store.kv().get(&scope, text).await.unwrap().unwrap().value,
            text.as_bytes(),
            "keys keep even NUL"
        );
        store
            .chats()
            .list(
                &me,
                &ChatFilter { title_contains: Some(text.to_owned()), ..ChatFilter::default() },
                &first(0),
            )
            .await
            .unwrap();
    }
    assert_eq!(
        store.chats().list(&me, &ChatFilter::default(), &first(0)).await.unwrap().items.len(),
        TEXTS.len()
    );
}

async fn nul_is_kept_nowhere_in_a_message(world: &World) {
    use innkeeper_model::chat_message::MessageUpdate;
    use innkeeper_model::chat_request::Usage;
    let (messages, me) = (world.store.chat_messages(), own(&world.alice));
    let chat = world.chat(&world.alice, "c").await;
    let id = world.say(&world.alice, &chat, "x").await;
    let (object, array) = (r#"{"a\u0000":"b\u0000c"}"#, r#"[{"a\u0000":"b\u0000c"}]"#);
    let array = || Some(array.to_owned());
    let change = MessageUpdate {
        content: Some("a\0".to_owned()),
        original_content: Some("a\0".to_owned()),
        files: array(),
        sources: array(),
        embeds: array(),
        status_history: array(),
        error: Some(object.to_owned()),
        usage: Some(Usage { extra: Some(object.to_owned()), ..Usage::default() }),
        ..MessageUpdate::default()
    };
    let stored = messages.set(&me, &chat, &id, &change).await.unwrap();
    assert_eq!(messages.get(&me, &chat, &id).await.unwrap().as_ref(), Some(&stored));
    let clean = Some(r#"[{"a":"bc"}]"#.to_owned());
    assert_eq!(
        [stored.files, stored.sources, stored.embeds, stored.status_history],
        [clean.clone(), clean.clone(), clean.clone(), clean]
    );
    let clean = Some(r#"{"a":"bc"}"#.to_owned());
    assert_eq!([stored.error, stored.usage.unwrap().extra], [clean.clone(), clean]);
    assert_eq!(stored.content, "a");
    let document = super::chats::document(world, &chat).await.to_string();
    assert!(!document.contains("u0000"), "{document}");
}

async fn ids_name_exactly_one_row(world: &World) {
    let (store, me) = (&world.store, own(&world.alice));
    let chat = world.chat(&world.alice, "c").await;
    let append = async |id: &str| {
        let new = NewMessage { id: Some(id.into()), ..message("user", id) };
        store.chat_messages().append(&me, &chat, new).await.unwrap();
    };
    for id in ["a", "A", "\u{e4}", "\u{c4}", "a%", "a_"] {
        append(id).await;
    }
    for id in ["a", "A", "\u{e4}", "\u{c4}", "a%", "a_"] {
        assert_eq!(store.chat_messages().get(&me, &chat, &id.into()).await.unwrap().unwrap().content, id);
    }
    for other in ["a ", " a", "a\0", "a\u{308}", "%", "_", "\u{e0}", ""] {
        assert_eq!(store.chat_messages().get(&me, &chat, &other.into()).await.unwrap(), None, "{other:?}");
    }
    for other in [format!("{chat} "), chat.as_str().to_uppercase(), format!(" {chat}"), format!("{chat}\0")] {
        let other = ChatId::from(other);
        assert_eq!(store.chats().get(&me, &other).await.unwrap(), None, "{other}");
        assert!(store.chat_messages().branch(&me, &other, Some(&"a".into())).await.unwrap().is_empty());
    }
}

async fn ids_that_are_sql_name_nothing(world: &World) {
    let (store, me) = (&world.store, own(&world.alice));
    let long = "x".repeat(1 << 20);
    for id in TEXTS.iter().copied().chain(["", " ", &long]) {
        assert_eq!(store.chats().get(&me, &id.into()).await.unwrap(), None);
        assert_eq!(store.files().get(&me, &FileId::from(id)).await.unwrap(), None);
        assert!(!store.files().delete(&me, &FileId::from(id)).await.unwrap());
        assert_eq!(store.memories().get(&me, &MemoryId::from(id)).await.unwrap(), None);
        assert!(!store.memories().delete(&me, &MemoryId::from(id)).await.unwrap());
        assert_eq!(store.users().get(&all(&world.admin), &id.into()).await.unwrap(), None);
        assert_eq!(store.users().find_by_email(id).await.unwrap(), None);
        assert!(!store.users().delete(&id.into()).await.unwrap());
        assert_eq!(store.config().get(id).await.unwrap(), None);
        assert_eq!(store.api_keys().verify(id).await.unwrap(), None);
        assert_eq!(store.invocations().get(id).await.unwrap(), None);
        let stranger = Authority::Own(id.into());
        assert!(
            store.chats().list(&stranger, &ChatFilter::default(), &first(0)).await.unwrap().items.is_empty()
        );
        assert!(store.memories().list(&Authority::All(id.into()), &first(0)).await.unwrap().items.is_empty());
    }
    assert_eq!(store.users().count().await.unwrap(), 4);
}

async fn forged_cursors_are_refused_everywhere(world: &World) {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let (store, me) = (&world.store, own(&world.alice));
    let chat = world.chat(&world.alice, "c").await;
    for forged in ["null", "[]", "{}", "[1]", "[\"a\",1]", "1e400", "[1,\"a\",2]"] {
        let page = PageRequest { cursor: Some(URL_SAFE_NO_PAD.encode(forged)), limit: 1 };
        assert!(is_invalid(store.chats().list(&me, &ChatFilter::default(), &page).await), "{forged}");
        assert!(is_invalid(store.chat_messages().list(&me, &chat, &page).await), "{forged}");
        assert!(is_invalid(store.files().list(&me, None, &page).await), "{forged}");
        assert!(is_invalid(store.invocations().list(&ReceiptFilter::default(), &page).await), "{forged}");
    }
    // A cursor that fits and lies shows no more than the list itself would.
    for lie in ["[9223372036854775807,\"\\u0000' OR 1=1\"]", "[-9223372036854775808,\"\"]"] {
        let page = PageRequest { cursor: Some(URL_SAFE_NO_PAD.encode(lie)), limit: u32::MAX };
        let seen = store.chats().list(&own(&world.bob), &ChatFilter::default(), &page).await.unwrap();
        assert!(seen.items.is_empty());
        store.chat_messages().list(&me, &chat, &page).await.unwrap();
        store.files().list(&me, None, &page).await.unwrap();
    }
}

async fn corrupt_documents_are_errors_and_no_panics(world: &World) {
    use sea_query::{Expr, ExprTrait, Query};
    let (store, me) = (&world.store, own(&world.alice));
    let chat = world.chat(&world.alice, "c").await;
    let id = world.say(&world.alice, &chat, "x").await;
    let backend = store.pool().backend();
    for document in ["[]", "3", "\"text\"", "{\"history\":7}", "{\"history\":{\"messages\":[]}}"] {
        let update = Query::update()
            .table("chat")
            .value("chat", innkeeper_store::pool::json(backend, document))
            .and_where(Expr::col("id").eq(chat.as_str()))
            .take();
        world.run(&update).await;
        let append = store.chat_messages().append(&me, &chat, message("user", "x")).await;
        assert!(matches!(append, Err(StoreError::Corrupt { .. })), "{document}");
        store.chat_messages().branch(&me, &chat, None).await.expect("reading needs no document");
    }
    for content in ["[]", "{}", "7", "[{\"text\":1}]", "null"] {
        let update = Query::update()
            .table("chat_message")
            .value("content", innkeeper_store::pool::json(backend, content))
            .value("usage", innkeeper_store::pool::json(backend, content))
            .and_where(Expr::col("id").eq(format!("{chat}-{id}")))
            .take();
        world.run(&update).await;
        let read = store.chat_messages().get(&me, &chat, &id).await.unwrap().unwrap();
        assert_eq!(read.content, "", "{content}");
    }
    let meta =
        Query::update().table("chat").value("meta", innkeeper_store::pool::json(backend, "[1]")).take();
    world.run(&meta).await;
    assert!(store.chats().get(&me, &chat).await.unwrap().unwrap().tags.is_empty());
}

async fn a_large_text_is_kept(world: &World) {
    let (store, me) = (&world.store, own(&world.alice));
    let large = "\u{1f600}".repeat(1 << 18);
    assert_eq!(large.len(), 1 << 20);
    let chat = world.chat(&world.alice, "c").await;
    let id = world.say(&world.alice, &chat, &large).await;
    assert_eq!(store.chat_messages().get(&me, &chat, &id).await.unwrap().unwrap().content, large);
    store
        .chats()
        .list(&me, &ChatFilter { title_contains: Some(large), ..ChatFilter::default() }, &first(0))
        .await
        .unwrap();
}
