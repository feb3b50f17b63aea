//! Plugins' own storage.

use innkeeper_model::kv::KvScope;

use super::*;

claims! {
    entries_come_back_with_their_version,
    scopes_are_apart,
    put_if_decides_a_race_once,
    counters_count_every_step,
    counters_refuse_what_is_no_counter,
    entries_expire_at_once,
    a_turn_is_gone_an_hour_after_its_last_write,
    quotas_hold_under_contention,
    quotas_count_what_is_there,
    keys_come_in_byte_order,
    malformed_arguments_are_refused,
    sweeping_removes_what_expired_and_counts_again,
    deleting_does_not_bring_an_expired_turn_back,
    sweeping_makes_no_rows_and_comes_to_an_end,
}

fn user(world: &World) -> KvScope {
    KvScope::User(plugin("p"), world.alice.clone())
}

async fn entries_come_back_with_their_version(world: &World) {
    let (kv, scope) = (world.store.kv(), user(world));
    assert_eq!(kv.get(&scope, "k").await.unwrap(), None);
    let one = kv.set(&scope, "k", b"\0\xff binary", None, &QUOTA).await.unwrap();
    let entry = kv.get(&scope, "k").await.unwrap().unwrap();
    assert_eq!(
        (entry.value.as_slice(), entry.version, entry.expires_at),
        (b"\0\xff binary".as_slice(), one, None)
    );
    let two = kv.set(&scope, "k", b"", Some(10), &QUOTA).await.unwrap();
    assert!(two > one);
    let entry = kv.get(&scope, "k").await.unwrap().unwrap();
    assert_eq!((entry.value.len(), entry.expires_at), (0, Some(START + 10)));
    assert!(kv.delete(&scope, "k").await.unwrap());
    assert!(!kv.delete(&scope, "k").await.unwrap());
    assert!(!kv.delete(&KvScope::Shared(plugin("other")), "k").await.unwrap());
    assert_eq!(kv.get(&scope, "k").await.unwrap(), None);
    assert!(kv.set(&scope, "k", b"again", None, &QUOTA).await.unwrap() > two, "no version comes twice");
}

async fn scopes_are_apart(world: &World) {
    let kv = world.store.kv();
    let scopes = [
        KvScope::User(plugin("p"), world.alice.clone()),
        KvScope::User(plugin("p"), world.bob.clone()),
        KvScope::User(plugin("q"), world.alice.clone()),
        KvScope::Turn(plugin("p"), "turn-1".to_owned()),
        KvScope::Turn(plugin("p"), world.alice.as_str().to_owned()),
        KvScope::Turn(plugin("p"), "TURN-1".to_owned()),
        KvScope::Shared(plugin("p")),
        KvScope::Shared(plugin("q")),
    ];
    for (number, scope) in scopes.iter().enumerate() {
        kv.set(scope, "k", number.to_string().as_bytes(), None, &QUOTA).await.unwrap();
    }
    for (number, scope) in scopes.iter().enumerate() {
        assert_eq!(
            kv.get(scope, "k").await.unwrap().unwrap().value,
            number.to_string().into_bytes(),
            "{scope:?}"
        );
    }
}

async fn put_if_decides_a_race_once(world: &World) {
    let (kv, scope) = (world.store.kv(), user(world));
    let one = kv.put_if(&scope, "k", b"1", None, None, &QUOTA).await.unwrap();
    assert!(is_conflict(kv.put_if(&scope, "k", b"2", None, None, &QUOTA).await));
    assert!(is_conflict(kv.put_if(&scope, "k", b"2", Some(one + 1), None, &QUOTA).await));
    assert!(is_conflict(kv.put_if(&scope, "absent", b"2", Some(one), None, &QUOTA).await));
    assert!(is_conflict(kv.put_if(&scope, "k", b"2", Some(u64::MAX), None, &QUOTA).await));
    assert_eq!(kv.get(&scope, "k").await.unwrap().unwrap().value, b"1");
    let race = |racer: u8| {
        let (kv, scope) = (kv.clone(), scope.clone());
        tokio::spawn(async move { kv.put_if(&scope, "k", &[racer], Some(one), None, &QUOTA).await })
    };
    let outcomes = futures::future::join_all((0..8).map(race)).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.as_ref().unwrap().is_ok()).count(), 1);
    let birth = |racer: u8| {
        let (kv, scope) = (kv.clone(), scope.clone());
        tokio::spawn(async move { kv.put_if(&scope, "new", &[racer], None, None, &QUOTA).await })
    };
    let outcomes = futures::future::join_all((0..8).map(birth)).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.as_ref().unwrap().is_ok()).count(), 1);
    // A version from before a deletion is worth nothing afterwards.
    let old = kv.get(&scope, "new").await.unwrap().unwrap().version;
    kv.delete(&scope, "new").await.unwrap();
    kv.set(&scope, "new", b"x", None, &QUOTA).await.unwrap();
    assert!(is_conflict(kv.put_if(&scope, "new", b"y", Some(old), None, &QUOTA).await));
}

async fn counters_count_every_step(world: &World) {
    let (kv, scope) = (world.store.kv(), user(world));
    let step = |_| {
        let (kv, scope) = (kv.clone(), scope.clone());
        tokio::spawn(async move { kv.increment(&scope, "n", 2, Some(60), &QUOTA).await })
    };
    let mut values = Vec::new();
    for outcome in futures::future::join_all((0..25).map(step)).await {
        values.push(outcome.unwrap().unwrap());
    }
    values.sort_unstable();
    assert_eq!(values, (1..=25).map(|n| n * 2).collect::<Vec<i64>>());
    let entry = kv.get(&scope, "n").await.unwrap().unwrap();
    assert_eq!((entry.value.as_slice(), entry.expires_at), (b"50".as_slice(), Some(START + 60)));
    world.clock.advance(30);
    assert_eq!(kv.increment(&scope, "n", -1, Some(60), &QUOTA).await.unwrap(), 49);
    assert_eq!(
        kv.get(&scope, "n").await.unwrap().unwrap().expires_at,
        Some(START + 60),
        "from its beginning"
    );
    world.clock.advance(30);
    assert_eq!(kv.increment(&scope, "n", 1, None, &QUOTA).await.unwrap(), 1, "it began again");
}

async fn counters_refuse_what_is_no_counter(world: &World) {
    let (kv, scope) = (world.store.kv(), user(world));
    for (value, by) in
        [(b"x".to_vec(), 1), (vec![b'1'; 300], 1), (vec![0xff], 1), (i64::MAX.to_string().into_bytes(), 1)]
    {
        kv.set(&scope, "n", &value, None, &QUOTA).await.unwrap();
        assert!(is_invalid(kv.increment(&scope, "n", by, None, &QUOTA).await));
        assert_eq!(kv.get(&scope, "n").await.unwrap().unwrap().value, value);
    }
    assert_eq!(kv.increment(&scope, "low", i64::MIN, None, &QUOTA).await.unwrap(), i64::MIN);
    assert!(is_invalid(kv.increment(&scope, "low", -1, None, &QUOTA).await));
}

async fn entries_expire_at_once(world: &World) {
    let (kv, scope) = (world.store.kv(), user(world));
    let version = kv.set(&scope, "short", b"x", Some(10), &QUOTA).await.unwrap();
    kv.set(&scope, "long", b"x", Some(u64::MAX), &QUOTA).await.unwrap();
    world.clock.advance(9);
    assert!(kv.get(&scope, "short").await.unwrap().is_some());
    world.clock.advance(1);
    assert_eq!(kv.get(&scope, "short").await.unwrap(), None);
    assert_eq!(kv.keys(&scope, "", &first(0)).await.unwrap().items, ["long"]);
    assert!(!kv.delete(&scope, "short").await.unwrap());
    assert!(is_conflict(kv.put_if(&scope, "short", b"y", Some(version), None, &QUOTA).await));
    kv.put_if(&scope, "short", b"y", None, None, &QUOTA).await.unwrap();
}

async fn a_turn_is_gone_an_hour_after_its_last_write(world: &World) {
    let (kv, scope) = (world.store.kv(), KvScope::Turn(plugin("p"), "t".to_owned()));
    kv.set(&scope, "a", b"1", None, &QUOTA).await.unwrap();
    world.clock.advance(3000);
    kv.set(&scope, "b", b"2", None, &QUOTA).await.unwrap();
    world.clock.advance(3000);
    assert!(kv.get(&scope, "a").await.unwrap().is_some(), "the last write counts");
    world.clock.advance(600);
    assert_eq!(kv.get(&scope, "a").await.unwrap(), None);
    assert!(kv.keys(&scope, "", &first(0)).await.unwrap().items.is_empty());
    assert_eq!(
        kv.increment(&scope, "b", 1, None, &QUOTA).await.unwrap(),
        1,
        "nothing of the old turn counts"
    );
    assert_eq!(kv.keys(&scope, "", &first(0)).await.unwrap().items, ["b"]);
}

async fn quotas_hold_under_contention(world: &World) {
    let (kv, scope) = (world.store.kv(), user(world));
    let small = KvQuota { entries: 5, bytes: 1 << 20 };
    let write = |number: u32| {
        let (kv, scope) = (kv.clone(), scope.clone());
        tokio::spawn(async move { kv.set(&scope, &number.to_string(), b"x", None, &small).await })
    };
    let outcomes = futures::future::join_all((0..12).map(write)).await;
    let (kept, refused): (Vec<_>, Vec<_>) =
        outcomes.into_iter().map(|outcome| outcome.unwrap()).partition(Result::is_ok);
    assert_eq!((kept.len(), refused.len()), (5, 7));
    assert!(refused.into_iter().all(|outcome| matches!(outcome, Err(StoreError::Quota("kv-entries")))));
    assert_eq!(kv.keys(&scope, "", &first(0)).await.unwrap().items.len(), 5);
}

async fn quotas_count_what_is_there(world: &World) {
    let (kv, scope) = (world.store.kv(), user(world));
    let small = KvQuota { entries: 2, bytes: 20 };
    let over = |result: Result<u64, StoreError>, name: &str| matches!(result, Err(StoreError::Quota(limit)) if limit == name);
    kv.set(&scope, "a", b"123456789", None, &small).await.unwrap();
    assert!(over(kv.set(&scope, "b", b"1234567890", None, &small).await, "kv-bytes"));
    kv.set(&scope, "b", b"123456789", Some(10), &small).await.unwrap();
    kv.set(&scope, "b", b"987654321", Some(10), &small).await.expect("an entry takes its own place");
    assert!(over(kv.set(&scope, "c", b"", None, &small).await, "kv-entries"));
    assert!(over(kv.set(&scope, "a", b"1234567890", None, &small).await, "kv-bytes"));
    assert_eq!(kv.get(&scope, "a").await.unwrap().unwrap().value, b"123456789");
    world.clock.advance(10);
    kv.set(&scope, "c", b"123456789", None, &small).await.expect("what has expired takes no place");
    assert!(kv.delete(&scope, "a").await.unwrap());
    kv.increment(&scope, "d", 1, None, &small).await.expect("what was deleted takes no place");
    let none = KvQuota { entries: 0, bytes: 0 };
    assert!(over(kv.set(&KvScope::Shared(plugin("p")), "a", b"", None, &none).await, "kv-entries"));
}

async fn keys_come_in_byte_order(world: &World) {
    let (kv, scope) = (world.store.kv(), user(world));
    let mut keys = vec!["a", "A", "a ", "a%", "a_b", "ab", "\u{e4}", "\u{1f600}", "z", "a\0", "'"];
    for key in &keys {
        kv.set(&scope, key, b"", None, &QUOTA).await.unwrap();
    }
    keys.sort_unstable();
    let (mut seen, mut page) = (Vec::new(), first(3));
    loop {
        let part = kv.keys(&scope, "", &page).await.unwrap();
        seen.extend(part.items);
        match part.next {
            Some(next) => page = after(Some(next), 3),
            None => break,
        }
    }
    assert_eq!(seen, keys);
    assert_eq!(kv.keys(&scope, "a", &first(0)).await.unwrap().items, ["a", "a\0", "a ", "a%", "a_b", "ab"]);
    assert_eq!(kv.keys(&scope, "a_", &first(0)).await.unwrap().items, ["a_b"]);
    assert_eq!(kv.keys(&scope, "\u{1f600}", &first(0)).await.unwrap().items, ["\u{1f600}"]);
    assert!(is_invalid(kv.keys(&scope, "", &forged()).await));
}

async fn malformed_arguments_are_refused(world: &World) {
    let (kv, scope) = (world.store.kv(), user(world));
    let longest = "k".repeat(512);
    kv.set(&scope, &longest, &vec![7; 256 * 1024], None, &QUOTA).await.unwrap();
    assert_eq!(kv.get(&scope, &longest).await.unwrap().unwrap().value.len(), 256 * 1024);
    for key in ["", &"k".repeat(513)] {
        assert!(is_invalid(kv.set(&scope, key, b"", None, &QUOTA).await));
        assert!(is_invalid(kv.get(&scope, key).await));
        assert!(is_invalid(kv.increment(&scope, key, 1, None, &QUOTA).await));
        assert!(is_invalid(kv.delete(&scope, key).await));
    }
    assert!(is_invalid(kv.set(&scope, "k", &vec![0; 256 * 1024 + 1], None, &QUOTA).await));
    assert!(is_invalid(kv.set(&scope, "k", b"", Some(0), &QUOTA).await));
    for turn in ["", "t\0", "t ", &"t".repeat(256)] {
        assert!(is_invalid(
            kv.set(&KvScope::Turn(plugin("p"), turn.to_owned()), "k", b"", None, &QUOTA).await
        ));
    }
}

async fn sweeping_removes_what_expired_and_counts_again(world: &World) {
    let (kv, scope) = (world.store.kv(), user(world));
    let turn = KvScope::Turn(plugin("p"), "t".to_owned());
    for number in 0..4_u64 {
        kv.set(&scope, &number.to_string(), b"x", (number > 0).then_some(10 * number), &QUOTA).await.unwrap();
        kv.set(&turn, &number.to_string(), b"x", None, &QUOTA).await.unwrap();
    }
    world.clock.advance(20);
    assert_eq!(kv.sweep().await.unwrap(), 2);
    assert_eq!(kv.sweep().await.unwrap(), 0);
    assert_eq!(kv.keys(&scope, "", &first(0)).await.unwrap().items, ["0", "3"]);
    let full = KvQuota { entries: 3, bytes: 6 };
    kv.set(&scope, "n", b"x", None, &full).await.expect("swept entries are not counted");
    world.clock.advance(3600);
    assert_eq!(kv.sweep().await.unwrap(), 5, "the turn's four and one more");
    let mut tx = world.begin().await;
    let mut rows = sea_query::Query::select().column("scope").from("innkeeper_kv_scope").take();
    assert_eq!(tx.fetch_all(&mut rows, 10, |row| row.text("scope")).await.unwrap(), ["user"]);
    tx.rollback().await.unwrap();
}

async fn deleting_does_not_bring_an_expired_turn_back(world: &World) {
    let (kv, scope) = (world.store.kv(), KvScope::Turn(plugin("p"), "t".to_owned()));
    for key in ["a", "b"] {
        kv.set(&scope, key, b"1", None, &QUOTA).await.unwrap();
    }
    world.clock.advance(3600);
    assert!(!kv.delete(&scope, "a").await.unwrap());
    assert_eq!(kv.get(&scope, "b").await.unwrap(), None);
    assert!(kv.keys(&scope, "", &first(0)).await.unwrap().items.is_empty());
    let one = KvQuota { entries: 1, bytes: 2 };
    kv.set(&scope, "c", b"1", None, &one).await.expect("nothing of the old turn is counted");
}

async fn sweeping_makes_no_rows_and_comes_to_an_end(world: &World) {
    let insert = |table: &'static str, scope: &str, more: [(&'static str, sea_query::Expr); 3]| {
        let mut insert = sea_query::Query::insert().into_table(table).take();
        let fixed: [(&'static str, sea_query::Expr); 4] = [
            ("plugin_id", "p".into()),
            ("scope", scope.into()),
            ("subject", "s".into()),
            ("expires_at", START.into()),
        ];
        let (columns, values): (Vec<_>, Vec<_>) = fixed.into_iter().chain(more).unzip();
        insert.columns(columns).values_panic(values).take()
    };
    let entry = |scope| {
        let more =
            [("key", b"k".to_vec().into()), ("value", b"v".to_vec().into()), ("version", 1_i64.into())];
        insert("innkeeper_kv", scope, more)
    };
    // Entries whose scope another server swept a moment ago, and what a newer program keeps.
    world.run(&entry("turn")).await;
    world.run(&entry("x")).await;
    let more = [("entries", 1_i64.into()), ("bytes", 2_i64.into()), ("sequence", 1_i64.into())];
    world.run(&insert("innkeeper_kv_scope", "x", more)).await;
    let kv = world.store.kv();
    let swept = tokio::time::timeout(std::time::Duration::from_secs(20), kv.sweep());
    assert_eq!(swept.await.expect("it comes to an end").unwrap(), 1);
    for table in ["innkeeper_kv_scope", "innkeeper_kv"] {
        let mut tx = world.begin().await;
        let mut rows = sea_query::Query::select().column("scope").from(table).take();
        assert_eq!(tx.fetch_all(&mut rows, 10, |row| row.text("scope")).await.unwrap(), ["x"], "{table}");
        tx.rollback().await.unwrap();
    }
}
