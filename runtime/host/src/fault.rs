//! The two error channels of a host call, never mixed.
//!
//! What the guest may hear is an `Error` of the contract, and `?` leads there.
//! What ends the call is a `Stop`; it reaches the sandbox as the cause of a trap.

use innkeeper_model::{Error, Permission};
use innkeeper_store::StoreError;

use crate::bindings::innkeeper::types::common;

/// Why a call has to end at once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// A limit of the `limits` block was hit.
    #[error("limit `{0}` exceeded")]
    Limit(&'static str),
    /// The host failed; the cause is in the log.
    #[error("the host failed: {0}")]
    Internal(String),
}

/// What a host body fails with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The guest hears it.
    Guest(Error),
    /// The call ends.
    Stop(Stop),
}

impl Fault {
    /// Says that the effect may have happened although the call failed.
    pub(crate) fn after_the_effect(self) -> Self {
        match self {
            Self::Guest(error) => Self::Guest(Error { may_have_happened: true, ..error }),
            Self::Stop(stop) => Self::Stop(stop),
        }
    }
}

/// What a write failed with; where nobody knows whether it was kept, the guest hears so.
pub(crate) fn of_write(error: StoreError) -> Fault {
    let unknown = matches!(error, StoreError::Timeout | StoreError::Unreachable { .. });
    let fault = Fault::from(error);
    if unknown { fault.after_the_effect() } else { fault }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Guest(error)
    }
}

impl From<Stop> for Fault {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(_) => {
                Self::Guest(Error::conflict("the row was changed by somebody else; read it again"))
            }
            StoreError::NotFound(what) => Self::Guest(Error::invalid(
                "id",
                format!("there is no such {what} that this plugin may change"),
            )),
            StoreError::Invalid(what) => Self::Guest(Error::invalid("argument", what)),
            StoreError::RowLimit => {
                Self::Guest(Error::quota("rows", "the call has read as many rows as it may"))
            }
            StoreError::ByteLimit => {
                Self::Guest(Error::quota("row-bytes", "the call has read as many bytes of rows as it may"))
            }
            StoreError::Quota(limit) => {
                Self::Guest(Error::quota(limit, format!("`{limit}` of this storage is used up")))
            }
            StoreError::UnknownShape(_) => {
                tracing::warn!(%error, "a host call may not write shared tables");
                Self::Guest(Error::unavailable(
                    "the server's shared tables are only read at present",
                    Some(60_000),
                ))
            }
            StoreError::SchemaMissing(_) => {
                tracing::warn!(%error, "a host call needs what the database lacks");
                Self::Guest(Error::unavailable(
                    "the server's database lacks a table or column that this needs; the server's log names it",
                    Some(60_000),
                ))
            }
            error if error.is_transient() => {
                tracing::warn!(%error, "the database cannot serve a host call at present");
                Self::Guest(Error::unavailable(
                    "the server's storage cannot serve this at present",
                    Some(1_000),
                ))
            }
            error => {
                tracing::error!(error = &error as &dyn std::error::Error, "a host call failed in the store");
                Self::Stop(Stop::Internal(error.to_string()))
            }
        }
    }
}

/// What a shim of the generated traits returns: the outer error is a trap, the inner one the guest's.
pub(crate) type Settled<T> = wasmtime::Result<Result<T, common::Error>>;

/// Sends each channel its own way.
pub(crate) fn settle<T>(result: Result<T, Fault>) -> Settled<T> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Fault::Guest(error)) => Ok(Err(error.into())),
        Err(Fault::Stop(stop)) => Err(wasmtime::Error::new(stop)),
    }
}

/// The error of a call without the grant, with what the operator can do about it.
pub(crate) fn denied(plugin: &innkeeper_model::PluginId, permission: Permission) -> Error {
    let message = format!(
        "plugin `{plugin}` was denied `{permission}`; an operator grants it with `innkeeper plugin grant {plugin} {permission}`"
    );
    Error::denied(permission, message)
}
