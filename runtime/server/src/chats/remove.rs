//! `DELETE /api/chats/{chat}`.

use axum::extract::State;
use axum::http::StatusCode;
use innkeeper_model::ChatId;
use innkeeper_model::authority::Authority;

use super::Error;
use crate::app::App;
use crate::caller::Caller;
use crate::failure::ErrorBody;
use crate::params::InPath;

/// Deletes one of the caller's chats with its messages.
#[utoipa::path(
    delete, path = "/api/chats/{chat}", tag = "chats", params(("chat" = String, Path, description = "Id of a chat")),
    responses((status = NO_CONTENT), (status = NOT_FOUND, body = ErrorBody))
)]
pub(crate) async fn remove(
    State(app): State<App>,
    caller: Caller,
    InPath(chat): InPath<String>,
) -> Result<StatusCode, Error> {
    let chat = ChatId::from(chat);
    let removed = app.store().chats().delete(&Authority::Own(caller.user.id), &chat).await?;
    if removed { Ok(StatusCode::NO_CONTENT) } else { Err(Error::unknown(&chat)) }
}
