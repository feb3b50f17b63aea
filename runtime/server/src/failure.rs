//! What a client is told when something fails: a status and one JSON envelope.
//! Endpoints have errors of their own and say here, exhaustively, what each becomes.

mod dispatch;
mod registry;
mod store;

use axum::Json;
use axum::extract::Request;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::openai::TURN;

/// Clients of OpenAI's kind repeat failed requests by themselves unless this header says that it is of no use.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// A failed request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    /// Status.
    pub(crate) status: StatusCode,
    /// One word for programs.
    pub(crate) code: &'static str,
    /// A sentence for people: what is wrong, where, and what to do.
    pub(crate) message: String,
    /// More for programs.
    pub(crate) details: Option<Box<Value>>,
    /// Which field of the request.
    pub(crate) param: Option<String>,
    /// Seconds after which a retry can help.
    pub(crate) retry_after: Option<u64>,
}

/// The envelope of every error below `/api`.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    error: ErrorDetail,
}

/// What went wrong.
#[derive(Serialize, ToSchema)]
struct ErrorDetail {
    /// One word for programs.
    #[schema(example = "unknown-plugin")]
    code: String,
    /// A sentence for people.
    message: String,
    /// More for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    details: Option<Value>,
}

impl Failure {
    /// A failure.
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), details: None, param: None, retry_after: None }
    }

    /// The client's fault.
    pub(crate) fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// There is nothing of that name, or nothing that the caller may see.
    pub(crate) fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// The caller may not.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// Nobody can serve this at present; try again after so many seconds.
    pub(crate) fn unavailable(code: &'static str, message: impl Into<String>, retry_after: u64) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message) }
    }

    /// The caller is no longer who they were.
    pub(crate) fn revoked() -> Self {
        let message = "the key of this request was revoked, or the person's role has changed";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    /// New work is not taken, and what waits is cut.
    pub(crate) fn stopping() -> Self {
        Self::unavailable("draining", "the server is stopping; try again", 5)
    }

    /// The server's fault. What it was is in the log, and not in the answer.
    pub(crate) fn internal() -> Self {
        let message = "internal error; the server's log says more under this answer's x-request-id";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// Names the field of the request.
    pub(crate) fn about(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Adds more for programs.
    pub(crate) fn with_details(mut self, details: Value) -> Self {
        self.details = Some(Box::new(details));
        self
    }

    /// The error of OpenAI's protocol, without its envelope.
    pub(crate) fn openai(&self) -> Value {
        let code = match self.code {
            "unknown-model" => "model_not_found".to_owned(),
            "unauthorized" => "invalid_api_key".to_owned(),
            other => other.replace('-', "_"),
        };
        let kind = match self.status {
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            StatusCode::UNAUTHORIZED => "authentication_error",
            StatusCode::FORBIDDEN => "permission_error",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request_error",
        };
        json!({ "message": self.message, "type": kind, "param": self.param, "code": code })
    }

    /// The answer where no endpoint was reached, in the envelope that clients of the address expect.
    pub(crate) fn at(self, path: &str) -> Response {
        if path.starts_with("/v1/") {
            let body = json!({ "error": self.openai() });
            return self.respond(body);
        }
        self.into_response()
    }

    fn respond(self, body: Value) -> Response {
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        } else if self.status.is_server_error() {
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(axum::http::header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let error = ErrorDetail {
            code: self.code.to_owned(),
            message: self.message.clone(),
            details: self.details.as_deref().cloned(),
        };
        let body = json!(ErrorBody { error });
        let mut response = self.clone().respond(body);
        response.extensions_mut().insert(self);
        response
    }
}

/// Puts failures of any layer below into OpenAI's envelope.
pub(crate) async fn in_openai_envelope(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    match response.extensions().get::<Failure>().cloned() {
        Some(failure) => {
            let body = json!({ "error": failure.openai() });
            let mut answer = failure.respond(body);
            if let Some(turn) = response.headers().get(TURN) {
                answer.headers_mut().insert(TURN, turn.clone());
            }
            answer
        }
        None => response,
    }
}

/// Lets an endpoint's own error be its handler's error: it becomes a `Failure`.
macro_rules! answers {
    ($error:ty) => {
        impl axum::response::IntoResponse for $error {
            fn into_response(self) -> axum::response::Response {
                crate::failure::Failure::from(self).into_response()
            }
        }
    };
}
pub(crate) use answers;
