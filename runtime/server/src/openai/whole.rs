//! A turn as one answer. Events have no place in it: subscribers get them.

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use innkeeper_dispatch::Frame;
use innkeeper_model::chunk::Collector;

use super::turn::{Next, Running};
use crate::failure::Failure;

/// Waits for the turn's end and puts the answer together.
pub(super) async fn answer(mut running: Running) -> Result<Response, Failure> {
    let mut collector = Collector::default();
    loop {
        match running.next().await {
            Next::Cut(failure) => return Err(failure),
            Next::Frame(Frame::Chunk(chunk)) => {
                collector
                    .add(&chunk)
                    .map_err(|error| broken(innkeeper_host::log::escape(&error.to_string())))?;
            }
            Next::Frame(Frame::End(end)) => match end.error {
                Some(error) => return Err(error.into()),
                None => break,
            },
        }
    }
    let json = collector.completion_json(&running.id, running.created, &running.model);
    let json = json.map_err(|error| broken(innkeeper_host::log::escape(&error.to_string())))?;
    Ok(([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], json).into_response())
}

fn broken(message: String) -> Failure {
    Failure::new(StatusCode::BAD_GATEWAY, "plugin-failed", message)
}
