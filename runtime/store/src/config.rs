//! Settings of the server, as Open WebUI keeps them: one row per dotted key.
//! Which of them a plugin may read is decided by the host; they hold keys and addresses.

use sea_query::{Expr, ExprTrait, Query};
use serde_json::Value;

use crate::error::StoreError;
use crate::names::can_name;
use crate::pool::known::{self, Known};
use crate::store::Store;

/// Settings of the server.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) store: Store,
}

impl Config {
    /// A setting; none where it is not set.
    pub async fn get(&self, key: &str) -> Result<Option<Value>, StoreError> {
        if !can_name(key) {
            return Ok(None);
        }
        static READ: Known = Known::new();
        let make = || {
            let key = Expr::col("key").eq(known::text(0));
            Query::select().column("value").from("config").and_where(key).take()
        };
        self.store.reads().fetch_known_optional(&READ, make, &[key.into()], |row| row.json("value")).await
    }
}
