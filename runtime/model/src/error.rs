//! What a guest may hear of a failure: `error` and `plugin-error` of the contract.
//! What went wrong in the host never comes this way; it ends the call and is logged.

use serde::{Deserialize, Serialize};

/// What sort of failure an import met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// No grant, or the person may not.
    Denied,
    /// A limit or quota is used up.
    QuotaExceeded,
    /// A malformed argument.
    Invalid,
    /// A lost race, or a taken name.
    Conflict,
    /// Nobody can serve this at present.
    Unavailable,
    /// It took too long.
    Timeout,
    /// Somebody ended it.
    Cancelled,
    /// Any other.
    Other(String),
}

/// Why an import failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What sort of failure.
    pub code: ErrorCode,
    /// A sentence for a developer.
    pub message: String,
    /// The permission, limit or argument that it is about.
    pub subject: Option<String>,
    /// Milliseconds after which a retry can help.
    pub retry_after: Option<u64>,
    /// Whether the effect may have happened although this failed.
    pub may_have_happened: bool,
    /// More, as a JSON object.
    pub details: Option<String>,
}

impl Error {
    /// An error of a code, about nothing in particular.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            subject: None,
            retry_after: None,
            may_have_happened: false,
            details: None,
        }
    }

    /// No grant, or the person may not.
    pub fn denied(permission: crate::Permission, message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Denied, message).about(permission.as_str())
    }

    /// A malformed argument.
    pub fn invalid(argument: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Invalid, message).about(argument)
    }

    /// A limit is used up.
    pub fn quota(limit: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorCode::QuotaExceeded, message).about(limit)
    }

    /// A lost race.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Conflict, message)
    }

    /// Nobody can serve this at present; try again after so many milliseconds.
    pub fn unavailable(message: impl Into<String>, retry_after: Option<u64>) -> Self {
        Self { retry_after, ..Self::new(ErrorCode::Unavailable, message) }
    }

    /// Names the permission, limit or argument.
    pub fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }
}

/// Why an export failed, in the guest's own words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PluginError {
    /// The request is refused; the text is for the person.
    #[error("{0}")]
    Rejected(String),
    /// The plugin could not do its work.
    #[error("{0}")]
    Failed(String),
    /// An import failed and the plugin passed that on.
    #[error("{0}")]
    Host(Error),
}
