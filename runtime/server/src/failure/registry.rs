//! What a failure with an installed plugin becomes, or with one that is being installed.

use axum::http::StatusCode;
use innkeeper_registry::RegistryError;
use innkeeper_sandbox::{CallError, LoadError};
use serde_json::json;

use super::Failure;

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        let message = error.to_string();
        match error {
            RegistryError::TooLarge { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", message)
            }
            RegistryError::Load(error) => load(error, message),
            RegistryError::Schema(problem) => Self::bad_request("invalid-manifest", message)
                .with_details(json!({ "field": problem.field, "at": problem.at })),
            RegistryError::Duplicate { plugin, revision } => {
                Self::new(StatusCode::CONFLICT, "duplicate-plugin", message)
                    .with_details(json!({ "plugin": plugin, "revision": revision }))
            }
            RegistryError::NotFound(_) => Self::not_found("unknown-plugin", message),
            RegistryError::Disabled(_) => Self::new(StatusCode::CONFLICT, "plugin-disabled", message),
            RegistryError::NotReady { .. } => Self::new(StatusCode::CONFLICT, "plugin-not-ready", message),
            RegistryError::NotRequested { permission, .. } => Self::bad_request("not-requested", message)
                .with_details(json!({ "permission": permission }))
                .about("permission"),
            RegistryError::Grant { .. } => Self::bad_request("invalid-grant", message),
            RegistryError::Settings(_) | RegistryError::Limit(_) => {
                Self::bad_request("invalid-settings", message)
            }
            RegistryError::Valves { problems, .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-valves", message)
                    .with_details(json!(problems))
            }
            RegistryError::Store(error) => error.into(),
            RegistryError::Internal => Self::internal(),
        }
    }
}

fn load(error: LoadError, message: String) -> Failure {
    match error {
        LoadError::Inspect(_) => Failure::bad_request("not-a-plugin", message),
        LoadError::Compile(_) | LoadError::CompileTime(_) => {
            Failure::bad_request("does-not-compile", message)
        }
        LoadError::Link(_) => Failure::bad_request("does-not-fit", message),
        LoadError::Manifest(_) => Failure::bad_request("invalid-manifest", message),
        LoadError::Describe(CallError::Unavailable { retry_after, .. }) => {
            Failure::unavailable("busy", message, retry_after.div_ceil(1_000).max(1))
        }
        LoadError::Describe(CallError::Internal) => Failure::internal(),
        LoadError::Describe(_) => Failure::bad_request("describe-failed", message),
        LoadError::Cache(error) => {
            tracing::error!(%error, "machine code cannot be kept");
            Failure::unavailable(
                "storage-unavailable",
                "the server's cache of compiled plugins cannot be written; try again",
                10,
            )
        }
    }
}
