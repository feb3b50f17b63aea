//! `POST /api/tools/{plugin}/{tool}`.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use innkeeper_dispatch::ToolTurn;
use innkeeper_model::{ChatId, MessageId, json};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::App;
use crate::body::{BodyFailure, JsonText};
use crate::caller::Caller;
use crate::failure::{ErrorBody, Failure};
use crate::openai::turn::keep_ours;
use crate::params::{InPath, plugin_id};

/// What a tool gave back.
#[derive(Serialize, ToSchema)]
pub(crate) struct Called {
    /// Id of the turn.
    turn: String,
    /// Id of the call's receipt.
    call: String,
    /// `{"content": […]}`.
    #[schema(value_type = Object)]
    result: Value,
}

/// Calls a tool with the arguments in the body.
///
/// The headers `X-OpenWebUI-Chat-Id` and `X-OpenWebUI-Message-Id` say what its events are about, where the caller has such a chat here.
#[utoipa::path(
    post, path = "/api/tools/{plugin}/{tool}", tag = "tools",
    params(("plugin" = String, Path, description = "Id of a plugin"), ("tool" = String, Path, description = "Name of a tool")),
    request_body(content = Object, description = "The arguments", content_type = "application/json"),
    responses(
        (status = OK, body = Called), (status = BAD_REQUEST, body = ErrorBody), (status = NOT_FOUND, body = ErrorBody),
        (status = BAD_GATEWAY, body = ErrorBody), (status = SERVICE_UNAVAILABLE, body = ErrorBody)
    )
)]
pub(crate) async fn call(
    State(app): State<App>,
    caller: Caller,
    InPath((plugin, tool)): InPath<(String, String)>,
    headers: HeaderMap,
    JsonText(body): JsonText,
) -> Result<Json<Called>, Failure> {
    app.admit()?;
    let (arguments, _) = json::parse(&body, json::MAX_VALUES).map_err(BodyFailure::from)?;
    if !arguments.is_object() {
        return Err(Failure::bad_request(
            "invalid-body",
            "the body is not an object; send the tool's arguments as one",
        ));
    }
    let Place { mut chat, mut message } = Place::read(&headers)?;
    keep_ours(&app, &caller, &mut chat, &mut message).await?;
    let turn = ToolTurn {
        principal: caller.principal(),
        plugin: plugin_id(&plugin)?,
        tool,
        arguments,
        turn_id: None,
        chat,
        message,
        locale: None,
        body_bytes: body.len() as u64,
    };
    let lease = app.access().lease(&caller);
    let outcome = tokio::select! {
        biased;
        () = lease.ended() => return Err(Failure::revoked()),
        outcome = app.dispatch().call_tool(turn) => outcome?,
        () = app.closing().cancelled() => return Err(Failure::stopping()),
    };
    Ok(Json(Called { turn: outcome.turn, call: outcome.call, result: serde_json::json!(outcome.result) }))
}

/// What events of a call are about, as headers say.
struct Place {
    chat: Option<ChatId>,
    message: Option<MessageId>,
}

impl Place {
    /// Reads the headers; a header whose template had nothing to fill in is as none.
    fn read(headers: &HeaderMap) -> Result<Self, Failure> {
        let read = |name: &str| {
            let Some(value) = headers.get(name) else { return Ok(None) };
            match value.to_str() {
                Ok(text) if text.len() <= 255 => Ok(Some(text.to_owned()).filter(|text| !text.is_empty())),
                _ => Err(Failure::bad_request(
                    "invalid-header",
                    format!("the header `{name}` is no id of at most 255 bytes"),
                )),
            }
        };
        let (chat, message) = (read("x-openwebui-chat-id")?, read("x-openwebui-message-id")?);
        Ok(Self { chat: chat.map(ChatId::from), message: message.map(MessageId::from) })
    }
}
