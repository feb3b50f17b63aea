//! `GET /api/chats/{chat}/messages`.

use axum::Json;
use axum::extract::State;
use innkeeper_model::ChatId;
use innkeeper_model::authority::Authority;

use super::{Error, MessageView};
use crate::app::App;
use crate::caller::Caller;
use crate::failure::ErrorBody;
use crate::params::{InPath, InQuery, List, Paging};

/// Lists the messages of one of the caller's chats, all branches.
#[utoipa::path(
    get, path = "/api/chats/{chat}/messages", tag = "chats",
    params(("chat" = String, Path, description = "Id of a chat"), Paging),
    responses((status = OK, body = List<MessageView>), (status = NOT_FOUND, body = ErrorBody))
)]
pub(crate) async fn messages(
    State(app): State<App>,
    caller: Caller,
    InPath(chat): InPath<String>,
    InQuery(paging): InQuery<Paging>,
) -> Result<Json<List<MessageView>>, Error> {
    let (chat, own) = (ChatId::from(chat), Authority::Own(caller.user.id));
    if !app.store().chats().may_see(&own, &chat).await? {
        return Err(Error::unknown(&chat));
    }
    let messages = app.store().chat_messages().list(&own, &chat, &paging.request()).await?;
    Ok(Json(List::part(messages, MessageView::from)))
}
