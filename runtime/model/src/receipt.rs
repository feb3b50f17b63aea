//! What a call cost and how it ended. Receipts carry no content.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{PluginId, UserId};
use crate::time::UnixNanos;

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// With a result.
    Ok,
    /// The plugin refused.
    Rejected,
    /// The plugin failed, in its own words.
    Failed,
    /// The guest trapped.
    Trapped {
        /// What trap.
        trap: String,
    },
    /// A limit was hit.
    LimitExceeded {
        /// Its name in the `limits` block.
        limit: String,
    },
    /// The client went away, the plugin was disabled, or the server stopped.
    Cancelled,
    /// The guest broke the contract: a stream without an end, a result that is not JSON.
    Invalid,
    /// The host failed; the log says why.
    Internal,
}

impl Outcome {
    /// One word for tables and metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Trapped { .. } => "trapped",
            Self::LimitExceeded { .. } => "limit-exceeded",
            Self::Cancelled => "cancelled",
            Self::Invalid => "invalid",
            Self::Internal => "internal",
        }
    }
}

/// What a part of a call used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Fuel units.
    pub fuel: u64,
    /// Microseconds on the active clock.
    pub active_us: u64,
    /// Microseconds on the waiting clock.
    pub waiting_us: u64,
    /// Highest sum of memories and tables, in bytes.
    pub peak_memory: u64,
    /// Host calls by interface.
    pub host_calls: BTreeMap<String, u64>,
    /// Bytes through host calls by interface, both ways.
    pub host_bytes: BTreeMap<String, u64>,
    /// Database rows read.
    pub rows: u64,
    /// Events emitted.
    pub events: u64,
    /// Log lines written, and dropped.
    pub log_lines: u64,
    /// Log lines dropped.
    pub log_lines_dropped: u64,
    /// Chunks produced.
    pub chunks: u64,
}

/// A call's receipt. `ended` is there once background work is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Id of the call.
    pub id: String,
    /// Id of its turn.
    pub turn: String,
    /// The call that made this one, where a plugin did.
    pub parent: Option<String>,
    /// Whose code ran.
    pub plugin: PluginId,
    /// Which revision of it.
    pub revision: i64,
    /// Which export, such as `tool.call`.
    pub export: String,
    /// For whom.
    pub user: Option<UserId>,
    /// When it began.
    pub started_at: UnixNanos,
    /// How the result came about.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Used until the result was delivered.
    pub delivered: Usage,
    /// How background work ended, where there was any.
    pub background: Option<Background>,
}

/// The second part of a receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Background {
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Used after the result was delivered.
    pub used: Usage,
}
