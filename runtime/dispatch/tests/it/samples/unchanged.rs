//! A filter that changes nothing: what a provider is sent is what the client wrote, down to the digits.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::post;
use innkeeper_dispatch::{ChatTurn, ProviderConfig};
use innkeeper_model::chat_request::ChatRequest;
use innkeeper_model::json::same_json;

use super::{at_every_hook, either_way};
use crate::world::{Builder, plugin};

/// A provider that keeps the text of each body.
async fn provider() -> (ProviderConfig, Arc<Mutex<Vec<String>>>) {
    const ANSWER: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"read\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let bodies: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = Arc::clone(&bodies);
    let chat = async move |body: String| {
        kept.lock().unwrap().push(body);
        ([("content-type", "text/event-stream")], ANSWER)
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
    let router = Router::new()
        .route("/v1/chat/completions", post(chat))
        .layer(axum::extract::DefaultBodyLimit::max(8 << 20));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let config =
        ProviderConfig { id: "exact".to_owned(), base_url, api_key: None, models: vec!["m".to_owned()] };
    (config, bodies)
}

/// Odd at every level: unknown fields, some named like fields of a record, numbers of every spelling, null beside absent, keys that come twice.
fn odd_body(stop: &str) -> String {
    let uri = |megabytes: usize| format!("data:image\\/png;base64,{}", "QUJD".repeat(megabytes << 18));
    let (long, short) = (uri(2), "data:image/png;base64,QUJD");
    format!(
        r#"{{ "\u006dodel": "m", "stream": true, "stop": {stop}, "temperature": 1.0, "top_p": 1E+2, "seed": 100000000000000000000,
        "max_tokens": 1e400, "presence_penalty": -0.0, "frequency_penalty": null, "extra": {{"extra": -0}}, "params": [1.50], "user": null,
        "x": 1, "x": {{"n": 2.0, "deep": [[[[{{"a": [1e1]}}]]]]}},
        "tools": [{{"type": "function", "function": {{"name": "f", "strict": null, "parameters": {{"type": "object", "maximum": 1e5}}, "extra": 1}}, "params": 0.10}},
            {{"type": "web_search", "limit": 3.0}}],
        "messages": [
            {{"role": "system", "content": "s", "name": null, "cache": {{"ttl": 5.0}}, "extra": "e", "params": null}},
            {{"role": "user", "content": [
                {{"type": "text", "text": "what \u00e9 is\/this", "cache_control": {{"n": 1.0}}, "extra": []}},
                {{"type": "image_url", "image_url": {{"url": "{long}", "detail": null, "size": 1.50, "extra": 1}}, "blob": true}},
                {{"type": "image_url", "image_url": {{"url": "{short}"}}}},
                {{"type": "image_url", "image_url": "{short}"}},
                {{"type": "input_audio", "input_audio": {{"data": "QQ==", "rate": 1.6e4}}}}, "bare", 7.0]}},
            {{"role": "assistant", "content": null, "tool_calls": [
                {{"id": "c", "index": 0.0, "type": "function", "function": {{"name": "f", "arguments": "{{\"n\": 1.0", "extra": -0}}, "extra": {{}}}}]}},
            {{"role": "tool", "tool_call_id": "c", "content": {{"odd": 1e2}}}},
            {{"r\u006fle": "user", "role": "user", "content": "last", "tool_calls": null}}] }}"#
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_reaches_the_provider_as_it_was_written() {
    let (config, bodies) = provider().await;
    let build = |builder: Builder| {
        // There is no order for it in the body, so each hook hands on what it got.
        let probe = plugin("probe").filter(|filter| {
            at_every_hook(filter);
            filter.toggle = false;
        });
        builder.provider(config.clone()).plugin(probe.global())
    };
    for world in either_way(build).await {
        for stop in [r#""END""#, r#"["a", "b"]"#, "[]", "null"] {
            let body = odd_body(stop);
            assert!(body.len() > 2 << 20, "the image is long");
            let request = ChatRequest::from_json(&body).unwrap();
            let turn = ChatTurn { request, body_bytes: body.len() as u64, ..world.turn("m", "replaced") };
            let said = world.chat(turn).await;
            assert_eq!(said.text(), "read");
            let hooks = world.trail(&said).await;
            assert!(hooks.iter().any(|call| call.starts_with("probe filter.")), "{hooks:?}");
            let sent = bodies.lock().unwrap().pop().unwrap();
            let shown = |text: &str| text.replace(&"QUJD".repeat(2 << 18), "…");
            assert!(same_json(&sent, &body), "\n{}\n{}", shown(&sent), shown(&body));
        }
        world.assert_idle().await;
    }
    assert!(bodies.lock().unwrap().is_empty(), "each was sent once");
}
