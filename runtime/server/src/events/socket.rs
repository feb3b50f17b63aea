//! `GET /api/events/ws`: a person's events and answers over one WebSocket.

use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::{Extensions, HeaderMap};
use axum::response::Response;
use innkeeper_dispatch::Subscription;
use innkeeper_model::json::{self, MAX_VALUES};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Delivered, origin};
use crate::access::Leased;
use crate::app::App;
use crate::caller::{Caller, SUBPROTOCOL, SocketCaller};
use crate::events::answer;
use crate::failure::{ErrorBody, Failure};
use crate::serve::Place;

/// Longest message that a client may send, in bytes.
const MESSAGE_MAX: usize = 1 << 20;

/// How long a client may take to read a message.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a client sends.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum FromClient {
    Answer { ask: String, answer: Value },
}

/// Opens a WebSocket for the caller's events and answers.
///
/// The server sends `{"type":"ready"}`, `{"type":"event",…}`, `{"type":"answered","ask"}` and `{"type":"error",…}`;
/// the client sends `{"type":"answer","ask","answer"}`.
///
/// Pages cannot set the header `Authorization`; they offer the subprotocols `innkeeper` and `innkeeper-key.<key>` instead,
/// of which the server agrees to `innkeeper`: `new WebSocket(url, ["innkeeper", "innkeeper-key." + key])`.
#[utoipa::path(
    get, path = "/api/events/ws", tag = "events",
    responses(
        (status = SWITCHING_PROTOCOLS, description = "Text messages of JSON, both ways"),
        (status = FORBIDDEN, description = "A page of another origin", body = ErrorBody),
        (status = TOO_MANY_REQUESTS, description = "Too many connections for events", body = ErrorBody)
    )
)]
pub(crate) async fn socket(
    State(app): State<App>,
    SocketCaller(caller): SocketCaller,
    headers: HeaderMap,
    extensions: Extensions,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Failure> {
    origin::check(&headers, &app.options().allowed_origins)?;
    let upgrade =
        upgrade.map_err(|error| Failure::new(error.status(), "not-a-websocket", error.body_text()))?;
    let events = app.dispatch().hub().subscribe(&caller.user.id)?;
    let events = Leased::new(app.access(), &caller, events);
    let running = (app.sockets().token(), extensions.get::<Place>().cloned());
    let upgrade = upgrade.protocols([SUBPROTOCOL]).max_message_size(MESSAGE_MAX).max_frame_size(MESSAGE_MAX);
    Ok(upgrade.on_upgrade(move |socket| async move {
        run(socket, &app, &caller, events).await;
        drop(running);
    }))
}

async fn run(mut socket: WebSocket, app: &App, caller: &Caller, events: Leased<Subscription>) {
    let mut pings = tokio::time::interval(app.options().keep_alive);
    let mut next = json!({ "type": "ready" });
    loop {
        if !send(&mut socket, Message::text(next.to_string())).await {
            return;
        }
        next = loop {
            tokio::select! {
                delivery = events.poll(Subscription::poll_next) => match delivery {
                    Some(Some(delivery)) => break message("event", Delivered::from(delivery)),
                    Some(None) => return close(socket, close_code::AGAIN, "too far behind; connect again").await,
                    None => return close(socket, close_code::POLICY, "the key was revoked").await,
                },
                received = socket.recv() => match received {
                    Some(Ok(Message::Text(text))) => break reply(app, caller, &text),
                    Some(Ok(Message::Binary(_))) => break refused(None, "invalid-message", "send text messages of JSON"),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                },
                _ = pings.tick() => if !send(&mut socket, Message::Ping(bytes::Bytes::new())).await { return },
                () = app.closing().cancelled() => return close(socket, close_code::AWAY, "the server is stopping").await,
            }
        };
    }
}

fn reply(app: &App, caller: &Caller, text: &str) -> Value {
    // Counted first: taken apart, values need many times the memory of their text.
    let counted = json::check_up_to(text, MAX_VALUES).map_err(|error| error.to_string());
    let message = counted.and_then(|_| serde_json::from_str(text).map_err(|error| error.to_string()));
    let FromClient::Answer { ask, answer } = match message {
        Ok(message) => message,
        Err(problem) => {
            let problem = innkeeper_host::log::escape(&problem);
            return refused(None, "invalid-message", &format!("the message cannot be used: {problem}"));
        }
    };
    match app.dispatch().hub().answer(&caller.user.id, &ask, answer) {
        Ok(()) => json!({ "type": "answered", "ask": ask }),
        Err(error) => {
            let failure = Failure::from(answer::Error::from(error));
            refused(Some(&ask), failure.code, &failure.message)
        }
    }
}

fn refused(ask: Option<&str>, code: &str, message: &str) -> Value {
    json!({ "type": "error", "ask": ask, "error": { "code": code, "message": message } })
}

fn message(kind: &str, delivered: Delivered) -> Value {
    let mut message = json!({ "type": kind });
    if let (Some(message), Value::Object(fields)) = (message.as_object_mut(), json!(delivered)) {
        message.extend(fields);
    }
    message
}

async fn close(mut socket: WebSocket, code: u16, reason: &'static str) {
    send(&mut socket, Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await;
}

/// Sends a message; false where the client is gone, or reads nothing.
async fn send(socket: &mut WebSocket, message: Message) -> bool {
    matches!(tokio::time::timeout(PATIENCE, socket.send(message)).await, Ok(Ok(())))
}
