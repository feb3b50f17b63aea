//! How calls and loading fail, sorted by who can do something about it.

use innkeeper_host::Stop;
use innkeeper_host::stream::ChunkFault;
use innkeeper_model::PluginError;
use innkeeper_model::manifest::ManifestError;
use innkeeper_model::receipt::Outcome;
use wasmtime::Trap;
use wasmtime::component::ResourceTableError;

use crate::inspect::InspectError;

/// Why there is no plugin to run.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The bytes are not a plugin.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// The compiler refused.
    #[error("component does not compile: {0}")]
    Compile(String),
    /// The compiler took too long.
    #[error("component took longer than {0} seconds to compile; make it smaller")]
    CompileTime(u64),
    /// An import that the server does not have, or has otherwise.
    #[error("component does not fit this server: {0}")]
    Link(String),
    /// `describe` failed.
    #[error("plugin could not describe itself: {0}")]
    Describe(#[from] CallError),
    /// What it said of itself is wrong.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The cache of machine code.
    #[error("cache of compiled plugins: {0}")]
    Cache(#[from] std::io::Error),
}

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The plugin says so.
    #[error("{0}")]
    Plugin(PluginError),
    /// A limit of the `limits` block.
    #[error("limit `{0}` exceeded")]
    Limit(&'static str),
    /// The guest trapped.
    #[error("the plugin trapped: {0}")]
    Trap(String),
    /// The client went away, the plugin was disabled, or the server stops.
    #[error("the call was cancelled")]
    Cancelled,
    /// The guest broke the contract.
    #[error("the plugin broke the contract: {0}")]
    Invalid(String),
    /// There is no instance free, and the queue is full or too slow.
    #[error("no instance is free for this call ({limit}); try again in {retry_after} ms")]
    Unavailable {
        /// Which limit of the `limits` block stands in the way.
        limit: &'static str,
        /// Milliseconds.
        retry_after: u64,
    },
    /// The host failed; the log says why.
    #[error("internal error")]
    Internal,
}

impl CallError {
    /// What a receipt says of it.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Plugin(PluginError::Rejected(_)) => Outcome::Rejected,
            Self::Plugin(PluginError::Failed(_) | PluginError::Host(_)) => Outcome::Failed,
            Self::Limit(limit) | Self::Unavailable { limit, .. } => {
                Outcome::LimitExceeded { limit: (*limit).to_owned() }
            }
            Self::Trap(trap) => Outcome::Trapped { trap: trap.clone() },
            Self::Cancelled => Outcome::Cancelled,
            Self::Invalid(_) => Outcome::Invalid,
            Self::Internal => Outcome::Internal,
        }
    }

    /// Sorts what wasmtime reports. Whatever is not known to be the guest's doing is the host's, and is logged.
    pub(crate) fn from_wasmtime(error: wasmtime::Error) -> Self {
        if let Some(error) = error.downcast_ref::<Self>() {
            return error.clone();
        }
        if let Some(stop) = error.downcast_ref::<Stop>() {
            return match stop {
                Stop::Limit(limit) => Self::Limit(limit),
                Stop::Internal(cause) => {
                    tracing::error!(cause, "a call failed in the host");
                    Self::Internal
                }
            };
        }
        if let Some(trap) = error.downcast_ref::<Trap>() {
            return match trap {
                Trap::OutOfFuel => Self::Limit("fuel"),
                Trap::StackOverflow => Self::Limit("stack"),
                trap => Self::Trap(trap.to_string()),
            };
        }
        if error.is::<wasmtime::PoolConcurrencyLimitError>() {
            return Self::Unavailable { limit: "queue", retry_after: 1_000 };
        }
        if matches!(error.downcast_ref(), Some(ResourceTableError::Full)) {
            return Self::Limit("handles");
        }
        if error.is::<wasmtime_wasi::I32Exit>() {
            return Self::Trap("the guest called `exit`".to_owned());
        }
        Self::from_text(&error)
    }

    /// Errors whose types wasmtime keeps to itself are known by their text; a test provokes each.
    fn from_text(error: &wasmtime::Error) -> Self {
        // Outer layers hold a backtrace with names that the guest has chosen.
        let root = error.root_cause().to_string();
        if root.contains("fuel allocated for hostcalls has been exhausted") {
            return Self::Limit("transfer");
        }
        if root.contains("store handle limit exceeded") {
            return Self::Limit("handles");
        }
        if root.contains("resource limit exceeded") {
            return Self::Limit("instances");
        }
        tracing::debug!(error = root, "a guest was stopped by the engine");
        Self::Trap(innkeeper_host::log::escape(&root))
    }
}

impl From<ChunkFault> for CallError {
    fn from(fault: ChunkFault) -> Self {
        match fault {
            ChunkFault::Limit(limit) => Self::Limit(limit),
            ChunkFault::NotJson(problem) => {
                Self::Invalid(format!("a chunk holds text that is not JSON: {problem}"))
            }
            ChunkFault::AfterEnd => Self::Invalid("a chunk came after `finish` or `failed`".to_owned()),
            ChunkFault::Cut => Self::Invalid("the answer ended without `finish` or `failed`".to_owned()),
        }
    }
}
