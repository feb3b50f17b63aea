//! `ask-user`: a model's questions. Who may answer, and for how long, is tested with `questions`.

use innkeeper_model::Permission;
use serde_json::{Value, json};

use crate::world::{World, plugin, world};

/// Calls a tool, answers its question, and gives what was asked and what the tool said.
async fn asked(world: &World, tool: &str, arguments: Value, answer: Value) -> (Value, Value) {
    let mut ada = world.dispatch.hub().subscribe(&world.ada).unwrap();
    let answers = async {
        let delivery = ada.next().await.unwrap();
        world.dispatch.hub().answer(&world.ada, &delivery.ask.unwrap(), answer).unwrap();
        json!({ "type": delivery.event.kind, "data": delivery.event.data })
    };
    let (said, question) = tokio::join!(world.tool("ask-user", tool, arguments), answers);
    (question, said.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_shows_its_example_and_brings_back_the_line() {
    let world = world().plugin(plugin("ask-user").grant(&[Permission::EventsCall])).build().await;
    let arguments = json!({ "question": "Which town?", "placeholder": "such as Ghent" });
    let (question, said) = asked(&world, "ask", arguments, json!("Bruges")).await;
    let data =
        json!({ "title": "The assistant asks", "message": "Which town?", "placeholder": "such as Ghent" });
    assert_eq!((question, said), (json!({ "type": "input", "data": data }), json!("Bruges")));
    let (question, said) = asked(&world, "ask", json!({ "question": "Which town?" }), json!("")).await;
    assert_eq!((&question["data"]["placeholder"], said), (&Value::Null, json!("")));
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_the_person_closes_is_told_to_the_model() {
    let world = world().plugin(plugin("ask-user").grant(&[Permission::EventsCall])).build().await;
    for closed in [Value::Null, json!(false)] {
        let (_, said) = asked(&world, "ask", json!({ "question": "Which town?" }), closed).await;
        assert_eq!(said, "The user closed the question without an answer.");
    }
    for (answer, expected) in [(json!(true), "yes"), (json!(false), "no"), (Value::Null, "no")] {
        let (question, said) = asked(&world, "confirm", json!({ "question": "Delete?" }), answer).await;
        assert_eq!((&question["type"], said), (&json!("confirmation"), json!(expected)));
    }
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_grant_nobody_is_asked() {
    let world = world().plugin(plugin("ask-user")).build().await;
    let mut ada = world.dispatch.hub().subscribe(&world.ada).unwrap();
    for tool in ["ask", "confirm"] {
        let error = world.tool("ask-user", tool, json!({ "question": "?" })).await.unwrap_err().to_string();
        assert!(error.contains("was denied `events.call`"), "{tool}: {error}");
    }
    assert!(crate::events::arrived(&mut ada).await.is_empty());
    world.assert_idle().await;
}
