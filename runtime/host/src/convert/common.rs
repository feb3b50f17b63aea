//! Errors and pages.

use innkeeper_model::page::PageRequest;
use innkeeper_model::{Error, ErrorCode, PluginError};

use crate::bindings::innkeeper::types::common as wit;

impl From<Error> for wit::Error {
    fn from(error: Error) -> Self {
        let Error { code, message, subject, retry_after, may_have_happened, details } = error;
        Self { code: code.into(), message, subject, retry_after, may_have_happened, details }
    }
}

impl From<wit::Error> for Error {
    fn from(error: wit::Error) -> Self {
        let wit::Error { code, message, subject, retry_after, may_have_happened, details } = error;
        Self { code: code.into(), message, subject, retry_after, may_have_happened, details }
    }
}

impl From<ErrorCode> for wit::ErrorCode {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::Denied => Self::Denied,
            ErrorCode::QuotaExceeded => Self::QuotaExceeded,
            ErrorCode::Invalid => Self::Invalid,
            ErrorCode::Conflict => Self::Conflict,
            ErrorCode::Unavailable => Self::Unavailable,
            ErrorCode::Timeout => Self::Timeout,
            ErrorCode::Cancelled => Self::Cancelled,
            ErrorCode::Other(name) => Self::Other(name),
        }
    }
}

impl From<wit::ErrorCode> for ErrorCode {
    fn from(code: wit::ErrorCode) -> Self {
        match code {
            wit::ErrorCode::Denied => Self::Denied,
            wit::ErrorCode::QuotaExceeded => Self::QuotaExceeded,
            wit::ErrorCode::Invalid => Self::Invalid,
            wit::ErrorCode::Conflict => Self::Conflict,
            wit::ErrorCode::Unavailable => Self::Unavailable,
            wit::ErrorCode::Timeout => Self::Timeout,
            wit::ErrorCode::Cancelled => Self::Cancelled,
            wit::ErrorCode::Other(name) => Self::Other(name),
        }
    }
}

impl From<wit::PluginError> for PluginError {
    fn from(error: wit::PluginError) -> Self {
        match error {
            wit::PluginError::Rejected(message) => Self::Rejected(message),
            wit::PluginError::Failed(message) => Self::Failed(message),
            wit::PluginError::Host(error) => Self::Host(error.into()),
        }
    }
}

impl From<wit::Page> for PageRequest {
    fn from(page: wit::Page) -> Self {
        Self { cursor: page.cursor, limit: page.limit }
    }
}
