//! `GET /metrics`: what calls of plugins cost, for Prometheus.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::caller::Admin;
use crate::failure::{ErrorBody, Failure};

/// What the format is called.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Calls, time, fuel and host calls of all plugins since the server's start. No label says for whom a call was.
#[utoipa::path(
    get, path = "/metrics", tag = "health",
    responses(
        (status = OK, content_type = "application/openmetrics-text", body = String),
        (status = UNAUTHORIZED, body = ErrorBody), (status = FORBIDDEN, body = ErrorBody)
    )
)]
pub(crate) async fn metrics(State(app): State<App>, Admin(_): Admin) -> Result<Response, Failure> {
    match app.dispatch().metrics() {
        Ok(text) => Ok(([(CONTENT_TYPE, OPENMETRICS)], text).into_response()),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written");
            Err(Failure::internal())
        }
    }
}
