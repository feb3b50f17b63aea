//! `POST /api/chats`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use innkeeper_model::authority::Authority;
use innkeeper_model::chat::NewChat;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{ChatView, Error};
use crate::app::App;
use crate::body::JsonBody;
use crate::caller::Caller;
use crate::failure::ErrorBody;

/// A chat to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateChat {
    /// Title; `New Chat` where it is left out.
    #[serde(default)]
    title: Option<String>,
}

/// Makes a chat.
#[utoipa::path(
    post, path = "/api/chats", tag = "chats", request_body = CreateChat,
    responses((status = CREATED, body = ChatView), (status = BAD_REQUEST, body = ErrorBody))
)]
pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    JsonBody(new): JsonBody<CreateChat>,
) -> Result<(StatusCode, Json<ChatView>), Error> {
    let own = Authority::Own(caller.user.id.clone());
    let new = NewChat { title: new.title.unwrap_or_else(|| "New Chat".to_owned()), folder: None };
    let chat = app.store().chats().create(&caller.user.id, &own, new).await?;
    Ok((StatusCode::CREATED, Json(chat.into())))
}
