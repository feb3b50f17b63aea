//! Bodies of requests: read whole, bounded in size and time, and refused with the place of what is wrong.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use innkeeper_model::json::{self, JsonError, MAX_DEPTH, MAX_VALUES, ParseError};
use innkeeper_store::StoreError;
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::caller::Caller;
use crate::failure::{Failure, answers};

/// Why a body cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyFailure {
    /// More bytes than allowed.
    #[error("the body is larger than {0} bytes, which this route allows at most; send less")]
    TooLarge(usize),
    /// It did not come in time.
    #[error("the body did not arrive within {0} seconds; send it faster")]
    TooSlow(u64),
    /// The connection broke.
    #[error("the body broke off; send it again")]
    Broken,
    /// Bytes that are no text.
    #[error("the body is not UTF-8: byte {0} cannot be read; send JSON in UTF-8")]
    Encoding(usize),
    /// Not JSON.
    #[error("the body is not JSON: {problem} at line {line} column {column}; send valid JSON")]
    Syntax {
        /// What is wrong.
        problem: String,
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
    },
    /// JSON inside JSON inside JSON …
    #[error("the body is nested deeper than {MAX_DEPTH} levels at line {line} column {column}; flatten it")]
    TooDeep {
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
    },
    /// More values than are taken apart.
    #[error("the body holds more than {0} values; send fewer, or send them as a file")]
    TooMany(usize),
    /// JSON of another shape.
    #[error("the body does not fit this route: {0}")]
    Shape(String),
    /// The key was revoked while the body came in.
    #[error("the key of this request was revoked while the body was sent")]
    Revoked,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<BodyFailure> for Failure {
    fn from(error: BodyFailure) -> Self {
        let (status, code) = match error {
            BodyFailure::Store(error) => return error.into(),
            BodyFailure::Revoked => return Self::revoked(),
            BodyFailure::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "body-too-large"),
            BodyFailure::TooSlow(_) => (StatusCode::REQUEST_TIMEOUT, "body-too-slow"),
            BodyFailure::Broken => (StatusCode::BAD_REQUEST, "body-broken"),
            BodyFailure::Encoding(_) | BodyFailure::Syntax { .. } => {
                (StatusCode::BAD_REQUEST, "malformed-json")
            }
            BodyFailure::TooDeep { .. } => (StatusCode::BAD_REQUEST, "too-deep"),
            BodyFailure::TooMany(_) => (StatusCode::BAD_REQUEST, "too-many-values"),
            BodyFailure::Shape(_) => (StatusCode::BAD_REQUEST, "invalid-body"),
        };
        Self::new(status, code, error.to_string())
    }
}

answers!(BodyFailure);

impl From<ParseError> for BodyFailure {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::TooMany { most } => Self::TooMany(most),
            ParseError::Json(error) => Self::Shape(error.to_string()),
            ParseError::Unreadable(problem) => Self::Shape(innkeeper_host::log::escape(&problem)),
        }
    }
}

/// A JSON body of a known shape. Its values are counted first: taken apart they need many times the memory of their text.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for JsonBody<T> {
    type Rejection = BodyFailure;

    async fn from_request(request: Request, app: &App) -> Result<Self, BodyFailure> {
        let text = JsonText::from_request(request, app).await?;
        json::check_up_to(&text.0, MAX_VALUES)?;
        serde_json::from_str(&text.0).map(Self).map_err(|error| BodyFailure::Shape(shape_problem(&error)))
    }
}

/// A JSON body as text, checked to be one JSON value that is not nested too deep.
pub(crate) struct JsonText(pub(crate) String);

impl FromRequest<App> for JsonText {
    type Rejection = BodyFailure;

    async fn from_request(request: Request, app: &App) -> Result<Self, BodyFailure> {
        let options = app.options();
        let caller = request.extensions().get::<Caller>().cloned();
        let bytes = read(request, options.json_max, options.body_timeout).await?;
        if let Some(caller) = &caller {
            check_still(app, caller).await?;
        }
        let text = String::from_utf8(bytes.into())
            .map_err(|error| BodyFailure::Encoding(error.utf8_error().valid_up_to()))?;
        // An empty body stands for an object without fields, so that a call without arguments needs none.
        if text.trim_ascii().is_empty() {
            return Ok(Self("{}".to_owned()));
        }
        match json::check(&text) {
            Ok(()) => Ok(Self(text)),
            Err(error) => Err(misplaced(&text, &error)),
        }
    }
}

/// Refuses a caller whose key was revoked, or whose role has changed, while the body came in.
pub(crate) async fn check_still(app: &App, caller: &Caller) -> Result<(), BodyFailure> {
    if app.access().holds(caller).await? { Ok(()) } else { Err(BodyFailure::Revoked) }
}

/// Reads a body whole.
pub(crate) async fn read(request: Request, max: usize, timeout: Duration) -> Result<Bytes, BodyFailure> {
    let announced =
        request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let body = request.into_body();
    let collected = async {
        if announced.is_some_and(|length| length > max as u64) {
            return refuse(body, max).await;
        }
        collect(body, max).await
    };
    tokio::time::timeout(timeout, collected).await.unwrap_or(Err(BodyFailure::TooSlow(timeout.as_secs())))
}

async fn collect(body: Body, max: usize) -> Result<Bytes, BodyFailure> {
    let mut stream = body.into_data_stream();
    let mut all = BytesMut::new();
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|_| BodyFailure::Broken)?;
        if all.len().saturating_add(piece.len()) > max {
            drop(all);
            return refuse(Body::from_stream(stream), max).await;
        }
        all.extend_from_slice(&piece);
    }
    Ok(all.freeze())
}

/// Reads on for a while without keeping anything: a client that is still sending would see its connection break
/// instead of the answer.
async fn refuse(body: Body, max: usize) -> Result<Bytes, BodyFailure> {
    let mut stream = body.into_data_stream();
    let mut left = max.saturating_mul(4).max(16 << 20);
    while let Some(Ok(piece)) = stream.next().await {
        left = left.saturating_sub(piece.len());
        if left == 0 {
            break;
        }
    }
    Err(BodyFailure::TooLarge(max))
}

fn misplaced(text: &str, error: &JsonError) -> BodyFailure {
    let (at, problem) = match error {
        JsonError::Syntax { expected, at } => (*at, format!("expected {expected}")),
        JsonError::Trailing { at } => (*at, "unexpected text after the end of the value".to_owned()),
        JsonError::TooDeep { at } => {
            let (line, column) = place(text, *at);
            return BodyFailure::TooDeep { line, column };
        }
    };
    let (line, column) = place(text, at);
    BodyFailure::Syntax { problem, line, column }
}

/// Line and column of a byte, both from 1.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before: String = text.char_indices().take_while(|(index, _)| *index < at).map(|(_, c)| c).collect();
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
    (line, column)
}

/// serde's message; values of the body that it repeats are cut, since they may be long and private.
fn shape_problem(error: &serde_json::Error) -> String {
    let text = innkeeper_host::log::escape(&error.to_string());
    if text.chars().count() > 300 { text.chars().take(300).chain("…".chars()).collect() } else { text }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let error = json::check(text).unwrap_err();
        assert_eq!(misplaced(text, &error).to_string(), expected, "{text}");
    }

    #[test]
    fn malformed_json_names_its_line_and_column() {
        let todo = "send valid JSON";
        check("{\n  \"ä\": ]", &format!("the body is not JSON: expected a value at line 2 column 8; {todo}"));
        check(
            "{} x",
            &format!(
                "the body is not JSON: unexpected text after the end of the value at line 1 column 4; {todo}"
            ),
        );
    }

    #[test]
    fn deep_nesting_is_refused_with_its_place() {
        let deep = "[".repeat(10_000);
        check(&deep, "the body is nested deeper than 128 levels at line 1 column 129; flatten it");
    }
}
