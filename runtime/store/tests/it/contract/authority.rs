//! Who reaches what through upstream's access grants, and that it ends when the grant does.

use innkeeper_model::chat::{ChatFilter, ChatUpdate};
use innkeeper_model::principal::Role;
use innkeeper_store::pool::json;
use sea_query::{DeleteStatement, Expr, ExprTrait, InsertStatement, Query};

use super::*;

claims! {
    a_chat_shared_to_be_continued_is_read_and_written,
    a_snapshot_gives_nothing_of_the_live_chat,
    groups_count_and_everybody_counts,
    a_shared_folder_is_read_only,
    files_of_knowledge_are_read_only,
    a_demoted_admin_has_nothing_left_of_all,
    people_who_are_deleted_reach_nothing,
    a_grant_does_not_reach_other_rows,
}

fn grant(kind: &str, thing: &str, who: (&str, &str), permission: &str) -> InsertStatement {
    let id = format!("{kind}{thing}{}{}{permission}", who.0, who.1);
    Query::insert()
        .into_table("access_grant")
        .columns([
            "id",
            "resource_type",
            "resource_id",
            "principal_type",
            "principal_id",
            "permission",
            "created_at",
        ])
        .values_panic([
            blake3::hash(id.as_bytes()).to_hex().to_string().into(),
            kind.into(),
            thing.into(),
            who.0.into(),
            who.1.into(),
            permission.into(),
            START.into(),
        ])
        .take()
}

fn no_grants() -> DeleteStatement {
    Query::delete().from_table("access_grant").take()
}

async fn share(world: &World, chat: &ChatId, mode: &str) {
    let document = format!(
        r#"{{"share_mode":{mode},"messages":[{{"share_mode":"continue"}}],"x":"\"share_mode\":\"continue\""}}"#
    );
    let insert = Query::insert()
        .into_table("shared_chat")
        .columns(["id", "chat_id", "user_id", "title", "chat"])
        .values_panic([
            "share-1".into(),
            chat.as_str().into(),
            world.alice.as_str().into(),
            "t".into(),
            json(world.store.pool().backend(), document),
        ])
        .take();
    world.run(&insert).await;
}

async fn a_chat_shared_to_be_continued_is_read_and_written(world: &World) {
    let chats = world.store.chats();
    let chat = world.chat(&world.alice, "shared").await;
    world.say(&world.alice, &chat, "hello").await;
    share(world, &chat, r#""continue""#).await;
    assert!(!chats.may_see(&own(&world.bob), &chat).await.unwrap(), "a share without a grant");
    world.run(&grant("shared_chat", "share-1", ("user", world.bob.as_str()), "read")).await;
    assert!(chats.may_see(&own(&world.bob), &chat).await.unwrap());
    assert!(chats.may_write(&own(&world.bob), &chat).await.unwrap());
    let seen = chats.list(&own(&world.bob), &ChatFilter::default(), &first(0)).await.unwrap().items;
    assert_eq!(seen.len(), 1);
    let reply =
        world.store.chat_messages().append(&own(&world.bob), &chat, message("user", "hi")).await.unwrap();
    assert_eq!(reply.user.as_ref(), Some(&world.bob));
    assert_eq!(world.store.chat_messages().branch(&own(&world.bob), &chat, None).await.unwrap().len(), 2);
    assert!(!chats.delete(&own(&world.bob), &chat).await.unwrap(), "only the owner deletes");
    world.run(&no_grants()).await;
    assert!(!chats.may_see(&own(&world.bob), &chat).await.unwrap(), "at once");
    assert!(is_not_found(
        world.store.chat_messages().append(&own(&world.bob), &chat, message("user", "x")).await
    ));
}

async fn a_snapshot_gives_nothing_of_the_live_chat(world: &World) {
    let chat = world.chat(&world.alice, "shared").await;
    world.run(&grant("shared_chat", "share-1", ("user", world.bob.as_str()), "read")).await;
    for mode in ["null", r#""other""#, "7", r#"{"share_mode":"continue"}"#] {
        share(world, &chat, mode).await;
        assert!(!world.store.chats().may_see(&own(&world.bob), &chat).await.unwrap(), "{mode}");
        world.run(&Query::delete().from_table("shared_chat").take()).await;
    }
    share(world, &chat, r#""continue""#).await;
    world.run(&no_grants()).await;
    for (who, permission) in
        [(("anyone", "*"), "read"), (("user", world.bob.as_str()), "write"), (("group", "*"), "read")]
    {
        world.run(&grant("shared_chat", "share-1", who, permission)).await;
        assert!(!world.store.chats().may_see(&own(&world.bob), &chat).await.unwrap(), "{who:?} {permission}");
    }
}

async fn groups_count_and_everybody_counts(world: &World) {
    let chat = world.chat(&world.alice, "shared").await;
    share(world, &chat, r#""continue""#).await;
    let sees = async |user: &UserId| world.store.chats().may_see(&own(user), &chat).await.unwrap();
    world.run(&grant("shared_chat", "share-1", ("group", "g"), "read")).await;
    assert!(!sees(&world.bob).await);
    let member = Query::insert()
        .into_table("group_member")
        .columns(["id", "group_id", "user_id"])
        .values_panic(["m".into(), "g".into(), world.bob.as_str().into()])
        .take();
    let group = Query::insert()
        .into_table("group")
        .columns(["id", "name"])
        .values_panic(["g".into(), "G".into()])
        .take();
    world.run(&group).await;
    world.run(&member).await;
    assert!(sees(&world.bob).await);
    assert!(!sees(&world.admin).await, "an admin without `all` is a person like others");
    world.run(&Query::delete().from_table("group_member").take()).await;
    assert!(!sees(&world.bob).await);
    world.run(&grant("shared_chat", "share-1", ("user", "*"), "read")).await;
    assert!(sees(&world.bob).await && sees(&world.admin).await);
    assert!(!sees(&world.pending).await, "who is pending is nobody");
}

async fn a_shared_folder_is_read_only(world: &World) {
    let folder = |id: &str, owner: &UserId| {
        Query::insert()
            .into_table("folder")
            .columns(["id", "user_id", "name", "is_expanded", "created_at", "updated_at"])
            .values_panic([
                id.into(),
                owner.as_str().into(),
                "F".into(),
                false.into(),
                START.into(),
                START.into(),
            ])
            .take()
    };
    world.run(&folder("f", &world.alice)).await;
    let new = NewChat { title: "filed".to_owned(), folder: Some("f".to_owned()) };
    let chats = world.store.chats();
    let chat = chats.create(&world.alice, &own(&world.alice), new).await.unwrap();
    assert_eq!(chat.folder.as_deref(), Some("f"));
    world.run(&grant("folder", "f", ("user", world.bob.as_str()), "read")).await;
    assert!(chats.may_see(&own(&world.bob), &chat.id).await.unwrap());
    assert!(!chats.may_write(&own(&world.bob), &chat.id).await.unwrap());
    let change = ChatUpdate { title: Some("x".to_owned()), ..ChatUpdate::default() };
    assert!(is_not_found(chats.update(&own(&world.bob), &chat.id, &change, &chat.version).await));
    // A folder of the same id that belongs to somebody else is another folder.
    world.run(&Query::delete().from_table("folder").take()).await;
    world.run(&folder("f", &world.admin)).await;
    assert!(!chats.may_see(&own(&world.bob), &chat.id).await.unwrap());
}

async fn files_of_knowledge_are_read_only(world: &World) {
    let files = world.store.files();
    let file = world.file(&world.alice, "handbook", b"x").await;
    let base = Query::insert()
        .into_table("knowledge")
        .columns(["id", "user_id", "name", "created_at"])
        .values_panic(["k".into(), world.admin.as_str().into(), "K".into(), START.into()])
        .take();
    let part = Query::insert()
        .into_table("knowledge_file")
        .columns(["id", "user_id", "knowledge_id", "file_id", "created_at", "updated_at"])
        .values_panic([
            "kf".into(),
            world.alice.as_str().into(),
            "k".into(),
            file.as_str().into(),
            START.into(),
            START.into(),
        ])
        .take();
    world.run(&base).await;
    world.run(&part).await;
    assert!(files.get(&own(&world.admin), &file).await.unwrap().is_some(), "the base's owner");
    assert!(files.get(&own(&world.bob), &file).await.unwrap().is_none());
    world.run(&grant("knowledge", "k", ("user", world.bob.as_str()), "read")).await;
    assert!(files.open(&own(&world.bob), &file).await.unwrap().is_some());
    assert_eq!(files.list(&own(&world.bob), None, &first(0)).await.unwrap().items.len(), 1);
    assert!(!files.delete(&own(&world.bob), &file).await.unwrap());
    assert!(files.delete(&own(&world.alice), &file).await.unwrap());
}

async fn a_demoted_admin_has_nothing_left_of_all(world: &World) {
    let chat = world.chat(&world.alice, "c").await;
    let everything = all(&world.admin);
    assert!(world.store.chats().may_see(&everything, &chat).await.unwrap());
    for role in [Role::User, Role::Pending] {
        world.store.users().set_role(&world.admin, role).await.unwrap();
        assert!(!world.store.chats().may_see(&everything, &chat).await.unwrap());
        assert!(world.store.memories().list(&everything, &first(0)).await.unwrap().items.is_empty());
        assert_eq!(world.store.users().get(&everything, &world.alice).await.unwrap(), None);
    }
}

async fn people_who_are_deleted_reach_nothing(world: &World) {
    let chat = world.chat(&world.alice, "c").await;
    let gone = Query::delete().from_table("user").and_where(Expr::col("id").eq(world.alice.as_str())).take();
    world.run(&gone).await;
    assert!(!world.store.chats().may_see(&own(&world.alice), &chat).await.unwrap());
    assert!(is_not_found(world.store.memories().add(&world.alice, &own(&world.alice), "x").await));
    assert!(is_not_found(
        world.store.chat_messages().append(&own(&world.alice), &chat, message("user", "x")).await
    ));
}

async fn a_grant_does_not_reach_other_rows(world: &World) {
    let chat = world.chat(&world.alice, "c").await;
    for kind in ["chat", "knowledge", "channel", "folder"] {
        world.run(&grant(kind, chat.as_str(), ("user", world.bob.as_str()), "read")).await;
    }
    world.run(&grant("shared_chat", chat.as_str(), ("user", world.bob.as_str()), "read")).await;
    assert!(!world.store.chats().may_see(&own(&world.bob), &chat).await.unwrap());
}
