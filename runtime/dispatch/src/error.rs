//! Why a turn, a tool call or an action has no result, sorted by who can do something about it.

use innkeeper_host::Stop;
use innkeeper_model::chat_request::BodyError;
use innkeeper_model::{PluginError, PluginId};
use innkeeper_registry::RegistryError;
use innkeeper_sandbox::CallError;
use innkeeper_store::StoreError;

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DispatchError {
    /// No such model, or it is not to be had at present.
    #[error("model `{0}` does not exist; GET /v1/models lists those that do")]
    UnknownModel(String),
    /// No such plugin, or one that is turned off.
    #[error("{0}")]
    UnknownPlugin(String),
    /// The plugin has no such tool.
    #[error("plugin `{plugin}` has no tool `{tool}`")]
    UnknownTool {
        /// Which plugin.
        plugin: PluginId,
        /// Which tool was asked for.
        tool: String,
    },
    /// The plugin has no such action.
    #[error("plugin `{plugin}` has no action `{action}`")]
    UnknownAction {
        /// Which plugin.
        plugin: PluginId,
        /// Which action was asked for.
        action: String,
    },
    /// A plugin that cannot run at present, and cannot be passed over.
    #[error("{0}; try again, or ask an admin")]
    NotReady(String),
    /// The person's settings of a plugin no longer fit it.
    #[error("your settings have to be saved again before you can use it: {0}")]
    Valves(String),
    /// The arguments do not fit the tool's schema.
    #[error("{0}")]
    InvalidArguments(String),
    /// The request's body.
    #[error("{0}")]
    Body(String),
    /// An id is taken, or somebody else changed the same thing meanwhile.
    #[error("{0}")]
    Conflict(String),
    /// More than may be stored or read at once.
    #[error("{0}")]
    TooLarge(String),
    /// The principal may not.
    #[error("{0}")]
    NotAllowed(String),
    /// A plugin refused; the message is for the person.
    #[error("{message}")]
    Rejected {
        /// Which plugin.
        plugin: PluginId,
        /// In its words, escaped and cut.
        message: String,
    },
    /// The model, or a filter on its way, ended the answer with a failure.
    #[error("{0}")]
    AnswerFailed(String),
    /// A plugin failed.
    #[error("plugin `{plugin}` failed: {message}")]
    PluginFailed {
        /// Which plugin.
        plugin: PluginId,
        /// In its words, escaped and cut.
        message: String,
    },
    /// A plugin hit a limit.
    #[error("plugin `{plugin}` exceeded its limit `{limit}`")]
    Limit {
        /// Which plugin.
        plugin: PluginId,
        /// Which limit of the `limits` block.
        limit: &'static str,
    },
    /// A plugin trapped.
    #[error("plugin `{plugin}` crashed: {trap}")]
    Trapped {
        /// Which plugin.
        plugin: PluginId,
        /// What trap.
        trap: String,
    },
    /// A plugin broke the contract.
    #[error("plugin `{plugin}` broke the contract: {problem}")]
    Contract {
        /// Which plugin.
        plugin: PluginId,
        /// What it did.
        problem: String,
    },
    /// The client went away, the plugin was disabled, or the server stops.
    #[error("the turn was cancelled")]
    Cancelled,
    /// No instance is free.
    #[error("the server is busy (`{limit}`); try again in {retry_after_ms} ms")]
    Unavailable {
        /// Which limit stands in the way.
        limit: &'static str,
        /// Milliseconds.
        retry_after_ms: u64,
    },
    /// An upstream model provider.
    #[error("model provider `{provider}`{}: {message}", status.map(|status| format!(" answered {status}")).unwrap_or_default())]
    Provider {
        /// Which one.
        provider: String,
        /// Its HTTP status, where it refused.
        status: Option<u16>,
        /// Its words, escaped and cut.
        message: String,
    },
    /// The database cannot serve this at present.
    #[error("the server's storage cannot serve this at present; try again")]
    Storage,
    /// The host failed; the log says why.
    #[error("internal error; the server's log says more")]
    Internal,
}

/// Longest text of a plugin or provider that reaches a person, in characters.
const MESSAGE_MAX: usize = 1_000;

impl DispatchError {
    /// One word for clients.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownModel(_) => "model_not_found",
            Self::UnknownPlugin(_) => "plugin_not_found",
            Self::UnknownTool { .. } => "tool_not_found",
            Self::UnknownAction { .. } => "action_not_found",
            Self::NotReady(_) => "plugin_not_ready",
            Self::Valves(_) => "invalid_valves",
            Self::InvalidArguments(_) => "invalid_arguments",
            Self::Body(_) => "invalid_request",
            Self::Conflict(_) => "conflict",
            Self::TooLarge(_) => "too_large",
            Self::NotAllowed(_) => "not_allowed",
            Self::Rejected { .. } => "rejected",
            Self::AnswerFailed(_) => "answer_failed",
            Self::PluginFailed { .. } => "plugin_failed",
            Self::Limit { .. } => "limit_exceeded",
            Self::Trapped { .. } => "plugin_crashed",
            Self::Contract { .. } => "plugin_broke_contract",
            Self::Cancelled => "cancelled",
            Self::Unavailable { .. } => "unavailable",
            Self::Provider { .. } => "provider_error",
            Self::Storage => "storage_unavailable",
            Self::Internal => "internal_error",
        }
    }

    /// Whether a plugin returned it as its answer, and did not break.
    pub(crate) fn is_value(&self) -> bool {
        matches!(self, Self::Rejected { .. } | Self::PluginFailed { .. })
    }

    /// What it means that a call has to end for what the host found.
    pub(crate) fn stopped(plugin: &PluginId, stop: Stop) -> Self {
        match stop {
            Stop::Limit(limit) => Self::call(plugin, CallError::Limit(limit)),
            Stop::Internal(cause) => {
                tracing::error!(%plugin, cause, "a call failed in the host");
                Self::Internal
            }
        }
    }

    /// What a failed call means, with the plugin's name.
    pub(crate) fn call(plugin: &PluginId, error: CallError) -> Self {
        let plugin = plugin.clone();
        match error {
            CallError::Plugin(PluginError::Rejected(message)) => {
                Self::Rejected { plugin, message: shown(&message) }
            }
            CallError::Plugin(PluginError::Failed(message)) => {
                Self::PluginFailed { plugin, message: shown(&message) }
            }
            CallError::Plugin(PluginError::Host(error)) => {
                Self::PluginFailed { plugin, message: shown(&error.message) }
            }
            CallError::Limit(limit) => Self::Limit { plugin, limit },
            CallError::Trap(trap) => Self::Trapped { plugin, trap: shown(&trap) },
            CallError::Invalid(problem) => Self::Contract { plugin, problem: shown(&problem) },
            CallError::Cancelled => Self::Cancelled,
            CallError::Unavailable { limit, retry_after } => {
                Self::Unavailable { limit, retry_after_ms: retry_after }
            }
            CallError::Internal => Self::Internal,
        }
    }

    /// What a guest hears where its child failed.
    pub(crate) fn for_guest(&self) -> innkeeper_model::Error {
        use innkeeper_model::{Error, ErrorCode};
        match self {
            Self::UnknownModel(_) => Error::invalid("model", self.to_string()),
            Self::UnknownPlugin(_) => Error::invalid("plugin", self.to_string()),
            Self::UnknownTool { .. } | Self::UnknownAction { .. } => Error::invalid("name", self.to_string()),
            Self::InvalidArguments(_) => Error::invalid("arguments", self.to_string()),
            Self::Body(_) => Error::invalid("request", self.to_string()),
            Self::Conflict(_) => Error::new(ErrorCode::Conflict, self.to_string()),
            Self::TooLarge(_) => Error::new(ErrorCode::QuotaExceeded, self.to_string()),
            Self::NotAllowed(_) => Error::new(ErrorCode::Denied, self.to_string()),
            Self::Rejected { message, .. } => {
                Error::new(ErrorCode::Other("rejected".to_owned()), message.clone())
            }
            Self::Limit { limit: "active" | "waiting" | "hook", .. } => {
                Error::new(ErrorCode::Timeout, self.to_string())
            }
            Self::Limit { limit, .. } => Error::quota(*limit, self.to_string()),
            Self::Cancelled => Error::new(ErrorCode::Cancelled, self.to_string()),
            Self::Unavailable { retry_after_ms, .. } => {
                Error::unavailable(self.to_string(), Some(*retry_after_ms))
            }
            Self::Provider { .. } | Self::Storage | Self::NotReady(_) => {
                Error::unavailable(self.to_string(), Some(1_000))
            }
            Self::AnswerFailed(_)
            | Self::Valves(_)
            | Self::PluginFailed { .. }
            | Self::Trapped { .. }
            | Self::Contract { .. }
            | Self::Internal => Error::new(ErrorCode::Other("failed".to_owned()), self.to_string()),
        }
    }
}

impl From<StoreError> for DispatchError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(_) => Self::Conflict(error.to_string()),
            StoreError::Invalid(problem) => Self::Body(problem),
            // What is not there and what the person may only read look the same.
            StoreError::NotFound(_) => Self::NotAllowed(format!("{error}, or you may not write there")),
            StoreError::RowLimit | StoreError::ByteLimit | StoreError::Quota(_) => {
                Self::TooLarge(error.to_string())
            }
            error if error.is_transient() => {
                tracing::warn!(%error, "the database cannot serve a turn at present");
                Self::Storage
            }
            error => {
                tracing::error!(error = &error as &dyn std::error::Error, "a turn failed in the store");
                Self::Internal
            }
        }
    }
}

impl From<BodyError> for DispatchError {
    fn from(error: BodyError) -> Self {
        Self::Body(error.to_string())
    }
}

impl From<RegistryError> for DispatchError {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::Store(error) => error.into(),
            RegistryError::NotReady { .. } => Self::NotReady(error.to_string()),
            RegistryError::Valves { .. } => Self::Valves(error.to_string()),
            RegistryError::Internal => Self::Internal,
            error => Self::UnknownPlugin(error.to_string()),
        }
    }
}

/// A stranger's text made fit for a message: escaped, and cut.
pub(crate) fn shown(text: &str) -> String {
    let cut: String = text.chars().take(MESSAGE_MAX).collect();
    innkeeper_host::log::escape(&cut)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn what_the_store_refuses_says_who_can_do_something_about_it() {
        let check = |error: StoreError, code: &str| {
            let text = format!("{error:?}");
            assert_eq!(DispatchError::from(error).code(), code, "{text}");
        };
        check(StoreError::Conflict("the message".to_owned()), "conflict");
        check(StoreError::Invalid("`x` is no message id".to_owned()), "invalid_request");
        check(StoreError::NotFound("message"), "not_allowed");
        check(StoreError::ByteLimit, "too_large");
        check(StoreError::Quota("chat-bytes"), "too_large");
        check(StoreError::Full, "storage_unavailable");
        check(StoreError::ReadOnly("the file".to_owned()), "storage_unavailable");
        check(StoreError::Timeout, "storage_unavailable");
        check(StoreError::corrupt("document", "x"), "internal_error");
    }

    #[test]
    fn a_plugin_that_cannot_run_yet_is_not_one_that_is_not_there() {
        let plugin = || PluginId::parse("guard").unwrap();
        let check = |error: RegistryError, code: &str| assert_eq!(DispatchError::from(error).code(), code);
        check(RegistryError::NotFound(plugin()), "plugin_not_found");
        check(RegistryError::Disabled(plugin()), "plugin_not_found");
        check(
            RegistryError::NotReady { plugin: plugin(), problem: "it is being loaded".to_owned() },
            "plugin_not_ready",
        );
        check(RegistryError::Valves { plugin: plugin(), problems: Vec::new() }, "invalid_valves");
        check(RegistryError::Store(StoreError::Timeout), "storage_unavailable");
        check(RegistryError::Internal, "internal_error");
    }
}
