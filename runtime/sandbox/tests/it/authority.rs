//! Whose rows a call reaches: another person's are like absent, and an admin's reach needs two words of the operator.

use innkeeper_model::authority::Authority;
use innkeeper_model::permission::{Grant, Scope};
use innkeeper_model::principal::Role;
use innkeeper_model::{Permission, Principal};
use serde_json::{Value, json};

use crate::contract::{Rows, cases};
use crate::world::World;

const DATA: &[Permission] = &[
    Permission::ChatsRead,
    Permission::ChatsWrite,
    Permission::ChatMessagesRead,
    Permission::ChatMessagesWrite,
    Permission::FilesRead,
    Permission::FilesWrite,
    Permission::MemoriesRead,
    Permission::MemoriesWrite,
];

/// Imports that name a row of `rows`.
fn on_rows(rows: &Rows) -> Vec<(&'static str, Value)> {
    let named = [&rows.chat, &rows.file, &rows.memory];
    let cases = cases(rows).into_iter().map(|case| (case.import, case.args));
    cases.filter(|(_, args)| named.iter().any(|id| args.to_string().contains(id.as_str()))).collect()
}

/// What the guest sees of rows that are not its principal's: exactly what it sees of rows that do not exist.
async fn assert_absent(world: &World, principal: &Principal, scope: Scope, admin: bool, rows: &Rows) {
    let probe = world.load("probe").await;
    let call = || {
        let call = DATA.iter().fold(world.call(&probe), |call, &permission| {
            call.grant_as(permission, Grant { scope, ..Grant::default() })
        });
        let call = if admin { call.grant(&[Permission::ActAsAdmin]) } else { call };
        call.principal(principal.clone())
    };
    for (import, args) in on_rows(rows) {
        let foreign = call().probe(import, args.clone()).await;
        let mut absent = args.to_string();
        for id in [&rows.chat, &rows.file, &rows.memory] {
            absent = absent.replace(id.as_str(), "00000000-0000-4000-8000-000000000000");
        }
        let absent = call().probe(import, serde_json::from_str(&absent).unwrap()).await;
        assert_eq!(foreign, absent, "{import}");
        assert!(!foreign.to_string().contains("secret"), "{import} {foreign}");
    }
    for (import, args) in [
        ("chats.list", json!({"filter": {}, "page": {"limit": 200}})),
        ("files.list", json!({"page": {"limit": 200}})),
        ("memories.list", json!({"page": {"limit": 200}})),
    ] {
        let listed = call().probe(import, args).await;
        assert_eq!(listed["ok"]["items"], json!([]), "{import} {listed}");
    }
}

async fn assert_whole(world: &World, rows: &Rows) {
    let own = Authority::Own(rows.owner.clone());
    assert_eq!(
        world.store.chats().get(&own, &rows.chat.as_str().into()).await.unwrap().unwrap().version,
        rows.chat_version
    );
    let messages = world.store.chat_messages();
    assert_eq!(
        messages.list(&own, &rows.chat.as_str().into(), &Default::default()).await.unwrap().items.len(),
        1
    );
    assert!(world.store.files().get(&own, &rows.file.as_str().into()).await.unwrap().is_some());
    assert!(world.store.memories().get(&own, &rows.memory.as_str().into()).await.unwrap().is_some());
}

#[tokio::test]
async fn another_persons_rows_are_like_absent() {
    let world = World::new().await;
    let bob = world.person("Bob", Role::User).await;
    let rows = Rows::of(&world.store, &bob).await;
    for (scope, admin) in [(Scope::Own, false), (Scope::All, false), (Scope::All, true)] {
        assert_absent(&world, &world.principal, scope, admin, &rows).await;
    }
    assert_whole(&world, &rows).await;
}

#[tokio::test]
async fn an_admin_reaches_all_rows_only_if_the_plugin_may_act_as_one() {
    let world = World::new().await;
    let bob = world.person("Bob", Role::User).await;
    let grace = Principal::person(world.person("Grace", Role::Admin).await, Role::Admin);
    let rows = Rows::of(&world.store, &bob).await;
    for (scope, admin) in [(Scope::Own, false), (Scope::Own, true), (Scope::All, false)] {
        assert_absent(&world, &grace, scope, admin, &rows).await;
    }
    assert_whole(&world, &rows).await;
    let probe = world.load("probe").await;
    for (import, args) in on_rows(&rows) {
        let call = DATA.iter().fold(world.call(&probe), |call, &permission| {
            call.grant_as(permission, Grant { scope: Scope::All, ..Grant::default() })
        });
        let call = call.grant(&[Permission::ActAsAdmin]).principal(grace.clone());
        let answer = call.probe(import, args).await;
        assert!(!answer["ok"].is_null() && answer["ok"] != json!(false), "{import} {answer}");
    }
}

#[tokio::test]
async fn somebody_who_is_no_longer_an_admin_or_a_user_reaches_nothing() {
    let world = World::new().await;
    let bob = world.person("Bob", Role::User).await;
    let grace = world.person("Grace", Role::Admin).await;
    let rows = Rows::of(&world.store, &bob).await;
    // The principal says what held when they were authenticated; the row says what holds now.
    let as_admin = Principal::person(grace.clone(), Role::Admin);
    world.store.users().set_role(&grace, Role::User).await.unwrap();
    assert_absent(&world, &as_admin, Scope::All, true, &rows).await;
    let own = Rows::of(&world.store, &grace).await;
    world.store.users().set_role(&grace, Role::Pending).await.unwrap();
    assert_absent(&world, &Principal::person(grace.clone(), Role::User), Scope::Own, false, &own).await;
    world.store.users().delete(&bob).await.unwrap();
    let deleted = Principal::person(bob, Role::User);
    assert_absent(&world, &deleted, Scope::Own, false, &rows).await;
    let probe = world.load("probe").await;
    for (import, args) in [
        ("chats.create", json!({"chat": {"title": "t"}})),
        ("memories.add", json!({"content": "c"})),
        ("files.create", json!({"file": {"name": "n", "content_type": "text/plain"}, "data": "d"})),
    ] {
        let answer = world.call(&probe).grant(DATA).principal(deleted.clone()).probe(import, args).await;
        assert_eq!(answer["error"]["code"], "invalid", "{import} {answer}");
    }
    let me = world
        .call(&probe)
        .grant(&[Permission::UsersRead])
        .principal(deleted)
        .probe("users.me", json!({}))
        .await;
    assert_eq!(me["ok"], Value::Null, "{me}");
}

#[tokio::test]
async fn private_storage_is_apart_for_each_person_and_plugin() {
    let world = World::new().await;
    let bob = Principal::person(world.person("Bob", Role::User).await, Role::User);
    let probe = world.load("probe").await;
    let call = || world.call(&probe).grant(&[Permission::Kv, Permission::KvShared]);
    for scope in ["User", "Turn", "Shared"] {
        call().probe("kv.set", json!({"scope": scope, "key": "k", "value": "of Ada"})).await;
    }
    let read = async |scope: &str| {
        call().principal(bob.clone()).probe("kv.get", json!({"scope": scope, "key": "k"})).await
    };
    assert_eq!(read("User").await["ok"], Value::Null);
    // A turn of the same id, which a client may have chosen.
    assert_eq!(read("Turn").await["ok"], Value::Null);
    assert_eq!(read("Shared").await["ok"]["key"], "k");
}
