//! A provider on loopback that says what a test wants and remembers what it was asked.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use innkeeper_dispatch::ProviderConfig;
use serde_json::{Value, json};

/// The key that it wants.
pub(crate) const KEY: &str = "sk-secret-key-of-the-test";

#[derive(Clone, Default)]
pub(crate) struct Upstream {
    shared: Arc<Shared>,
    address: String,
}

#[derive(Default)]
struct Shared {
    answer: Mutex<Answer>,
    asked: Mutex<Vec<Value>>,
    keys: Mutex<Vec<String>>,
    open: Arc<()>,
}

/// How it answers.
#[derive(Clone, Debug, Default)]
pub(crate) enum Answer {
    /// With the last message.
    #[default]
    Echo,
    /// With these frames, then the end.
    Frames(Vec<String>),
    /// With a status and a body.
    Status(u16, String),
    /// With a text, and no end.
    Cut,
    /// With a text, then nothing for as long as somebody listens.
    Hang,
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream =
            Self { address: format!("http://{}/v1", listener.local_addr().unwrap()), ..Self::default() };
        let router = Router::new()
            .route("/v1/models", get(models))
            .route("/v1/chat/completions", post(chat))
            .route("/v1/embeddings", post(embeddings))
            .with_state(upstream.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        upstream
    }

    pub(crate) fn config(&self) -> ProviderConfig {
        ProviderConfig {
            id: "fake".to_owned(),
            base_url: self.address.clone(),
            api_key: Some(KEY.to_owned()),
            models: Vec::new(),
        }
    }

    pub(crate) fn answer(&self, answer: Answer) {
        *self.shared.answer.lock().unwrap() = answer;
    }

    pub(crate) fn say(&self, frames: Vec<String>) {
        self.answer(Answer::Frames(frames));
    }

    /// The bodies of chat requests so far.
    pub(crate) fn asked(&self) -> Vec<Value> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// The authorization headers so far.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.shared.keys.lock().unwrap().clone()
    }

    /// Answers that hang and that somebody still listens to.
    pub(crate) fn hanging(&self) -> usize {
        Arc::strong_count(&self.shared.open) - 1
    }

    fn saw(&self, headers: &HeaderMap) {
        let key = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        self.shared.keys.lock().unwrap().push(key.to_owned());
    }
}

async fn models(State(upstream): State<Upstream>, headers: HeaderMap) -> Response {
    upstream.saw(&headers);
    if let Answer::Status(status, body) = upstream.shared.answer.lock().unwrap().clone() {
        return (StatusCode::from_u16(status).unwrap(), body).into_response();
    }
    axum::Json(json!({ "object": "list", "data": [{"id": "gpt-fake"}, {"id": "gpt.other"}] })).into_response()
}

async fn embeddings(State(upstream): State<Upstream>, headers: HeaderMap, body: Bytes) -> Response {
    upstream.saw(&headers);
    if matches!(*upstream.shared.answer.lock().unwrap(), Answer::Hang) {
        return hang(&upstream);
    }
    let body: Value = serde_json::from_slice(&body).unwrap();
    let vectors = body["input"].as_array().unwrap().iter().map(|_| json!({ "embedding": [0.5, 1.0] }));
    axum::Json(json!({ "data": vectors.collect::<Vec<_>>() })).into_response()
}

async fn chat(State(upstream): State<Upstream>, headers: HeaderMap, body: Bytes) -> Response {
    upstream.saw(&headers);
    let body: Value = serde_json::from_slice(&body).unwrap();
    upstream.shared.asked.lock().unwrap().push(body.clone());
    let streamed = body["stream"] == true;
    let answer = upstream.shared.answer.lock().unwrap().clone();
    let text = body["messages"].as_array().unwrap().last().unwrap()["content"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    match answer {
        Answer::Echo if streamed => {
            let words = text.split_inclusive(' ').map(delta);
            events(words.chain([finish(), "[DONE]".to_owned()]).collect())
        }
        Answer::Echo => axum::Json(json!({
            "id": "x", "object": "chat.completion", "created": 1, "model": "gpt-fake",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        }))
        .into_response(),
        Answer::Frames(frames) => events(frames.into_iter().chain([finish(), "[DONE]".to_owned()]).collect()),
        Answer::Status(status, body) => (StatusCode::from_u16(status).unwrap(), body).into_response(),
        Answer::Cut => events(vec![delta("cut ")]),
        Answer::Hang => hang(&upstream),
    }
}

fn hang(upstream: &Upstream) -> Response {
    let open = Arc::clone(&upstream.shared.open);
    let frame = Bytes::from(format!("data: {}\n\n", delta("begun")));
    let first = futures::stream::iter([Ok::<_, std::io::Error>(frame)]);
    let rest = futures::stream::unfold(open, |open| async move {
        std::future::pending::<()>().await;
        Some((Ok(Bytes::new()), open))
    });
    let body = Body::from_stream(futures::StreamExt::chain(first, rest));
    ([("content-type", "text/event-stream")], body).into_response()
}

/// A frame with text.
pub(crate) fn delta(text: &str) -> String {
    json!({ "id": "x", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": text}}] }).to_string()
}

fn finish() -> String {
    json!({ "id": "x", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}] }).to_string()
}

fn events(frames: Vec<String>) -> Response {
    let body: String = frames.iter().map(|frame| format!("data: {frame}\n\n")).collect();
    ([("content-type", "text/event-stream")], body).into_response()
}
