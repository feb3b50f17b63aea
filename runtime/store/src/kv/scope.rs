//! Scopes as columns, and what keys, values and times must be like.

use innkeeper_model::kv::{KEY_MAX, KvScope, VALUE_MAX};
use sea_query::{Expr, ExprTrait};

use crate::error::StoreError;
use crate::names::can_name;

/// How long a turn's storage lives after its last write, in seconds.
const TURN_LIFE: i64 = 3600;

/// The three columns that say whose storage it is. `subject` is a person, a turn, or empty; never NULL, which no key
/// of a table can hold everywhere.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) plugin: String,
    pub(super) scope: &'static str,
    pub(super) subject: String,
}

impl Place {
    pub(super) fn of(scope: &KvScope) -> Result<Self, StoreError> {
        let (plugin, scope, subject) = match scope {
            KvScope::User(plugin, user) => (plugin, "user", user.as_str()),
            KvScope::Turn(plugin, turn) => (plugin, "turn", turn.as_str()),
            KvScope::Shared(plugin) => {
                return Ok(Self {
                    plugin: plugin.as_str().to_owned(),
                    scope: "shared",
                    subject: String::new(),
                });
            }
        };
        if !can_name(subject) {
            return Err(StoreError::Invalid(format!("the {scope} of this storage is no id")));
        }
        Ok(Self { plugin: plugin.as_str().to_owned(), scope, subject: subject.to_owned() })
    }

    /// When the scope goes, if it is written now.
    pub(super) fn expires_at(&self, now: i64) -> Option<i64> {
        (self.scope == "turn").then(|| now.saturating_add(TURN_LIFE))
    }

    /// The rows of this scope in a table.
    pub(super) fn rows(&self, table: &'static str) -> Expr {
        Expr::col((table, "plugin_id"))
            .eq(self.plugin.as_str())
            .and(Expr::col((table, "scope")).eq(self.scope))
            .and(Expr::col((table, "subject")).eq(self.subject.as_str()))
    }
}

/// An entry and its scope.
pub(super) fn same_scope() -> Expr {
    let same =
        |column: &'static str| Expr::col(("innkeeper_kv", column)).equals(("innkeeper_kv_scope", column));
    same("plugin_id").and(same("scope")).and(same("subject"))
}

pub(super) fn checked_key(key: &str) -> Result<(), StoreError> {
    if key.is_empty() || key.len() > KEY_MAX {
        return Err(StoreError::Invalid(format!("a key has {} bytes; it needs 1 to {KEY_MAX}", key.len())));
    }
    Ok(())
}

pub(super) fn checked_value(value: &[u8]) -> Result<(), StoreError> {
    if value.len() > VALUE_MAX {
        return Err(StoreError::Invalid(format!(
            "a value has {} bytes; at most {VALUE_MAX} are possible",
            value.len()
        )));
    }
    Ok(())
}

/// When an entry goes.
pub(super) fn expiry(now: i64, ttl: Option<u64>) -> Result<Option<i64>, StoreError> {
    match ttl {
        None => Ok(None),
        Some(0) => Err(StoreError::Invalid(
            "a time to live of 0 seconds keeps nothing; leave it out to keep for good".to_owned(),
        )),
        Some(ttl) => Ok(Some(now.saturating_add(i64::try_from(ttl).unwrap_or(i64::MAX)))),
    }
}

/// The first bytes that do not begin with a prefix any more. UTF-8 has no byte 255, so the last one can be counted up.
pub(super) fn after_prefix(prefix: &str) -> Vec<u8> {
    let mut bytes = prefix.as_bytes().to_vec();
    if let Some(last) = bytes.last_mut() {
        *last = last.saturating_add(1);
    }
    bytes
}
