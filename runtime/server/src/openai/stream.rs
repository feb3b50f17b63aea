//! A turn as server-sent events: chunks, events, a failure, `[DONE]`, and comments while nothing happens.

use std::collections::BTreeSet;
use std::convert::Infallible;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use innkeeper_dispatch::{Frame, TurnEnd};
use innkeeper_model::chunk::{Chunk, Delta, frame_json};
use innkeeper_model::sse::DONE;

use super::error_frame;
use super::turn::{Next, Running};
use crate::failure::Failure;

/// Proxies that gather answers must let this one through.
const NO_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

struct Frames {
    running: Running,
    first: Option<Frame>,
    /// Choices that have said something.
    begun: BTreeSet<u32>,
    failed: bool,
    ended: bool,
}

/// Begins the answer. A turn that fails soon, and before it said anything, is answered with a status of its own.
pub(super) async fn answer(mut running: Running) -> Result<Response, Failure> {
    let patience = running.app.options().first_frame;
    let first = match tokio::time::timeout(patience, running.next()).await {
        Ok(Next::Cut(failure)) => return Err(failure),
        Ok(Next::Frame(Frame::End(TurnEnd { error: Some(error), .. }))) => return Err(error.into()),
        Ok(Next::Frame(frame)) => Some(frame),
        Err(_) => None,
    };
    let frames = Frames { running, first, begun: BTreeSet::new(), failed: false, ended: false };
    let body = Body::from_stream(stream::unfold(frames, next));
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8")),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (NO_BUFFERING, HeaderValue::from_static("no")),
    ];
    Ok((headers, body).into_response())
}

async fn next(mut frames: Frames) -> Option<(Result<Bytes, Infallible>, Frames)> {
    if frames.ended {
        return None;
    }
    let text = frames.step().await;
    Some((Ok(text.into()), frames))
}

impl Frames {
    /// The next piece of the answer.
    async fn step(&mut self) -> String {
        let next = match self.first.take() {
            Some(frame) => Next::Frame(frame),
            None => {
                let silence = self.running.app.options().keep_alive;
                match tokio::time::timeout(silence, self.running.next()).await {
                    Ok(next) => next,
                    Err(_) => return ": keep-alive\n\n".to_owned(),
                }
            }
        };
        match next {
            Next::Frame(Frame::Chunk(chunk)) => self.chunk(chunk),
            Next::Frame(Frame::End(end)) => self.end(end.error.map(Failure::from)),
            Next::Cut(failure) => self.end(Some(failure)),
        }
    }

    fn chunk(&mut self, chunk: Chunk) -> String {
        let chunk = self.with_role(chunk);
        let Running { id, created, model, .. } = &self.running;
        match frame_json(id, *created, model, &chunk) {
            Ok(json) => {
                self.failed |= matches!(chunk, Chunk::Failed(_));
                format!("data: {json}\n\n")
            }
            Err(error) => {
                let message = innkeeper_host::log::escape(&error.to_string());
                let failure = Failure::new(axum::http::StatusCode::BAD_GATEWAY, "plugin-failed", message);
                self.end(Some(failure))
            }
        }
    }

    /// A choice's first piece says who speaks, as OpenAI's do: clients put messages together from what the pieces say.
    fn with_role(&mut self, chunk: Chunk) -> Chunk {
        let delta = match chunk {
            Chunk::Text(text) if !self.begun.contains(&0) => {
                Delta { content: Some(text), ..Delta::default() }
            }
            Chunk::Delta(delta) if !self.begun.contains(&delta.choice) => delta,
            chunk => return chunk,
        };
        self.begun.insert(delta.choice);
        Chunk::Delta(Delta { role: delta.role.or_else(|| Some("assistant".to_owned())), ..delta })
    }

    fn end(&mut self, failure: Option<Failure>) -> String {
        self.ended = true;
        let mut text = failure.filter(|_| !self.failed).as_ref().map(error_frame).unwrap_or_default();
        text.push_str("data: ");
        text.push_str(DONE);
        text.push_str("\n\n");
        text
    }
}
