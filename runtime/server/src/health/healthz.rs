//! `GET /healthz`: the process runs. Whether it can do its work is `readyz`'s.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

/// A sign of life.
#[derive(Serialize, ToSchema)]
pub(crate) struct Alive {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
}

/// Says that the process runs.
#[utoipa::path(get, path = "/healthz", tag = "health", security(()), responses((status = OK, body = Alive)))]
pub(crate) async fn healthz() -> Json<Alive> {
    Json(Alive { status: "ok" })
}
