//! One chat turn for an HTTP client, as a stream or as a whole.
//! Everything that ends early drops the turn's handle, and with it what plugins were doing.

use axum::http::HeaderValue;
use axum::response::{IntoResponse, Response};
use innkeeper_dispatch::{ChatTurn, Frame, TurnHandle};
use innkeeper_model::authority::Authority;
use innkeeper_model::{ChatId, MessageId};

use super::request::Parsed;
use super::{TURN, stream, whole};
use crate::access::Leased;
use crate::app::App;
use crate::caller::Caller;
use crate::failure::Failure;

/// A turn that runs, and who it runs for.
pub(super) struct Running {
    /// Id of the turn.
    pub(super) id: String,
    /// Seconds since 1970.
    pub(super) created: i64,
    /// The model that was asked.
    pub(super) model: String,
    /// The server.
    pub(super) app: App,
    handle: Leased<TurnHandle>,
}

/// What comes next of a turn.
pub(super) enum Next {
    /// A piece of it.
    Frame(Frame),
    /// Nothing any more: this server cut it.
    Cut(Failure),
}

impl Running {
    fn new(app: App, caller: &Caller, handle: TurnHandle) -> Self {
        let (id, created, model) = (handle.id.clone(), handle.created, handle.model.clone());
        let handle = Leased::new(app.access(), caller, handle);
        Self { id, created, model, app, handle }
    }

    /// Waits for what comes next.
    pub(super) async fn next(&mut self) -> Next {
        tokio::select! {
            biased;
            // What has been said by the time that the server stops goes out first.
            frame = self.handle.poll(|handle, ctx| handle.frames.poll_recv(ctx)) => match frame {
                Some(Some(frame)) => Next::Frame(frame),
                Some(None) => Next::Cut(Failure::internal()),
                None => Next::Cut(Failure::revoked()),
            },
            () = self.app.closing().cancelled() => Next::Cut(Failure::stopping()),
        }
    }
}

/// Runs a turn and answers.
pub(crate) async fn run(
    app: App,
    caller: Caller,
    parsed: Parsed,
    body_bytes: u64,
) -> Result<Response, Failure> {
    app.admit()?;
    let Parsed { request, mut own } = parsed;
    if own.chat_is_hint && !own.store {
        keep_ours(&app, &caller, &mut own.chat, &mut own.message).await?;
    }
    let wants_stream = request.stream == Some(true);
    let turn = ChatTurn {
        principal: caller.principal(),
        request,
        chat: own.chat,
        message: own.message,
        turn_id: own.turn,
        locale: own.locale,
        filter_ids: own.filter_ids,
        store_turn: own.store,
        metadata: own.metadata,
        files: own.files,
        features: own.features,
        variables: own.variables,
        body_bytes,
    };
    let handle = app.dispatch().chat(turn).await?;
    let id = HeaderValue::from_str(&handle.id).ok();
    let running = Running::new(app, &caller, handle);
    let answer = if wants_stream { stream::answer(running).await } else { whole::answer(running).await };
    // A turn that failed has receipts, too.
    let mut response = answer.unwrap_or_else(IntoResponse::into_response);
    if let Some(id) = id {
        response.headers_mut().insert(TURN, id);
    }
    Ok(response)
}

/// Forgets a chat that only a header names where the caller has none of that id here, and a message that is not in it. Another program's
/// connection names all its chats, ours or not; without one nothing is stored and events go to the person all the same.
pub(crate) async fn keep_ours(
    app: &App,
    caller: &Caller,
    chat: &mut Option<ChatId>,
    message: &mut Option<MessageId>,
) -> Result<(), Failure> {
    let Some(saved) = chat.as_ref().filter(|chat| chat.is_saved()) else { return Ok(()) };
    let authority = Authority::Own(caller.user.id.clone());
    if !app.store().chats().may_see(&authority, saved).await? {
        (*chat, *message) = (None, None);
        return Ok(());
    }
    if let Some(named) = message.as_ref()
        && app.store().chat_messages().get(&authority, saved, named).await?.is_none()
    {
        *message = None;
    }
    Ok(())
}
