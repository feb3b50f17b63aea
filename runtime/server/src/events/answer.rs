//! `POST /api/events/answers/{ask}`: a person answers what a plugin asked them.

use axum::extract::State;
use axum::http::StatusCode;
use innkeeper_dispatch::AnswerError;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::App;
use crate::body::JsonBody;
use crate::caller::Caller;
use crate::failure::{ErrorBody, Failure, answers};
use crate::params::InPath;

/// What a person answers.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    /// `true` or `false` for a confirmation, text for an input; null declines.
    #[schema(value_type = Object)]
    answer: Value,
}

/// Why an answer was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Nobody waits for it.
    #[error("nobody waits for this answer: it was given already, came too late, or somebody else was asked")]
    Unknown,
}

impl From<AnswerError> for Error {
    fn from(_: AnswerError) -> Self {
        Self::Unknown
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Unknown => Self::not_found("unknown-ask", error.to_string()),
        }
    }
}

answers!(Error);

/// Gives an answer. It counts once, and only from the person who was asked.
#[utoipa::path(
    post, path = "/api/events/answers/{ask}", tag = "events", request_body = Answer,
    params(("ask" = String, Path, description = "The event's `ask`")),
    responses((status = NO_CONTENT), (status = NOT_FOUND, body = ErrorBody))
)]
pub(crate) async fn answer(
    State(app): State<App>,
    caller: Caller,
    InPath(ask): InPath<String>,
    JsonBody(body): JsonBody<Answer>,
) -> Result<StatusCode, Error> {
    app.dispatch().hub().answer(&caller.user.id, &ask, body.answer)?;
    Ok(StatusCode::NO_CONTENT)
}
