//! `POST /api/actions/{plugin}/{action}`.

use axum::Json;
use axum::extract::State;
use innkeeper_dispatch::ActionTurn;
use innkeeper_model::chat_message::StoredMessage;
use innkeeper_model::time::UnixSeconds;
use innkeeper_model::{ChatId, MessageId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::App;
use crate::body::JsonBody;
use crate::caller::Caller;
use crate::failure::{ErrorBody, Failure};
use crate::params::{InPath, plugin_id};

/// What the action is about.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunAction {
    /// A chat of the caller; its messages are read from the database unless they are given here.
    #[serde(default)]
    chat_id: Option<String>,
    /// The message whose button was pressed; the chat's last one where it is left out.
    #[serde(default)]
    message_id: Option<String>,
    /// The person's language.
    #[serde(default)]
    locale: Option<String>,
    /// The messages, oldest first, for a chat that this server does not store.
    #[serde(default)]
    messages: Option<Vec<GivenMessage>>,
}

/// A message of a chat that is stored elsewhere.
#[derive(Deserialize, ToSchema)]
pub(crate) struct GivenMessage {
    /// Within its chat.
    id: String,
    /// `user`, `assistant`, …
    role: String,
    /// Text.
    content: String,
    /// The message before.
    #[serde(default)]
    parent_id: Option<String>,
    /// Which model answered.
    #[serde(default)]
    model: Option<String>,
}

/// What an action gave back.
#[derive(Serialize, ToSchema)]
pub(crate) struct Ran {
    /// Id of the turn.
    turn: String,
    /// Id of the call's receipt.
    call: String,
    /// `{"messages": […], "content": […]}`, or null.
    #[schema(value_type = Option<Object>)]
    result: Option<Value>,
}

/// Runs an action. The answer comes when the action is done, also where it asks the person something meanwhile.
#[utoipa::path(
    post, path = "/api/actions/{plugin}/{action}", tag = "actions", request_body = RunAction,
    params(("plugin" = String, Path, description = "Id of a plugin"), ("action" = String, Path, description = "Id of an action")),
    responses(
        (status = OK, body = Ran), (status = BAD_REQUEST, body = ErrorBody), (status = NOT_FOUND, body = ErrorBody),
        (status = BAD_GATEWAY, body = ErrorBody), (status = SERVICE_UNAVAILABLE, body = ErrorBody)
    )
)]
pub(crate) async fn run(
    State(app): State<App>,
    caller: Caller,
    InPath((plugin, action)): InPath<(String, String)>,
    JsonBody(body): JsonBody<RunAction>,
) -> Result<Json<Ran>, Failure> {
    app.admit()?;
    let chat = body.chat_id.map(ChatId::from);
    let now = app.store().clock().seconds();
    let stored = |message: GivenMessage| stored(message, chat.as_ref(), &caller.user.id, now);
    let messages: Option<Vec<StoredMessage>> =
        body.messages.map(|messages| messages.into_iter().map(stored).collect());
    let body_bytes = messages.iter().flatten().map(|message| message.content.len() as u64).sum();
    let turn = ActionTurn {
        principal: caller.principal(),
        plugin: plugin_id(&plugin)?,
        action,
        chat,
        messages,
        message: body.message_id.map(Into::into),
        locale: body.locale,
        body_bytes,
    };
    let lease = app.access().lease(&caller);
    let outcome = tokio::select! {
        biased;
        () = lease.ended() => return Err(Failure::revoked()),
        outcome = app.dispatch().run_action(turn) => outcome?,
        () = app.closing().cancelled() => return Err(Failure::stopping()),
    };
    let result = outcome.result.map(|result| serde_json::json!(result));
    Ok(Json(Ran { turn: outcome.turn, call: outcome.call, result }))
}

fn stored(given: GivenMessage, chat: Option<&ChatId>, user: &UserId, now: UnixSeconds) -> StoredMessage {
    let chat = chat.cloned().unwrap_or_else(|| ChatId::from("temporary:"));
    StoredMessage {
        user: Some(user.clone()),
        parent: given.parent_id.map(MessageId::from),
        model: given.model.map(Into::into),
        created_at: now,
        updated_at: now,
        ..StoredMessage::new(MessageId::from(given.id), chat, given.role, given.content)
    }
}
