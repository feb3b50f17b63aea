//! What a failed turn, tool call or action becomes.

use axum::http::StatusCode;
use innkeeper_dispatch::DispatchError;
use serde_json::json;

use super::Failure;

impl From<DispatchError> for Failure {
    fn from(error: DispatchError) -> Self {
        let message = error.to_string();
        match error {
            DispatchError::UnknownModel(_) => Self::not_found("unknown-model", message).about("model"),
            DispatchError::UnknownPlugin(_) => Self::not_found("unknown-plugin", message),
            DispatchError::UnknownTool { .. } => Self::not_found("unknown-tool", message),
            DispatchError::UnknownAction { .. } => Self::not_found("unknown-action", message),
            DispatchError::NotReady(_) => Self::unavailable("plugin-not-ready", message, 5),
            DispatchError::Valves(_) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-valves", message)
            }
            DispatchError::InvalidArguments(_) => Self::bad_request("invalid-arguments", message),
            DispatchError::Body(_) => Self::bad_request("invalid-body", message),
            DispatchError::Conflict(_) => Self::new(StatusCode::CONFLICT, "conflict", message),
            DispatchError::TooLarge(_) => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "limit-exceeded", message),
            DispatchError::NotAllowed(_) => Self::new(StatusCode::FORBIDDEN, "not-allowed", message),
            DispatchError::Rejected { plugin, .. } => {
                Self::bad_request("rejected", message).with_details(json!({ "plugin": plugin }))
            }
            DispatchError::AnswerFailed(_) => bad_gateway("answer-failed", message),
            DispatchError::PluginFailed { plugin, .. } => {
                bad_gateway("plugin-failed", message).with_details(json!({ "plugin": plugin }))
            }
            DispatchError::Limit { plugin, limit } => bad_gateway("limit-exceeded", message)
                .with_details(json!({ "plugin": plugin, "limit": limit })),
            DispatchError::Trapped { plugin, .. } => {
                bad_gateway("plugin-crashed", message).with_details(json!({ "plugin": plugin }))
            }
            DispatchError::Contract { plugin, .. } => {
                bad_gateway("plugin-broke-contract", message).with_details(json!({ "plugin": plugin }))
            }
            DispatchError::Cancelled => Self::unavailable("cancelled", message, 1),
            DispatchError::Unavailable { limit, retry_after_ms } => {
                let seconds = retry_after_ms.div_ceil(1_000).max(1);
                Self::unavailable("busy", message, seconds).with_details(json!({ "limit": limit }))
            }
            DispatchError::Provider { status, .. } => provider(status, message),
            DispatchError::Storage => Self::unavailable("storage-unavailable", message, 5),
            DispatchError::Internal => Self::internal(),
        }
    }
}

/// A provider's refusal of this request is the client's to hear; its trouble with this server (keys, quotas) is not.
fn provider(status: Option<u16>, message: String) -> Failure {
    match status {
        Some(429) => Failure {
            retry_after: Some(5),
            ..Failure::new(StatusCode::TOO_MANY_REQUESTS, "provider-busy", message)
        },
        Some(400 | 413 | 422) => Failure::bad_request("provider-refused", message),
        _ => bad_gateway("provider-failed", message),
    }
}

fn bad_gateway(code: &'static str, message: String) -> Failure {
    Failure::new(StatusCode::BAD_GATEWAY, code, message)
}
