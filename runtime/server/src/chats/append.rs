//! `POST /api/chats/{chat}/messages`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use innkeeper_model::authority::Authority;
use innkeeper_model::chat_message::NewMessage;
use innkeeper_model::{ChatId, MessageId};
use innkeeper_store::StoreError;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Error, MessageView};
use crate::app::App;
use crate::body::JsonBody;
use crate::caller::Caller;
use crate::failure::ErrorBody;
use crate::params::InPath;

/// A message to append.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Append {
    /// `user`, `assistant`, …
    role: String,
    /// Text.
    content: String,
    /// Its id; a new one where it is left out.
    #[serde(default)]
    id: Option<String>,
    /// The message before; the chat's current one where it is left out.
    #[serde(default)]
    parent_id: Option<String>,
}

/// Appends a message to one of the caller's chats.
#[utoipa::path(
    post, path = "/api/chats/{chat}/messages", tag = "chats", request_body = Append,
    params(("chat" = String, Path, description = "Id of a chat")),
    responses((status = CREATED, body = MessageView), (status = NOT_FOUND, body = ErrorBody))
)]
pub(crate) async fn append(
    State(app): State<App>,
    caller: Caller,
    InPath(chat): InPath<String>,
    JsonBody(body): JsonBody<Append>,
) -> Result<(StatusCode, Json<MessageView>), Error> {
    let chat = ChatId::from(chat);
    let message = NewMessage {
        id: body.id.map(MessageId::from),
        role: body.role,
        content: body.content,
        parent: body.parent_id.map(MessageId::from),
        model: None,
        done: true,
    };
    let appended = app.store().chat_messages().append(&Authority::Own(caller.user.id), &chat, message).await;
    match appended {
        Ok(message) => Ok((StatusCode::CREATED, Json(message.into()))),
        Err(StoreError::NotFound("chat")) => Err(Error::unknown(&chat)),
        Err(error) => Err(error.into()),
    }
}
