//! OpenAI's protocol: models and chat completions.

pub(crate) mod chat_completions;
pub(crate) mod models;
mod request;
mod stream;
pub(crate) mod turn;
mod whole;

use std::fmt::Write;

use crate::failure::Failure;

/// Header of an answer that names its turn; receipts are found by it.
pub(crate) const TURN: axum::http::HeaderName = axum::http::HeaderName::from_static("x-innkeeper-turn");

/// A failure as a frame of a stream.
fn error_frame(failure: &Failure) -> String {
    let mut frame = String::new();
    let _ = write!(frame, "data: {{\"error\":{}}}\n\n", failure.openai());
    frame
}
