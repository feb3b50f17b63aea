//! What plugins ask of people.

use std::time::{Duration, Instant};

use innkeeper_dispatch::{AnswerError, Subscription};
use innkeeper_model::Permission;
use serde_json::json;

use crate::world::{World, plugin, soon, world};

const LONG: Duration = Duration::from_secs(20);

async fn asking(answer: Duration, reconnect: Duration) -> World {
    world()
        .patience(answer, reconnect)
        .plugin(plugin("ask-user").grant(&[Permission::EventsCall]))
        .build()
        .await
}

async fn question(subscription: &mut Subscription) -> String {
    let delivery = tokio::time::timeout(LONG, subscription.next()).await.unwrap().unwrap();
    delivery.ask.expect("a question")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_counts_once_and_only_from_the_person_who_was_asked() {
    let world = asking(LONG, LONG).await;
    let hub = world.dispatch.hub();
    let (mut ada, mut bob) = (hub.subscribe(&world.ada).unwrap(), hub.subscribe(&world.bob).unwrap());
    let answers = async {
        let delivery = ada.next().await.unwrap();
        assert_eq!(
            (delivery.event.kind.as_str(), &delivery.event.data["message"]),
            ("confirmation", &json!("Sure?"))
        );
        assert_eq!(delivery.expires_in_ms, Some(20_000));
        let ask = delivery.ask.unwrap();
        assert!(ask.len() >= 32);
        assert_eq!(world.store.pool().in_use(), 0, "a question holds no connection");
        assert_eq!(hub.answer(&world.bob, &ask, json!(true)), Err(AnswerError));
        assert_eq!(hub.answer(&world.ada, "0", json!(true)), Err(AnswerError));
        assert_eq!(hub.answer(&world.ada, &ask, json!(true)), Ok(()));
        assert_eq!(hub.answer(&world.ada, &ask, json!(false)), Err(AnswerError));
    };
    let (said, ()) = tokio::join!(world.tool("ask-user", "confirm", json!({"question": "Sure?"})), answers);
    assert_eq!(said.unwrap(), "yes");
    assert_eq!(crate::events::arrived(&mut bob).await, []);
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_to_ask_is_unavailable_at_once() {
    let world = asking(LONG, LONG).await;
    let _bob = world.dispatch.hub().subscribe(&world.bob).unwrap();
    let begun = Instant::now();
    let error = world.tool("ask-user", "confirm", json!({"question": "Sure?"})).await.unwrap_err();
    assert!(error.to_string().contains("there is no user who could be asked"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_nobody_answers_times_out() {
    let world = asking(Duration::from_millis(200), LONG).await;
    let mut ada = world.dispatch.hub().subscribe(&world.ada).unwrap();
    let error = world.tool("ask-user", "confirm", json!({"question": "Sure?"})).await.unwrap_err();
    assert!(error.to_string().contains("did not answer in time"), "{error}");
    let ask = question(&mut ada).await;
    assert_eq!(world.dispatch.hub().answer(&world.ada, &ask, json!(true)), Err(AnswerError));
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_who_comes_back_in_time_is_asked_again_and_one_who_does_not_is_gone() {
    let world = asking(LONG, Duration::from_millis(500)).await;
    let hub = world.dispatch.hub();
    let mut first = hub.subscribe(&world.ada).unwrap();
    let comes_back = async {
        let before = question(&mut first).await;
        drop(first);
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut second = hub.subscribe(&world.ada).unwrap();
        let again = second.next().await.unwrap();
        assert!(again.expires_in_ms.unwrap() <= 19_900, "the time that is left: {again:?}");
        let after = again.ask.unwrap();
        assert_eq!(before, after);
        // Longer than the grace: being back counts.
        tokio::time::sleep(Duration::from_millis(700)).await;
        hub.answer(&world.ada, &after, json!(false)).unwrap();
    };
    let (said, ()) =
        tokio::join!(world.tool("ask-user", "confirm", json!({"question": "Sure?"})), comes_back);
    assert_eq!(said.unwrap(), "no");

    let mut third = hub.subscribe(&world.ada).unwrap();
    let leaves = async {
        question(&mut third).await;
        drop(third);
    };
    let begun = Instant::now();
    let (said, ()) = tokio::join!(world.tool("ask-user", "confirm", json!({"question": "Sure?"})), leaves);
    assert!(said.unwrap_err().to_string().contains("there is no user who could be asked"));
    assert!(begun.elapsed() > Duration::from_millis(450) && begun.elapsed() < Duration::from_secs(10));
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn typed_errors_reach_the_guest() {
    let answer = Duration::from_millis(100);
    let world =
        world().patience(answer, LONG).plugin(plugin("probe").grant(&[Permission::EventsCall])).build().await;
    let ask = json!({ "question": {"Confirmation": {"title": "t", "message": "m"}} });
    assert_eq!(world.probe("events.call", ask.clone()).await["error"]["code"], "unavailable");
    let _ada = world.dispatch.hub().subscribe(&world.ada).unwrap();
    assert_eq!(world.probe("events.call", ask.clone()).await["error"]["code"], "timeout");
    world.registry.revoke(&crate::world::id("probe"), Permission::EventsCall).await.unwrap();
    assert_eq!(world.probe("events.call", ask).await["error"]["code"], "denied");
    world.assert_idle().await;
}

/// On one thread the end comes while the guest's call still moves, so that the guest hears of it before it is cut.
#[tokio::test]
async fn a_guest_whose_question_is_withdrawn_hears_that_it_was_cancelled() {
    let world =
        world().patience(LONG, LONG).plugin(plugin("probe").grant(&[Permission::EventsCall])).build().await;
    let ask = json!({ "question": {"Confirmation": {"title": "t", "message": "m"}} });
    let mut ada = world.dispatch.hub().subscribe(&world.ada).unwrap();
    let stops = async {
        question(&mut ada).await;
        world.dispatch.stop_now();
    };
    let (said, ()) = tokio::join!(world.probe("events.call", ask), stops);
    assert_eq!(said["error"]["code"], "cancelled", "{said}");
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_ends_with_its_turn() {
    let world = asking(LONG, LONG).await;
    let mut ada = world.dispatch.hub().subscribe(&world.ada).unwrap();
    {
        let mut call = std::pin::pin!(world.tool("ask-user", "confirm", json!({"question": "Sure?"})));
        tokio::select! {
            said = &mut call => panic!("{said:?}"),
            _ = question(&mut ada) => {}
        }
        assert_eq!(world.dispatch.hub().open_questions(), 1);
    }
    world.assert_idle().await;
}

/// On one thread nothing moves any more when the end comes, so that the call is cut.
#[tokio::test]
async fn a_question_ends_as_cancelled_where_the_server_stops() {
    let world = asking(LONG, LONG).await;
    let mut ada = world.dispatch.hub().subscribe(&world.ada).unwrap();
    let drains = async {
        question(&mut ada).await;
        world.dispatch.drain(Duration::from_millis(100)).await;
    };
    let (said, ()) = tokio::join!(world.tool("ask-user", "confirm", json!({"question": "Sure?"})), drains);
    assert_eq!(said.unwrap_err().code(), "cancelled");
    let refused = world.tool("ask-user", "confirm", json!({"question": "Sure?"})).await.unwrap_err();
    assert_eq!(refused.code(), "unavailable");
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_wait_at_once_with_two_connections_and_all_are_answered() {
    const CALLS: usize = 1_000;
    let world = world()
        .instances(1_200)
        .connections(2)
        .patience(Duration::from_secs(60), LONG)
        .plugin(
            plugin("ask-user")
                .grant(&[Permission::EventsCall])
                .limit("calls-per-plugin", 2_000)
                .limit("calls-per-user", 2_000),
        )
        .build()
        .await;
    let hub = world.dispatch.hub();
    let mut ada = hub.subscribe(&world.ada).unwrap();
    let calls: Vec<_> = (0..CALLS)
        .map(|number| {
            let turn = world.tool_turn("ask-user", "ask", json!({ "question": number.to_string() }));
            let dispatch = world.dispatch.clone();
            tokio::spawn(async move { dispatch.call_tool(turn).await })
        })
        .collect();
    let mut asked = Vec::new();
    while asked.len() < CALLS {
        let delivery = tokio::time::timeout(LONG, ada.next()).await.unwrap().unwrap();
        asked.push((delivery.ask.unwrap(), delivery.event.data["message"].clone()));
    }
    assert_eq!((hub.open_questions(), world.dispatch.running()), (CALLS, CALLS));
    soon("no connection is held", || world.store.pool().in_use() == 0).await;
    world.store.users().count().await.unwrap();
    for (ask, question) in asked {
        hub.answer(&world.ada, &ask, question).unwrap();
    }
    for (number, call) in calls.into_iter().enumerate() {
        let outcome = call.await.unwrap().unwrap();
        assert!(format!("{:?}", outcome.result).contains(&format!("\"{number}\"")), "{number}: {outcome:?}");
    }
    world.assert_idle().await;
}
