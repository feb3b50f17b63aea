//! What a person may have waiting: clients read slowly or not at all, and plugins choose what is sent.

use std::time::Duration;

use innkeeper_dispatch::hub::{About, Patience};
use innkeeper_dispatch::{Hub, TooManySubscriptions};
use innkeeper_model::event::WireEvent;
use innkeeper_model::{ErrorCode, UserId};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

const MIB: usize = 1 << 20;

fn event(data: Value) -> WireEvent {
    WireEvent::new("status", data)
}

/// Sends `count` events; how many of them reach a subscriber that reads nothing before all are sent.
async fn behind(count: usize, data: &Value) -> usize {
    let (hub, ada) = (Hub::default(), UserId::new("ada"));
    let (mut slow, mut quick) = (hub.subscribe(&ada).unwrap(), hub.subscribe(&ada).unwrap());
    for _ in 0..count {
        hub.publish(&ada, &About::default(), event(data.clone()));
        assert_eq!(quick.next().await.unwrap().event.data, *data, "one that reads gets everything");
    }
    let mut read = 0;
    while let Ok(Some(_)) = tokio::time::timeout(Duration::from_millis(100), slow.next()).await {
        read += 1;
    }
    read
}

#[tokio::test]
async fn a_subscriber_may_be_behind_by_bytes_and_not_by_number() {
    assert_eq!(behind(2_000, &json!(1)).await, 2_000, "small ones");
    assert_eq!(behind(20, &json!("x".repeat(MIB))).await, 7, "large ones");
    let many_small = Value::Array(vec![json!(0); MIB / 16]);
    assert!(behind(20, &many_small).await < 10, "values take more than their text");
}

#[tokio::test]
async fn an_event_of_any_size_reaches_a_subscriber_that_is_not_behind() {
    assert_eq!(behind(1, &json!("x".repeat(20 * MIB))).await, 1);
}

#[tokio::test]
async fn what_was_read_is_no_longer_behind() {
    let (hub, ada) = (Hub::default(), UserId::new("ada"));
    let mut events = hub.subscribe(&ada).unwrap();
    for number in 0..50 {
        hub.publish(&ada, &About::default(), event(json!([number, "x".repeat(MIB)])));
        assert_eq!(events.next().await.unwrap().event.data[0], json!(number));
    }
}

#[tokio::test]
async fn subscribers_share_one_copy_of_an_event() {
    let (hub, ada) = (Hub::default(), UserId::new("ada"));
    let (mut one, mut two) = (hub.subscribe(&ada).unwrap(), hub.subscribe(&ada).unwrap());
    hub.publish(&ada, &About::default(), event(json!("x")));
    let (one, two) = (one.next().await.unwrap(), two.next().await.unwrap());
    assert!(std::sync::Arc::ptr_eq(&one.event, &two.event));
}

#[tokio::test]
async fn a_person_has_a_bounded_number_of_subscriptions() {
    let (hub, ada) = (Hub::default(), UserId::new("ada"));
    let mut subscriptions: Vec<_> = (0..32).map(|_| hub.subscribe(&ada).unwrap()).collect();
    assert!(matches!(hub.subscribe(&ada), Err(TooManySubscriptions)));
    let _other = hub.subscribe(&UserId::new("bob")).unwrap();
    // One that was cut for being behind holds what it has not read, so it counts until it is gone.
    for _ in 0..20 {
        hub.publish(&ada, &About::default(), event(json!("x".repeat(MIB))));
    }
    assert!(matches!(hub.subscribe(&ada), Err(TooManySubscriptions)));
    subscriptions.pop();
    assert!(hub.subscribe(&ada).is_ok());
    drop(subscriptions);
    assert!(hub.subscribe(&ada).is_ok());
}

#[tokio::test]
async fn open_questions_are_bounded_so_that_a_new_subscriber_gets_all_of_them_in_order() {
    let (hub, ada) = (Hub::default(), UserId::new("ada"));
    let _first = hub.subscribe(&ada).unwrap();
    let patience = Patience { answer: Duration::from_secs(60), reconnect: Duration::from_secs(60) };
    let cancel = CancellationToken::new();
    let ask = |number: usize, bytes: usize| {
        let (hub, ada, cancel) = (hub.clone(), ada.clone(), cancel.clone());
        async move {
            let question = WireEvent::new("input", json!([number, "x".repeat(bytes)]));
            hub.ask(&ada, &About::default(), question, patience, &cancel).await
        }
    };
    // More than fit into any backlog that is counted in events, and as many bytes as there may be.
    let mut asked = Vec::new();
    for number in 0..1_100 {
        asked.push(tokio::spawn(ask(number, 1_000)));
        let is_asked = async {
            while hub.open_questions() <= number {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), is_asked).await.unwrap();
    }
    let refused =
        tokio::time::timeout(Duration::from_secs(5), ask(1_100, 3 * MIB)).await.unwrap().unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unavailable, "{refused:?}");
    assert!(refused.retry_after.is_some());
    assert_eq!(hub.open_questions(), 1_100);
    let mut second = hub.subscribe(&ada).unwrap();
    for number in 0..1_100 {
        let question = second.next().await.unwrap();
        assert_eq!(question.event.data[0], json!(number));
        hub.answer(&ada, &question.ask.unwrap(), json!(number)).unwrap();
    }
    for (number, answer) in asked.into_iter().enumerate() {
        assert_eq!(answer.await.unwrap().unwrap(), json!(number));
    }
    // Those that are answered take no more room.
    let again = tokio::spawn(ask(0, 3 * MIB));
    let question = second.next().await.unwrap();
    hub.answer(&ada, &question.ask.unwrap(), json!("again")).unwrap();
    assert_eq!(again.await.unwrap().unwrap(), json!("again"));
}
