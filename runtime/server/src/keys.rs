//! API keys.

pub(crate) mod create;
pub(crate) mod list;
pub(crate) mod revoke;

use innkeeper_store::ApiKey;
use serde::Serialize;
use utoipa::ToSchema;

/// A key without its secret.
#[derive(Serialize, ToSchema)]
pub(crate) struct Key {
    /// Which.
    id: String,
    /// Whose.
    user: String,
    /// What its owner calls it.
    name: String,
    /// Seconds since 1970.
    created_at: i64,
}

impl From<ApiKey> for Key {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id.to_string(),
            user: key.user.into_string(),
            name: key.name,
            created_at: key.created_at,
        }
    }
}
