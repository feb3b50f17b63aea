//! People.

use innkeeper_model::UserId;
use innkeeper_model::principal::Role;
use innkeeper_store::NewUser;

use super::*;

claims! {
    a_person_sees_themselves_and_an_admin_everybody,
    pages_of_people_are_complete_and_in_order,
    names_are_found_without_regard_to_case_and_without_wildcards,
    an_address_has_one_person,
    many_people_come_in_the_order_asked,
    roles_change_with_the_generation,
    roles_of_many_people_are_few_statements,
    a_deleted_person_takes_everything_along,
}

async fn a_person_sees_themselves_and_an_admin_everybody(world: &World) {
    let users = world.store.users();
    let me = users.get(&own(&world.alice), &world.alice).await.unwrap().unwrap();
    assert_eq!(
        (me.name.as_str(), me.role.as_str(), me.email.as_str()),
        ("Alice", "user", "alice@example.com")
    );
    assert_eq!((me.created_at, me.last_active_at), (START, START));
    assert_eq!(users.get(&own(&world.alice), &world.bob).await.unwrap(), None);
    assert_eq!(users.get(&own(&world.admin), &world.bob).await.unwrap(), None);
    assert!(users.get(&all(&world.admin), &world.bob).await.unwrap().is_some());
    assert_eq!(users.get(&all(&world.alice), &world.bob).await.unwrap(), None, "only an admin has all");
    assert_eq!(users.get(&own(&world.pending), &world.pending).await.unwrap(), None);
    for nobody in [Authority::Nothing, Authority::Unattended] {
        assert_eq!(users.get(&nobody, &world.alice).await.unwrap(), None);
        assert!(users.list(&nobody, None, &first(0)).await.unwrap().items.is_empty());
    }
    assert_eq!(users.find(&world.pending).await.unwrap().unwrap().role, "pending");
    assert_eq!(users.count().await.unwrap(), 4);
}

async fn roles_of_many_people_are_few_statements(world: &World) {
    let users = world.store.users();
    let mut asked: Vec<UserId> = (0..500).map(|number| UserId::new(format!("nobody-{number}"))).collect();
    asked.extend([world.alice.clone(), world.pending.clone(), UserId::new("a\0b")]);
    let (statements, roles) = world.count(users.roles(&asked)).await;
    let expected = [(world.alice.clone(), Role::User), (world.pending.clone(), Role::Pending)];
    assert_eq!((statements, roles.unwrap()), (1, expected.into_iter().collect()));
    // One more than a statement takes, the last one real.
    let mut asked: Vec<UserId> = (0..1_000).map(|number| UserId::new(format!("nobody-{number}"))).collect();
    asked.push(world.alice.clone());
    let (statements, roles) = world.count(users.roles(&asked)).await;
    assert_eq!((statements, roles.unwrap()), (2, [(world.alice.clone(), Role::User)].into_iter().collect()));
    let (statements, roles) = world.count(users.roles(&[])).await;
    assert_eq!((statements, roles.unwrap().len()), (0, 0));
}

async fn pages_of_people_are_complete_and_in_order(world: &World) {
    let users = world.store.users();
    let mut seen = Vec::new();
    let mut page = first(3);
    loop {
        let part = users.list(&all(&world.admin), None, &page).await.unwrap();
        assert!(part.items.len() <= 3);
        seen.extend(part.items.into_iter().map(|user| user.id));
        match part.next {
            Some(cursor) => page = after(Some(cursor), 3),
            None => break,
        }
    }
    let mut expected =
        vec![world.alice.clone(), world.bob.clone(), world.admin.clone(), world.pending.clone()];
    expected.sort();
    assert_eq!(seen, expected);
    assert!(is_invalid(users.list(&all(&world.admin), None, &forged()).await));
}

async fn names_are_found_without_regard_to_case_and_without_wildcards(world: &World) {
    let users = world.store.users();
    let find =
        async |part: &str| users.list(&all(&world.admin), Some(part), &first(0)).await.unwrap().items.len();
    assert_eq!(find("ALI").await, 1);
    for nothing in ["%", "_", "Al%", "\\", "' OR 1=1 --", "Ali\0x"] {
        assert_eq!(find(nothing).await, 0, "{nothing:?}");
    }
    users
        .insert(NewUser {
            name: "100%_real \u{1f600}".into(),
            email: "p@example.com".into(),
            role: Role::User,
        })
        .await
        .unwrap();
    for part in ["%", "%_R", "\u{1f600}"] {
        assert_eq!(find(part).await, 1, "{part:?}");
    }
}

async fn an_address_has_one_person(world: &World) {
    let users = world.store.users();
    let again = NewUser { name: "Other".into(), email: " ALICE@Example.com ".into(), role: Role::User };
    assert!(is_conflict(users.insert(again).await));
    assert_eq!(users.find_by_email("Alice@EXAMPLE.com").await.unwrap().unwrap().id, world.alice);
    assert_eq!(users.find_by_email("nobody@example.com").await.unwrap(), None);
    for (name, email) in [("", "a@b"), ("x", "no address"), ("x", "")] {
        assert!(is_invalid(
            users.insert(NewUser { name: name.into(), email: email.into(), role: Role::User }).await
        ));
    }
}

async fn many_people_come_in_the_order_asked(world: &World) {
    let users = world.store.users();
    let asked = [world.bob.clone(), UserId::from("nobody"), world.alice.clone(), UserId::from("a\0")];
    let (statements, found) = world.count(users.get_many(&all(&world.admin), &asked)).await;
    let ids: Vec<_> = found.unwrap().into_iter().map(|user| user.id).collect();
    assert_eq!((ids, statements), (vec![world.bob.clone(), world.alice.clone()], 1));
    let own_only = users.get_many(&own(&world.alice), &asked).await.unwrap();
    assert_eq!(own_only.len(), 1);
    assert!(users.get_many(&all(&world.admin), &[]).await.unwrap().is_empty());
    assert!(is_invalid(users.get_many(&all(&world.admin), &vec![world.bob.clone(); 201]).await));
}

async fn roles_change_with_the_generation(world: &World) {
    let users = world.store.users();
    let before = world.store.plugins().generation().await.unwrap();
    assert_eq!(users.set_role(&world.pending, Role::User).await.unwrap().role, "user");
    assert!(world.store.plugins().generation().await.unwrap() > before);
    assert!(users.get(&own(&world.pending), &world.pending).await.unwrap().is_some());
    users.set_role(&world.admin, Role::Pending).await.unwrap();
    assert!(users.list(&all(&world.admin), None, &first(0)).await.unwrap().items.is_empty());
    assert!(is_not_found(users.set_role(&UserId::from("nobody"), Role::User).await));
}

async fn a_deleted_person_takes_everything_along(world: &World) {
    let (store, alice) = (&world.store, &world.alice);
    let chat = world.chat(alice, "c").await;
    world.say(alice, &chat, "hello").await;
    world.file(alice, "f.txt", b"bytes").await;
    store.memories().add(alice, &own(alice), "likes tea").await.unwrap();
    let (_, secret) = store.api_keys().create(alice, "laptop").await.unwrap();
    let mine = KvScope::User(plugin("p"), alice.clone());
    store.kv().set(&mine, "k", b"v", None, &QUOTA).await.unwrap();
    world.file(&world.bob, "bobs.txt", b"stay").await;

    assert!(store.users().delete(alice).await.unwrap());
    assert!(!store.users().delete(alice).await.unwrap());
    assert_eq!(store.users().find(alice).await.unwrap(), None);
    assert_eq!(store.chats().owner(&chat).await.unwrap(), None);
    assert_eq!(store.api_keys().verify(&secret).await.unwrap(), None);
    assert_eq!(store.kv().get(&mine, "k").await.unwrap(), None);
    assert!(store.memories().list(&all(&world.admin), &first(0)).await.unwrap().items.is_empty());
    let left = store.files().list(&all(&world.admin), None, &first(0)).await.unwrap().items;
    assert_eq!(left.len(), 1);
    assert_eq!(world.stored_files().len(), 1, "the bytes of one file are left");
}

use innkeeper_model::kv::KvScope;
