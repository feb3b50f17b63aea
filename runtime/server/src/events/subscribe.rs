//! `GET /api/events`: a person's events as server-sent events.

use std::convert::Infallible;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::stream::{self, Stream};
use innkeeper_dispatch::Subscription;
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;

use super::Delivered;
use crate::access::Leased;
use crate::app::App;
use crate::caller::Caller;
use crate::failure::{ErrorBody, Failure};
use crate::params::InQuery;

/// Which events.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    /// Only those of one chat.
    chat_id: Option<String>,
}

struct Feed {
    app: App,
    events: Leased<Subscription>,
    chat: Option<String>,
    begun: bool,
    ended: bool,
}

/// Subscribes to the caller's events.
///
/// Frames are `ready` once, `event` with an event, and `lagged` last where the client was too slow and has to subscribe again.
#[utoipa::path(
    get, path = "/api/events", tag = "events", params(Filter),
    responses(
        (status = OK, description = "Frames whose data is a `Delivered` event", content((Delivered = "text/event-stream"))),
        (status = TOO_MANY_REQUESTS, description = "Too many connections for events", body = ErrorBody)
    )
)]
pub(crate) async fn subscribe(
    State(app): State<App>,
    caller: Caller,
    InQuery(filter): InQuery<Filter>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Failure> {
    let keep_alive = KeepAlive::new().interval(app.options().keep_alive).text("keep-alive");
    let events = app.dispatch().hub().subscribe(&caller.user.id)?;
    let events = Leased::new(app.access(), &caller, events);
    let feed = Feed { app, events, chat: filter.chat_id, begun: false, ended: false };
    Ok(Sse::new(stream::unfold(feed, next)).keep_alive(keep_alive))
}

async fn next(mut feed: Feed) -> Option<(Result<Event, Infallible>, Feed)> {
    if !std::mem::replace(&mut feed.begun, true) {
        return Some((Ok(Event::default().event("ready").data("{}")), feed));
    }
    if feed.ended {
        return None;
    }
    let closing = feed.app.closing().clone();
    loop {
        let delivery = tokio::select! {
            biased;
            () = closing.cancelled() => return None,
            delivery = feed.events.poll(Subscription::poll_next) => delivery,
        };
        let Some(delivery) = delivery? else {
            feed.ended = true;
            return Some((Ok(Event::default().event("lagged").data("{}")), feed));
        };
        if feed.chat.is_some()
            && delivery.chat.as_ref().map(innkeeper_model::ChatId::as_str) != feed.chat.as_deref()
        {
            continue;
        }
        return Some((Ok(frame(delivery.into())), feed));
    }
}

fn frame(delivered: Delivered) -> Event {
    let id = delivered.sequence.to_string();
    Event::default().event("event").id(id).data(json!(delivered).to_string())
}
