//! One chat turn for an HTTP client, as a stream or as a whole.
//! Everything that ends early drops the turn's handle, and with it what plugins were doing.

use axum::http::HeaderValue;
use axum::response::Response;
use innkeeper_dispatch::{ChatTurn, TurnHandle};

use super::request::Parsed;
use super::{TURN, stream, whole};
use crate::access::Lease;
use crate::app::App;
use crate::caller::Caller;
use crate::failure::Failure;

/// A turn that runs, and who it runs for.
pub(crate) struct Running {
    /// The turn.
    pub(crate) handle: TurnHandle,
    /// Ends with the caller's key.
    pub(crate) lease: Lease,
    /// The server.
    pub(crate) app: App,
}

/// Runs a turn and answers.
pub(crate) async fn run(
    app: App,
    caller: Caller,
    parsed: Parsed,
    body_bytes: u64,
) -> Result<Response, Failure> {
    app.admit()?;
    let Parsed { request, own } = parsed;
    let wants_stream = request.stream == Some(true);
    let turn = ChatTurn {
        principal: caller.principal(),
        request,
        chat: own.chat,
        message: own.message,
        session: own.session,
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
    let running = Running { handle, lease: app.access().lease(&caller), app };
    let mut response =
        if wants_stream { stream::answer(running).await? } else { whole::answer(running).await? };
    if let Some(id) = id {
        response.headers_mut().insert(TURN, id);
    }
    Ok(response)
}

/// Why a turn is cut.
pub(crate) fn revoked() -> Failure {
    Failure::new(
        axum::http::StatusCode::UNAUTHORIZED,
        "unauthorized",
        "the key of this request was revoked, or the person's role has changed",
    )
}

/// Why a turn is cut.
pub(crate) fn stopping() -> Failure {
    Failure::unavailable("draining", "the server is stopping; try again", 5)
}
