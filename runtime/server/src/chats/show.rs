//! `GET /api/chats/{chat}`.

use axum::Json;
use axum::extract::State;
use innkeeper_model::ChatId;
use innkeeper_model::authority::Authority;

use super::{ChatView, Error};
use crate::app::App;
use crate::caller::Caller;
use crate::failure::ErrorBody;
use crate::params::InPath;

/// One of the caller's chats.
#[utoipa::path(
    get, path = "/api/chats/{chat}", tag = "chats", params(("chat" = String, Path, description = "Id of a chat")),
    responses((status = OK, body = ChatView), (status = NOT_FOUND, body = ErrorBody))
)]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    InPath(chat): InPath<String>,
) -> Result<Json<ChatView>, Error> {
    let chat = ChatId::from(chat);
    let found = app.store().chats().get(&Authority::Own(caller.user.id), &chat).await?;
    found.map(|chat| Json(chat.into())).ok_or_else(|| Error::unknown(&chat))
}
