//! What the sample `echo` answers to a chat completion, by `wasi:http` alone: no plugin, but what a plugin is measured beside.

use serde_json::{Value, json};
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{
    Fields, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

struct Echo;

wasip2::http::proxy::export!(Echo);

impl Guest for Echo {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let answer = match request.method() {
            Method::Get => "hello".to_owned(),
            _ => completion(&body(&request)),
        };
        let response = OutgoingResponse::new(Fields::new());
        let body = response.body().expect("a new response has a body");
        ResponseOutparam::set(out, Ok(response));
        let stream = body.write().expect("a new body can be written");
        for piece in answer.as_bytes().chunks(4096) {
            stream.blocking_write_and_flush(piece).expect("the client is there");
        }
        drop(stream);
        OutgoingBody::finish(body, None).expect("a body without a declared length ends anywhere");
    }
}

fn body(request: &IncomingRequest) -> Vec<u8> {
    let body = request.consume().expect("nobody else has taken the body");
    let stream = body.stream().expect("nobody else has taken the stream");
    let mut bytes = Vec::new();
    while let Ok(more) = stream.blocking_read(64 << 10) {
        bytes.extend(more);
    }
    bytes
}

/// The last message, as a chat completion.
fn completion(body: &[u8]) -> String {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = request["messages"].as_array().and_then(|messages| messages.last()?["content"].as_str());
    let choice = json!({
        "index": 0,
        "message": {"role": "assistant", "content": text.unwrap_or_default()},
        "finish_reason": "stop",
    });
    json!({"object": "chat.completion", "model": request["model"], "choices": [choice]}).to_string()
}
