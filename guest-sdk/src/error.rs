//! Why an import failed, as an enum to match on, and how that becomes a plugin's own error.

use std::fmt;
use std::time::Duration;

pub use crate::bindings::innkeeper::types::common::PluginError;
use crate::bindings::innkeeper::types::common::{self, ErrorCode};

/// Why an import failed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// The plugin has no grant for this, or the person may not do it; [`Failure::subject`] names the permission.
    Denied(Failure),
    /// A limit or quota is used up; [`Failure::subject`] names it.
    QuotaExceeded(Failure),
    /// An argument is malformed; [`Failure::subject`] names it.
    Invalid(Failure),
    /// Somebody else changed the row first: read again and retry.
    Conflict(Failure),
    /// Nobody can serve this at present; retry after [`Failure::retry_after`].
    Unavailable(Failure),
    /// It took longer than the time allowed.
    Timeout(Failure),
    /// The person, the client or the server ended it.
    Cancelled(Failure),
    /// A code that this version of the SDK does not know.
    Other(String, Failure),
}

/// What every failure says besides its sort.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Failure {
    /// A sentence for a developer: lower case, no full stop.
    pub message: String,
    /// The permission, limit or argument that it is about.
    pub subject: Option<String>,
    /// When a retry can help.
    pub retry_after: Option<Duration>,
    /// Whether the effect may have happened all the same.
    pub may_have_happened: bool,
    /// More, as a JSON object.
    pub details: Option<String>,
}

impl Error {
    /// What the failure says besides its sort.
    pub fn failure(&self) -> &Failure {
        match self {
            Self::Denied(failure)
            | Self::QuotaExceeded(failure)
            | Self::Invalid(failure)
            | Self::Conflict(failure)
            | Self::Unavailable(failure)
            | Self::Timeout(failure)
            | Self::Cancelled(failure)
            | Self::Other(_, failure) => failure,
        }
    }

    /// An argument that the SDK itself found malformed, before any call.
    pub(crate) fn invalid(subject: &str, message: impl fmt::Display) -> Self {
        Self::Invalid(Failure {
            message: message.to_string(),
            subject: Some(subject.to_owned()),
            ..Failure::default()
        })
    }

    /// A stream that ended before its end was said.
    pub(crate) fn cut(what: &str) -> Self {
        Self::Unavailable(Failure { message: format!("{what} was cut before its end"), ..Failure::default() })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = match self {
            Self::Denied(_) => "denied",
            Self::QuotaExceeded(_) => "quota exceeded",
            Self::Invalid(_) => "invalid",
            Self::Conflict(_) => "conflict",
            Self::Unavailable(_) => "unavailable",
            Self::Timeout(_) => "timeout",
            Self::Cancelled(_) => "cancelled",
            Self::Other(code, _) => code,
        };
        let failure = self.failure();
        f.write_str(code)?;
        if let Some(subject) = &failure.subject {
            write!(f, " (`{subject}`)")?;
        }
        if !failure.message.is_empty() {
            write!(f, ": {}", failure.message)?;
        }
        if let Some(after) = failure.retry_after {
            write!(f, "; retry after {} ms", after.as_millis())?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl From<common::Error> for Error {
    fn from(error: common::Error) -> Self {
        let failure = Failure {
            message: error.message,
            subject: error.subject,
            retry_after: error.retry_after.map(Duration::from_millis),
            may_have_happened: error.may_have_happened,
            details: error.details,
        };
        match error.code {
            ErrorCode::Denied => Self::Denied(failure),
            ErrorCode::QuotaExceeded => Self::QuotaExceeded(failure),
            ErrorCode::Invalid => Self::Invalid(failure),
            ErrorCode::Conflict => Self::Conflict(failure),
            ErrorCode::Unavailable => Self::Unavailable(failure),
            ErrorCode::Timeout => Self::Timeout(failure),
            ErrorCode::Cancelled => Self::Cancelled(failure),
            ErrorCode::Other(code) => Self::Other(code, failure),
        }
    }
}

impl From<Error> for common::Error {
    fn from(error: Error) -> Self {
        let (code, failure) = match error {
            Error::Denied(failure) => (ErrorCode::Denied, failure),
            Error::QuotaExceeded(failure) => (ErrorCode::QuotaExceeded, failure),
            Error::Invalid(failure) => (ErrorCode::Invalid, failure),
            Error::Conflict(failure) => (ErrorCode::Conflict, failure),
            Error::Unavailable(failure) => (ErrorCode::Unavailable, failure),
            Error::Timeout(failure) => (ErrorCode::Timeout, failure),
            Error::Cancelled(failure) => (ErrorCode::Cancelled, failure),
            Error::Other(code, failure) => (ErrorCode::Other(code), failure),
        };
        Self {
            code,
            message: failure.message,
            subject: failure.subject,
            retry_after: failure
                .retry_after
                .map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
            may_have_happened: failure.may_have_happened,
            details: failure.details,
        }
    }
}

impl PluginError {
    /// Refuses the request: `message` is shown to the person and the turn ends.
    pub fn rejected(message: impl Into<String>) -> Self {
        Self::Rejected(message.into())
    }

    /// The plugin could not do its work: `message` goes to the log and, shortened, to the caller.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }

    /// The text as a person may see it.
    pub fn message(&self) -> String {
        match self {
            Self::Rejected(message) | Self::Failed(message) => message.clone(),
            Self::Host(error) => Error::from(error.clone()).to_string(),
        }
    }
}

impl From<Error> for PluginError {
    fn from(error: Error) -> Self {
        Self::Host(error.into())
    }
}

impl From<common::Error> for PluginError {
    fn from(error: common::Error) -> Self {
        Self::Host(error)
    }
}

impl From<serde_json::Error> for PluginError {
    fn from(error: serde_json::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<String> for PluginError {
    fn from(message: String) -> Self {
        Self::Failed(message)
    }
}

impl From<&str> for PluginError {
    fn from(message: &str) -> Self {
        Self::Failed(message.to_owned())
    }
}

/// Turns any error, or an absent value, into a [`PluginError`].
pub trait OrFail<T>: Sized {
    /// The plugin could not do its work: `what` goes in front of the cause.
    ///
    /// # Errors
    /// [`PluginError::Failed`] where there is no value.
    fn or_fail(self, what: &str) -> Result<T, PluginError>;

    /// The request is refused with `message`, whatever the cause was.
    ///
    /// # Errors
    /// [`PluginError::Rejected`] where there is no value.
    fn or_reject(self, message: &str) -> Result<T, PluginError>;
}

impl<T, E: fmt::Display> OrFail<T> for Result<T, E> {
    fn or_fail(self, what: &str) -> Result<T, PluginError> {
        self.map_err(|error| PluginError::Failed(format!("{what}: {error}")))
    }

    fn or_reject(self, message: &str) -> Result<T, PluginError> {
        self.map_err(|_| PluginError::Rejected(message.to_owned()))
    }
}

impl<T> OrFail<T> for Option<T> {
    fn or_fail(self, what: &str) -> Result<T, PluginError> {
        self.ok_or_else(|| PluginError::Failed(what.to_owned()))
    }

    fn or_reject(self, message: &str) -> Result<T, PluginError> {
        self.ok_or_else(|| PluginError::Rejected(message.to_owned()))
    }
}
