//! `GET /api/chats`.

use axum::Json;
use axum::extract::State;
use innkeeper_model::authority::Authority;
use innkeeper_model::chat::ChatFilter;

use super::{ChatView, Error};
use crate::app::App;
use crate::caller::Caller;
use crate::params::{InQuery, List, Paging};

/// Lists the caller's chats.
#[utoipa::path(
    get, path = "/api/chats", tag = "chats", params(Paging), responses((status = OK, body = List<ChatView>))
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    InQuery(paging): InQuery<Paging>,
) -> Result<Json<List<ChatView>>, Error> {
    let own = Authority::Own(caller.user.id);
    let chats = app.store().chats().list(&own, &ChatFilter::default(), &paging.request()).await?;
    Ok(Json(List::part(chats, ChatView::from)))
}
