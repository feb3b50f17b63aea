//! What a failure of the database becomes.

use axum::http::StatusCode;
use innkeeper_store::{CHAT_BYTES, CHAT_BYTES_MAX, StoreError};

use super::Failure;

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(what) => Self::not_found("not-found", format!("{what} not found")),
            StoreError::Conflict(_) => Self::new(StatusCode::CONFLICT, "conflict", error.to_string()),
            StoreError::Invalid(problem) => Self::bad_request("invalid", problem),
            StoreError::Full => Self::unavailable("storage-full", error.to_string(), 10),
            StoreError::ReadOnly(_) => {
                let message = "the database is read-only at present; the operator must make it writable";
                Self::unavailable("storage-read-only", message, 10)
            }
            StoreError::UnknownShape(_) => Self::unavailable("storage-read-only", error.to_string(), 60),
            StoreError::Busy(_) | StoreError::Timeout => {
                Self::unavailable("storage-busy", error.to_string(), 1)
            }
            StoreError::Quota(CHAT_BYTES) => {
                let message = format!(
                    "the chat would be larger than {} MiB with all its messages; begin a new one",
                    CHAT_BYTES_MAX >> 20
                );
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "limit-exceeded", message)
            }
            StoreError::ByteLimit => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "limit-exceeded",
                "the answer would be too large; ask for fewer items at once, by `limit`",
            ),
            StoreError::RowLimit | StoreError::Quota(_) => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "limit-exceeded", error.to_string())
            }
            StoreError::Unreachable { .. } => {
                tracing::error!(%error, "the database cannot be reached");
                Self::unavailable(
                    "storage-unreachable",
                    "the database cannot be reached at present; try again",
                    5,
                )
            }
            StoreError::TooNew { .. }
            | StoreError::SchemaMissing(_)
            | StoreError::Occupied(_)
            | StoreError::Unsupported(_) => {
                tracing::error!(%error, "the database does not fit this program");
                Self::unavailable(
                    "storage-unfit",
                    "the database does not fit this program; the operator must upgrade one of them",
                    60,
                )
            }
            StoreError::Url(_)
            | StoreError::Corrupt { .. }
            | StoreError::Storage(_)
            | StoreError::Migrate(_)
            | StoreError::Backend { .. } => {
                tracing::error!(%error, "a request failed in the store");
                Self::internal()
            }
        }
    }
}
