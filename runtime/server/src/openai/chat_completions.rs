//! `POST /v1/chat/completions`.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::request::parse;
use super::turn::run;
use crate::app::App;
use crate::body::JsonText;
use crate::caller::Caller;
use crate::failure::Failure;
use crate::params::InPath;

/// Answers a chat, as a stream or as a whole.
///
/// The body is OpenAI's, with these fields besides: `chat_id`, `message_id`, `filter_ids`, `files`, `features`, `variables`, and `innkeeper` with `store`, `turn` and `locale`. Plugins and models do not see them in the body.
#[utoipa::path(
    post, path = "/v1/chat/completions", tag = "openai",
    request_body(content = Object, description = "A chat completion request", content_type = "application/json"),
    responses(
        (status = OK, description = "`chat.completion`, or chunks where `stream` is true", content(
            (Object = "application/json"), (String = "text/event-stream")
        )),
        (status = BAD_REQUEST, description = "A body that cannot be used, or a request that a plugin refuses"),
        (status = NOT_FOUND, description = "No such model"),
        (status = BAD_GATEWAY, description = "A plugin or provider failed"),
        (status = SERVICE_UNAVAILABLE, description = "No instance is free, or the server is stopping")
    )
)]
pub(crate) async fn chat_completions(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    JsonText(body): JsonText,
) -> Result<Response, Failure> {
    let parsed = parse(&body, &headers)?;
    run(app, caller, parsed, body.len() as u64).await
}

/// Answers in a chat of the caller, and stores the turn in it.
#[utoipa::path(
    post, path = "/api/chats/{chat}/completions", tag = "chats",
    params(("chat" = String, Path, description = "Id of a chat")),
    request_body(content = Object, description = "A chat completion request", content_type = "application/json"),
    responses(
        (status = OK, description = "As `/v1/chat/completions`, in OpenAI's envelope", content(
            (Object = "application/json"), (String = "text/event-stream")
        )),
        (status = NOT_FOUND, description = "No such chat or model")
    )
)]
pub(crate) async fn in_chat(
    State(app): State<App>,
    caller: Caller,
    InPath(chat): InPath<String>,
    headers: HeaderMap,
    JsonText(body): JsonText,
) -> Result<Response, Failure> {
    let mut parsed = parse(&body, &headers)?;
    parsed.own.chat = Some(chat.into());
    parsed.own.store = true;
    run(app, caller, parsed, body.len() as u64).await
}
