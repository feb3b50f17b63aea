//! `GET /readyz`: whether this server should be sent requests.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::Checks;
use crate::app::App;

/// Whether the server should be sent requests.
#[derive(Serialize, ToSchema)]
pub(crate) struct Ready {
    /// Whether it should.
    ready: bool,
    /// Why not.
    reason: Option<String>,
    /// All that was looked at.
    checks: Checks,
}

/// Says whether the server can do its work, and why not.
#[utoipa::path(
    get, path = "/readyz", tag = "health", security(()),
    responses((status = OK, body = Ready), (status = SERVICE_UNAVAILABLE, body = Ready))
)]
pub(crate) async fn readyz(State(app): State<App>) -> Response {
    let checks = app.health().check().await;
    let reason = checks.reason();
    let ready = reason.is_none();
    let body = Json(Ready { ready, reason, checks });
    if ready {
        body.into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "5")], body).into_response()
    }
}
