//! Keys.

use innkeeper_model::principal::Role;
use innkeeper_store::ApiKeyId;

use super::*;

claims! {
    a_key_stands_for_its_person_until_it_is_revoked,
    a_key_is_kept_as_a_hash_only,
    pending_people_have_no_keys_that_work,
    wrong_keys_are_nobody,
    a_person_has_a_bounded_number_of_keys,
    keys_made_at_the_same_moment_are_counted_one_after_the_other,
    the_list_of_all_keys_leaves_none_out,
}

async fn a_person_has_a_bounded_number_of_keys(world: &World) {
    let keys = world.store.api_keys();
    let mut made = Vec::new();
    for _ in 0..innkeeper_store::KEYS_MAX {
        made.push(keys.create(&world.alice, "one of many").await.unwrap().0.id);
    }
    let refused = keys.create(&world.alice, "one too many").await;
    assert!(matches!(refused, Err(StoreError::Quota("api-keys"))), "{refused:?}");
    keys.create(&world.bob, "another person's").await.unwrap();
    assert!(keys.revoke(&made[0]).await.unwrap());
    keys.create(&world.alice, "in its place").await.unwrap();
}

async fn keys_made_at_the_same_moment_are_counted_one_after_the_other(world: &World) {
    let keys = world.store.api_keys();
    for _ in 3..innkeeper_store::KEYS_MAX {
        keys.create(&world.alice, "one of many").await.unwrap();
    }
    let create = |_| {
        let (keys, alice) = (keys.clone(), world.alice.clone());
        tokio::spawn(async move { keys.create(&alice, "one of the last").await })
    };
    let outcomes = futures::future::join_all((0..8).map(create)).await;
    assert_eq!(outcomes.into_iter().filter(|outcome| outcome.as_ref().unwrap().is_ok()).count(), 3);
    assert_eq!(keys.list(Some(&world.alice)).await.unwrap().len() as i64, innkeeper_store::KEYS_MAX);
}

async fn the_list_of_all_keys_leaves_none_out(world: &World) {
    for thousand in 0..11 {
        let columns = ["id", "user_id", "name", "hash", "created_at"];
        let mut insert = sea_query::Query::insert().into_table("innkeeper_api_key").columns(columns).take();
        for number in 0..1_000 {
            let id = format!("{thousand}-{number}");
            let key = [
                id.as_str().into(),
                world.alice.as_str().into(),
                "k".into(),
                id.as_str().into(),
                START.into(),
            ];
            insert.values_panic(key);
        }
        world.run(&insert).await;
    }
    assert_eq!(world.store.api_keys().list(None).await.unwrap().len(), 11_000);
}

async fn a_key_stands_for_its_person_until_it_is_revoked(world: &World) {
    let keys = world.store.api_keys();
    let (key, secret) = keys.create(&world.alice, "laptop").await.unwrap();
    let (id, user) = keys.verify(&secret).await.unwrap().unwrap();
    assert_eq!((&id, &user.id), (&key.id, &world.alice));
    assert_eq!(keys.list(Some(&world.alice)).await.unwrap().first(), Some(&key));
    assert!(keys.list(Some(&world.bob)).await.unwrap().is_empty());
    let before = world.store.plugins().generation().await.unwrap();
    assert!(keys.revoke(&key.id).await.unwrap());
    assert!(!keys.revoke(&key.id).await.unwrap());
    assert!(world.store.plugins().generation().await.unwrap() > before);
    assert_eq!(keys.verify(&secret).await.unwrap(), None);
    assert!(keys.list(None).await.unwrap().is_empty());
}

async fn a_key_is_kept_as_a_hash_only(world: &World) {
    let (_, secret) = world.store.api_keys().create(&world.alice, "laptop").await.unwrap();
    assert!(secret.starts_with("ik_") && secret.len() == 46, "{}", secret.len());
    let (_, other) = world.store.api_keys().create(&world.alice, "laptop").await.unwrap();
    assert_ne!(secret, other);
    let mut tx = world.begin().await;
    let mut select = sea_query::Query::select().column("hash").from("innkeeper_api_key").take();
    let hashes = tx.fetch_all(&mut select, 10, |row| row.text("hash")).await.unwrap();
    tx.rollback().await.unwrap();
    assert!(hashes.contains(&blake3::hash(secret.as_bytes()).to_hex().to_string()));
    assert!(hashes.iter().all(|hash| !hash.contains("ik_")));
}

async fn pending_people_have_no_keys_that_work(world: &World) {
    let keys = world.store.api_keys();
    assert!(is_not_found(keys.create(&world.pending, "k").await));
    assert!(is_not_found(keys.create(&UserId::from("nobody"), "k").await));
    let (_, secret) = keys.create(&world.bob, "k").await.unwrap();
    world.store.users().set_role(&world.bob, Role::Pending).await.unwrap();
    assert_eq!(keys.verify(&secret).await.unwrap(), None);
    world.store.users().set_role(&world.bob, Role::User).await.unwrap();
    assert!(keys.verify(&secret).await.unwrap().is_some());
}

async fn wrong_keys_are_nobody(world: &World) {
    let keys = world.store.api_keys();
    let (_, secret) = keys.create(&world.alice, "k").await.unwrap();
    let changed = format!("{}x", &secret[..45]);
    for wrong in
        ["", "ik_", "' OR '1'='1", &secret[1..], &changed, &secret.to_uppercase(), &format!("{secret} ")]
    {
        assert_eq!(keys.verify(wrong).await.unwrap(), None, "{wrong:?}");
    }
    assert!(is_invalid(keys.create(&world.alice, " ").await));
    assert!(!keys.revoke(&ApiKeyId::new("' OR '1'='1")).await.unwrap());
}
