//! Memories.

use innkeeper_model::MemoryId;

use super::*;

claims! {
    memories_belong_to_one_person,
    a_lost_race_is_a_conflict_within_the_same_second,
    pages_of_memories_are_complete,
    memories_have_bounds,
}

async fn memories_belong_to_one_person(world: &World) {
    let memories = world.store.memories();
    let tea = memories.add(&world.alice, &own(&world.alice), "likes tea \u{1f375}").await.unwrap();
    assert_eq!(memories.get(&own(&world.alice), &tea.id).await.unwrap().as_ref(), Some(&tea));
    assert_eq!(tea.kind, "context");
    for stranger in
        [own(&world.bob), own(&world.admin), own(&world.pending), all(&world.bob), Authority::Unattended]
    {
        assert_eq!(memories.get(&stranger, &tea.id).await.unwrap(), None);
        assert!(memories.list(&stranger, &first(0)).await.unwrap().items.is_empty());
        assert!(!memories.delete(&stranger, &tea.id).await.unwrap());
        assert!(is_not_found(memories.update(&stranger, &tea.id, "x", &tea.version).await));
        assert!(is_not_found(memories.add(&world.alice, &stranger, "x").await));
    }
    assert!(memories.get(&all(&world.admin), &tea.id).await.unwrap().is_some());
    assert!(is_not_found(memories.add(&world.pending, &all(&world.admin), "x").await));
    assert!(memories.delete(&own(&world.alice), &tea.id).await.unwrap());
    assert!(!memories.delete(&own(&world.alice), &tea.id).await.unwrap());
}

async fn a_lost_race_is_a_conflict_within_the_same_second(world: &World) {
    let memories = world.store.memories();
    let old = memories.add(&world.alice, &own(&world.alice), "one").await.unwrap();
    let new = memories.update(&own(&world.alice), &old.id, "two", &old.version).await.unwrap();
    assert_eq!((new.content.as_str(), new.updated_at), ("two", old.updated_at));
    assert!(is_conflict(memories.update(&own(&world.alice), &old.id, "three", &old.version).await));
    assert_eq!(memories.get(&own(&world.alice), &old.id).await.unwrap(), Some(new));
    assert!(is_not_found(
        memories.update(&own(&world.alice), &MemoryId::from("none"), "x", &old.version).await
    ));

    let version = memories.get(&own(&world.alice), &old.id).await.unwrap().unwrap().version;
    let race = |racer: u32| {
        let (memories, alice, id, version) =
            (memories.clone(), world.alice.clone(), old.id.clone(), version.clone());
        tokio::spawn(async move { memories.update(&own(&alice), &id, &format!("r{racer}"), &version).await })
    };
    let outcomes = futures::future::join_all((0..8).map(race)).await;
    let won = outcomes.into_iter().filter(|outcome| outcome.as_ref().unwrap().is_ok()).count();
    assert_eq!(won, 1, "one of eight writers with the same version wins");
}

async fn pages_of_memories_are_complete(world: &World) {
    let memories = world.store.memories();
    for number in 0..5 {
        memories.add(&world.alice, &own(&world.alice), &number.to_string()).await.unwrap();
    }
    let one = memories.list(&own(&world.alice), &first(2)).await.unwrap();
    let two = memories.list(&own(&world.alice), &after(one.next, 2)).await.unwrap();
    let three = memories.list(&own(&world.alice), &after(two.next, 2)).await.unwrap();
    assert_eq!((one.items.len(), two.items.len(), three.items.len(), three.next), (2, 2, 1, None));
    assert!(is_invalid(memories.list(&own(&world.alice), &forged()).await));
}

async fn memories_have_bounds(world: &World) {
    let memories = world.store.memories();
    for bad in ["", "\0", &"x".repeat(64 * 1024 + 1)] {
        assert!(is_invalid(memories.add(&world.alice, &own(&world.alice), bad).await));
    }
    let longest = "\u{1f600}".repeat(16 * 1024);
    let kept = memories.add(&world.alice, &own(&world.alice), &longest).await.unwrap();
    assert_eq!(memories.get(&own(&world.alice), &kept.id).await.unwrap().unwrap().content, longest);
}
