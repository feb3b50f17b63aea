//! Models of an upstream provider.

use std::time::Duration;

use innkeeper_dispatch::DispatchError;
use innkeeper_model::Permission;
use innkeeper_model::chunk::Chunk;
use innkeeper_testing::logs::listen;
use serde_json::json;

use crate::upstream::{Answer, KEY, Upstream, delta};
use crate::world::{World, completion, plugin, soon, world};

async fn with(upstream: &Upstream) -> World {
    world()
        .provider(upstream.config())
        .plugin(plugin("forward").grant(&[Permission::Completions]))
        .build()
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_models_are_listed_and_forwarded() {
    let upstream = Upstream::start().await;
    let world = with(&upstream).await;
    let models = world.dispatch.models(&world.principal()).await;
    let ids: Vec<_> = models.iter().map(|model| (model.id.as_str(), model.owned_by.as_str())).collect();
    assert_eq!(
        ids,
        [
            ("forward.gpt-fake", "forward"),
            ("forward.gpt.other", "forward"),
            ("gpt-fake", "fake"),
            ("gpt.other", "fake")
        ]
    );
    assert_eq!(upstream.keys(), [format!("Bearer {KEY}")], "the list is kept, and asked for with the key");
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_answers_streamed_and_whole_itself_and_through_a_pipe() {
    let upstream = Upstream::start().await;
    let world = with(&upstream).await;
    for model in ["gpt-fake", "forward.gpt-fake"] {
        let streamed = world.chat(world.turn(model, "one two three")).await;
        assert_eq!(streamed.text(), "one two three");
        assert_eq!(streamed.chunks.len(), 4, "{model}: {streamed:?}");
        let whole = world.chat(world.whole_turn(model, "one two")).await;
        assert_eq!(whole.text(), "one two");
        let finish = whole
            .chunks
            .iter()
            .find_map(|chunk| if let Chunk::Finish { usage, .. } = chunk { usage.clone() } else { None });
        assert!(finish.is_some(), "{model}: {whole:?}");
    }
    let asked = upstream.asked();
    assert_eq!(asked.iter().map(|body| body["model"].as_str().unwrap()).collect::<Vec<_>>(), ["gpt-fake"; 4]);
    assert!(upstream.keys().iter().all(|key| *key == format!("Bearer {KEY}")));
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_body_reaches_it_as_the_client_sent_it() {
    let upstream = Upstream::start().await;
    let world = with(&upstream).await;
    let image = format!("data:image/png;base64,{}", "A".repeat(40_000));
    let body = json!({
        "model": "gpt-fake", "stream": true, "temperature": 0.25, "stop": ["a", "b"], "x_unknown": {"n": 1},
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "what"}, {"type": "image_url", "image_url": {"url": image}}]},
            {"role": "user", "content": "last"},
        ],
    });
    world.chat(world.turn_of(body.clone())).await.text();
    assert_eq!(upstream.asked(), [body]);
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_cannot_be_reached_has_no_status() {
    let upstream = Upstream::start().await;
    // Nothing listens there.
    let nowhere = innkeeper_dispatch::ProviderConfig {
        base_url: "http://127.0.0.1:1/v1".to_owned(),
        models: vec!["gpt-fake".to_owned()],
        ..upstream.config()
    };
    let world = world().provider(nowhere).build().await;
    let error = world.chat(world.turn("gpt-fake", "hi")).await.error();
    assert!(matches!(&error, DispatchError::Provider { status: None, .. }), "{error:?}");
    assert!(error.to_string().starts_with("model provider `fake`: "), "{error}");
    world.assert_idle().await;
}

#[tokio::test]
async fn its_errors_are_typed_and_the_key_is_nowhere() {
    // Also what the libraries say. The compiler's own traces would be gigabytes.
    let logs = listen(
        "trace,cranelift=warn,wasmtime=warn,regalloc2=warn,wasmtime_internal_cranelift=warn,cranelift_codegen=warn",
    );
    let upstream = Upstream::start().await;
    let world = with(&upstream).await;
    world.dispatch.models(&world.principal()).await;
    let refusal =
        json!({ "error": {"message": "the model is \u{1b}[31moverloaded\nnow", "type": "overloaded"} })
            .to_string();
    upstream.answer(Answer::Status(429, refusal));
    let error = world.chat(world.turn("gpt-fake", "hi")).await.error();
    assert!(
        matches!(&error, DispatchError::Provider { provider, status: Some(429), .. } if provider == "fake"),
        "{error:?}"
    );
    assert!(
        error.to_string().contains("overloaded") && !error.to_string().contains(['\n', '\u{1b}']),
        "{error}"
    );
    let through = world.chat(world.turn("forward.gpt-fake", "hi")).await.error();
    assert_eq!(through.code(), "plugin_failed");
    upstream.answer(Answer::Status(500, "<html>".to_owned()));
    let error = world.chat(world.turn("gpt-fake", "hi")).await.error();
    assert!(matches!(&error, DispatchError::Provider { status: Some(500), .. }), "{error:?}");
    upstream.answer(Answer::Cut);
    let said = world.chat(world.turn("gpt-fake", "hi")).await;
    assert_eq!(said.partial(), "cut ");
    let error = said.error();
    assert!(matches!(&error, DispatchError::Provider { provider, .. } if provider == "fake"), "{error:?}");
    upstream.say(vec!["{not json".to_owned()]);
    let error = world.chat(world.turn("gpt-fake", "hi")).await.error();
    assert_eq!(error.code(), "provider_error");
    upstream.say(vec![delta("a "), json!({ "error": {"message": "half-way"} }).to_string()]);
    let said = world.chat(world.turn("gpt-fake", "hi")).await;
    assert!(format!("{said:?}").contains("half-way"), "{said:?}");
    let logged = logs.text();
    assert!(logged.contains("TRACE hyper"), "{logged:.3000}");
    assert!(!logged.contains(KEY) && !format!("{said:?}{error:?}").contains(KEY));
    assert!(!serde_json::to_string(&upstream.config()).unwrap().contains(KEY));
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_cannot_be_reached_is_left_out_of_the_list() {
    let mut config = Upstream::start().await.config();
    config.base_url = "http://127.0.0.1:9/v1".to_owned();
    let world = world().provider(config.clone()).plugin(plugin("echo")).build().await;
    let models = world.dispatch.models(&world.principal()).await;
    assert_eq!(models.iter().map(|model| model.id.as_str()).collect::<Vec<_>>(), ["echo"]);
    // It may have the model: nobody can say that there is none.
    let error = world.chat(world.turn("gpt-fake", "hi")).await.error();
    assert!(matches!(&error, DispatchError::Provider { status: None, .. }), "{error:?}");
    config.models = vec!["named".to_owned()];
    let world = crate::world::world().provider(config).build().await;
    let error = world.chat(world.turn("named", "hi")).await.error();
    assert!(matches!(&error, DispatchError::Provider { status: None, .. }), "{error:?}");
    assert!(!format!("{error:?}").contains(KEY));
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_events_are_progress_and_sources_and_nothing_else() {
    let upstream = Upstream::start().await;
    let kinds = [
        "status",
        "message",
        "replace",
        "files",
        "embeds",
        "notification",
        "chat:title",
        "execute",
        "citation",
        "confirmation",
        "invented",
    ];
    let data = json!({ "content": "x", "embeds": ["https://example.org"], "files": [] });
    let html = json!({ "document": ["<script>"], "metadata": [{"html": true}] });
    let mut frames: Vec<_> =
        kinds.iter().map(|kind| json!({ "event": {"type": kind, "data": data} }).to_string()).collect();
    // A document is none of its sources, nor in a list of them.
    frames.push(json!({ "event": {"type": "source", "data": html} }).to_string());
    frames.push(json!({ "sources": [html] }).to_string());
    upstream.say(frames);
    let world = with(&upstream).await;
    for model in ["gpt-fake", "forward.gpt-fake"] {
        let said = world.chat(world.turn(model, "hi")).await;
        let shown: Vec<_> = said.events().iter().map(|event| event.kind.clone()).collect();
        assert_eq!(shown, ["status", "citation"], "{model}");
    }
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plugins_ask_it_for_answers_and_vectors() {
    let upstream = Upstream::start().await;
    let world = world()
        .provider(upstream.config())
        .plugin(plugin("probe").grant(&[Permission::Completions]))
        .build()
        .await;
    let answer = world.probe("completions.complete", completion("gpt-fake", "said")).await;
    assert!(answer["ok"].to_string().contains("said"), "{answer}");
    let vectors = world.probe("completions.embed", json!({ "model": "gpt-fake", "texts": ["a", "b"] })).await;
    assert_eq!(vectors["ok"], json!([[0.5, 1.0], [0.5, 1.0]]), "{vectors}");
    let models = world.probe("completions.models", json!({})).await;
    assert!(models.to_string().contains("gpt-fake"), "{models}");
    world.assert_idle().await;
}

#[tokio::test]
async fn one_that_cannot_list_its_models_keeps_its_last_list_and_is_left_alone_for_a_while() {
    let upstream = Upstream::start().await;
    upstream.answer(Answer::Status(503, "{}".to_owned()));
    let world = world().provider(upstream.config()).build().await;
    let list = async || world.dispatch.models(&world.principal()).await.len();
    for _ in 0..3 {
        let error = world.chat(world.turn("gpt-fake", "hi")).await.error();
        assert!(matches!(&error, DispatchError::Provider { status: Some(503), .. }), "{error:?}");
        assert_eq!((list().await, upstream.keys().len()), (0, 1));
    }
    later(Duration::from_secs(11)).await;
    upstream.answer(Answer::Echo);
    assert_eq!((list().await, upstream.keys().len()), (2, 2));
    later(Duration::from_secs(61)).await;
    upstream.answer(Answer::Status(503, "{}".to_owned()));
    assert_eq!((list().await, list().await, upstream.keys().len()), (2, 2, 3));
    upstream.answer(Answer::Echo);
    assert_eq!(world.chat(world.turn("gpt-fake", "hi")).await.text(), "hi");
    assert_eq!(world.chat(world.turn("nobody", "hi")).await.error().code(), "model_not_found");
}

/// Lets time pass.
async fn later(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_goes_on_there_for_a_plugin_that_no_longer_waits() {
    let upstream = Upstream::start().await;
    let world = world()
        .provider(upstream.config())
        .plugin(plugin("probe").grant(&[Permission::Completions]).limit("waiting", 700))
        .build()
        .await;
    world.dispatch.models(&world.principal()).await;
    upstream.answer(Answer::Hang);
    // Dropped by the plugin, which goes on and ends well.
    let mut args = completion("gpt-fake", "hi");
    args["stop_after"] = 1.into();
    let answer = world.probe("completions.stream", args).await;
    assert_eq!(answer["ok"]["chunks"].as_array().map(Vec::len), Some(1), "{answer}");
    soon("the stream's request ends", || upstream.hanging() == 0).await;
    // Dropped with the call, whose time is over.
    for (import, args) in [
        ("completions.complete", completion("gpt-fake", "hi")),
        ("completions.embed", json!({ "model": "gpt-fake", "texts": ["a"] })),
    ] {
        let call = world.tool("probe", "call", json!({ "import": import, "args": args }));
        let began = soon("it is asked", || upstream.hanging() == 1);
        let (ended, ()) = tokio::join!(call, began);
        assert_eq!(ended.unwrap_err().code(), "limit_exceeded", "{import}");
        soon(import, || upstream.hanging() == 0).await;
    }
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_end_is_cut() {
    let upstream = Upstream::start().await;
    let world = with(&upstream).await;
    upstream.say((0..36).map(|_| delta(&"x".repeat(1 << 20))).collect());
    let said = world.chat(world.turn("gpt-fake", "hi")).await;
    assert!(said.partial().len() <= 32 << 20);
    let error = said.error();
    assert!(error.to_string().contains("more than 32 MiB"), "{error}");
    world.assert_idle().await;
}
