//! Receipts.

use innkeeper_model::receipt::{Background, Outcome, Receipt, Usage};
use innkeeper_store::ReceiptFilter;

use super::*;

claims! {
    receipts_come_back_newest_first,
    filters_narrow_receipts,
    the_second_part_comes_back,
    receipts_name_people_by_pseudonym,
    a_crash_leaves_a_gap_and_an_orderly_stop_none,
    receipts_are_kept_by_age_and_number,
    a_group_is_kept_as_a_whole_and_odd_receipts_do_not_spoil_it,
}

pub(super) fn receipt(id: &str, user: Option<&UserId>) -> Receipt {
    Receipt {
        id: id.to_owned(),
        turn: "turn".to_owned(),
        parent: None,
        plugin: plugin("echo"),
        revision: 3,
        export: "tool.call".to_owned(),
        user: user.cloned(),
        started_at: START * 1_000_000_000,
        outcome: Outcome::Ok,
        delivered: Usage { fuel: u64::MAX, host_calls: [("kv".to_owned(), 2)].into(), ..Usage::default() },
        background: None,
    }
}

async fn receipts_come_back_newest_first(world: &World) {
    let invocations = world.store.invocations();
    let group: Vec<Receipt> = (0..5).map(|n| receipt(&n.to_string(), Some(&world.alice))).collect();
    invocations.record(&group[..3]).await.unwrap();
    invocations.record(&group[3..]).await.unwrap();
    invocations.record(&[]).await.unwrap();
    let stored = invocations.get("1").await.unwrap().unwrap();
    assert_eq!((&stored.receipt, stored.sequence), (&group[1], 2));
    let one = invocations.list(&ReceiptFilter::default(), &first(3)).await.unwrap();
    let two = invocations.list(&ReceiptFilter::default(), &after(one.next, 3)).await.unwrap();
    let numbers: Vec<i64> = one.items.iter().chain(&two.items).map(|stored| stored.sequence).collect();
    assert_eq!((numbers, two.next), (vec![5, 4, 3, 2, 1], None));
    assert_eq!(invocations.get("none\0").await.unwrap(), None);
    assert!(is_invalid(invocations.list(&ReceiptFilter::default(), &forged()).await));
}

async fn filters_narrow_receipts(world: &World) {
    let invocations = world.store.invocations();
    let trapped = Receipt {
        outcome: Outcome::Trapped { trap: "unreachable".to_owned() },
        ..receipt("a", Some(&world.alice))
    };
    let other = Receipt { plugin: plugin("other"), turn: "t2".to_owned(), ..receipt("b", Some(&world.bob)) };
    let job = receipt("c", None);
    invocations.record(&[trapped.clone(), other, job]).await.unwrap();
    let ids = async |filter: ReceiptFilter| {
        let found = invocations.list(&filter, &first(0)).await.unwrap().items;
        found.into_iter().map(|stored| stored.receipt.id).collect::<Vec<_>>()
    };
    assert_eq!(
        ids(ReceiptFilter { user: Some(world.alice.clone()), ..ReceiptFilter::default() }).await,
        ["a"]
    );
    assert_eq!(
        ids(ReceiptFilter { plugin: Some(plugin("echo")), ..ReceiptFilter::default() }).await,
        ["c", "a"]
    );
    assert_eq!(
        ids(ReceiptFilter { outcome: Some("trapped".to_owned()), ..ReceiptFilter::default() }).await,
        ["a"]
    );
    assert_eq!(ids(ReceiptFilter { turn: Some("t2".to_owned()), ..ReceiptFilter::default() }).await, ["b"]);
    assert!(
        ids(ReceiptFilter { user: Some("' OR 1=1 --".into()), ..ReceiptFilter::default() }).await.is_empty()
    );
    assert_eq!(invocations.get("a").await.unwrap().unwrap().receipt, trapped);
}

async fn the_second_part_comes_back(world: &World) {
    let invocations = world.store.invocations();
    let background = Background {
        outcome: Outcome::LimitExceeded { limit: "background".to_owned() },
        used: Usage::default(),
    };
    let with = Receipt { background: Some(background), ..receipt("a", None) };
    invocations.record(&[with.clone(), receipt("b", None)]).await.unwrap();
    assert_eq!(invocations.get("a").await.unwrap().unwrap().receipt, with);
    assert_eq!(invocations.get("b").await.unwrap().unwrap().receipt.background, None);
}

async fn receipts_name_people_by_pseudonym(world: &World) {
    let invocations = world.store.invocations();
    invocations.record(&[receipt("a", Some(&world.alice)), receipt("b", Some(&world.alice))]).await.unwrap();
    let mut tx = world.begin().await;
    let mut select =
        sea_query::Query::select().columns(["pseudonym", "document"]).from("innkeeper_invocation").take();
    let rows = tx
        .fetch_all(&mut select, 10, |row| Ok((row.text("pseudonym")?, row.text("document")?)))
        .await
        .unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(rows[0].0, rows[1].0);
    assert!(
        rows.iter()
            .all(|(name, document)| name != world.alice.as_str() && !document.contains(world.alice.as_str()))
    );
    world.store.users().delete(&world.alice).await.unwrap();
    let left = invocations.list(&ReceiptFilter::default(), &first(0)).await.unwrap().items;
    assert_eq!((left.len(), &left[0].receipt.user), (2, &None));
    let of_alice = ReceiptFilter { user: Some(world.alice.clone()), ..ReceiptFilter::default() };
    assert!(invocations.list(&of_alice, &first(0)).await.unwrap().items.is_empty());
}

async fn a_crash_leaves_a_gap_and_an_orderly_stop_none(world: &World) {
    let restarted = || {
        let storage = Arc::new(LocalFiles::new(world.files.path().join("uploads")).unwrap());
        Store::new(world.store.pool().clone(), world.clock.clone(), storage)
    };
    let number = async |store: &Store, id: &str| {
        store.invocations().record(&[receipt(id, None)]).await.unwrap();
        store.invocations().get(id).await.unwrap().unwrap().sequence
    };
    let one = restarted();
    assert_eq!((number(&one, "a").await, number(&one, "b").await), (1, 2));
    one.invocations().release().await.unwrap();
    let two = restarted();
    assert_eq!(number(&two, "c").await, 3);
    let three = restarted();
    let next = number(&three, "d").await;
    assert!(next > 4, "the second server's block was never given back: {next}");
    two.invocations().release().await.unwrap();
    assert_eq!(number(&three, "e").await, next + 1);
}

async fn receipts_are_kept_by_age_and_number(world: &World) {
    let invocations = world.store.invocations();
    let group: Vec<Receipt> = (0..10_i64)
        .map(|n| Receipt { started_at: (START + n) * 1_000_000_000, ..receipt(&n.to_string(), None) })
        .collect();
    invocations.record(&group).await.unwrap();
    world.clock.advance(100);
    assert_eq!(invocations.prune(1000, 100).await.unwrap(), 0);
    assert_eq!(invocations.prune(98, 100).await.unwrap(), 2);
    assert_eq!(invocations.prune(1000, 5).await.unwrap(), 3);
    let left = invocations.list(&ReceiptFilter::default(), &first(0)).await.unwrap().items;
    assert_eq!(
        left.iter().map(|stored| stored.receipt.id.as_str()).collect::<Vec<_>>(),
        ["9", "8", "7", "6", "5"]
    );
    assert_eq!(invocations.prune(0, 0).await.unwrap(), 5);
}

async fn a_group_is_kept_as_a_whole_and_odd_receipts_do_not_spoil_it(world: &World) {
    let invocations = world.store.invocations();
    let long = "x".repeat(1000);
    let mut group: Vec<Receipt> = (0..1200).map(|n| receipt(&format!("n{n}"), Some(&world.alice))).collect();
    group.push(Receipt {
        turn: long.clone(),
        export: long.clone(),
        parent: Some(long),
        ..receipt("odd\0", None)
    });
    group.push(Receipt { user: Some("nobody at all".into()), ..receipt("n0", None) });
    let (statements, recorded) = world.count(invocations.record(&group)).await;
    recorded.unwrap();
    assert_eq!(statements, 8, "pseudonyms, number, three groups");
    assert!(invocations.get("n1199").await.unwrap().is_some());
    assert_eq!(invocations.get("odd").await.unwrap().unwrap().sequence, 1201);
    assert_eq!(invocations.get("n0").await.unwrap().unwrap().sequence, 1, "the first of two holds");
}
