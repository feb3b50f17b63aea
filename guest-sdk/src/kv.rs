//! Storage that belongs to the plugin: `kv::User.set_json("draft", &draft, None).await?`.
//!
//! Permission `kv`; the scope [`Shared`] needs `kv.shared`.
//! Keys are 1 to 512 bytes, values at most 256 KiB. A lifetime of `None` means for good (in [`Turn`]: an hour).

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::innkeeper::plugin::kv as imported;
pub use crate::bindings::innkeeper::types::kv::{Entry, KeyPage, Scope};
use crate::{Error, Page};

pub use Scope::{Shared, Turn, User};

impl Scope {
    /// One value; `None` where there is none or it has expired.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Invalid`].
    pub async fn get(self, key: impl Into<String>) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.entry(key).await?.map(|entry| entry.value))
    }

    /// One value with its version, for [`Scope::put_if`].
    ///
    /// # Errors
    /// As [`Scope::get`].
    pub async fn entry(self, key: impl Into<String>) -> Result<Option<Entry>, Error> {
        Ok(imported::get(self, key.into()).await?)
    }

    /// One value that was written as text.
    ///
    /// # Errors
    /// As [`Scope::get`]; [`Error::Invalid`] if it is no text.
    pub async fn get_text(self, key: impl Into<String>) -> Result<Option<String>, Error> {
        let key = key.into();
        let value = self.get(key.clone()).await?;
        value.map(|value| String::from_utf8(value).map_err(|error| Error::invalid(&key, error))).transpose()
    }

    /// One value that was written as JSON.
    ///
    /// # Errors
    /// As [`Scope::get`]; [`Error::Invalid`] if it is no `T`.
    pub async fn get_json<T: DeserializeOwned>(self, key: impl Into<String>) -> Result<Option<T>, Error> {
        let key = key.into();
        let value = self.get(key.clone()).await?;
        value
            .map(|value| serde_json::from_slice(&value).map_err(|error| Error::invalid(&key, error)))
            .transpose()
    }

    /// Writes a value and returns its version.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Invalid`], [`Error::QuotaExceeded`], [`Error::Unavailable`].
    pub async fn set(
        self,
        key: impl Into<String>,
        value: impl Into<Vec<u8>>,
        ttl: Option<Duration>,
    ) -> Result<u64, Error> {
        Ok(imported::set(self, key.into(), value.into(), ttl.map(seconds)).await?)
    }

    /// Writes a value as JSON and returns its version.
    ///
    /// # Errors
    /// As [`Scope::set`]; [`Error::Invalid`] if it cannot be written as JSON.
    pub async fn set_json<T: Serialize + ?Sized>(
        self,
        key: impl Into<String>,
        value: &T,
        ttl: Option<Duration>,
    ) -> Result<u64, Error> {
        let key = key.into();
        let value = serde_json::to_vec(value).map_err(|error| Error::invalid(&key, error))?;
        self.set(key, value, ttl).await
    }

    /// Writes a value only if the entry has version `expected`, or only if there is none.
    ///
    /// # Errors
    /// As [`Scope::set`], and [`Error::Conflict`].
    pub async fn put_if(
        self,
        key: impl Into<String>,
        value: impl Into<Vec<u8>>,
        expected: Option<u64>,
        ttl: Option<Duration>,
    ) -> Result<u64, Error> {
        Ok(imported::put_if(self, key.into(), value.into(), expected, ttl.map(seconds)).await?)
    }

    /// Adds to a counter in one step and returns its new value. A counter that is not there begins at 0 and lives for `ttl`.
    ///
    /// # Errors
    /// As [`Scope::set`]; [`Error::Invalid`] if it is no counter.
    pub async fn increment(
        self,
        key: impl Into<String>,
        by: i64,
        ttl: Option<Duration>,
    ) -> Result<i64, Error> {
        Ok(imported::increment(self, key.into(), by, ttl.map(seconds)).await?)
    }

    /// Deletes an entry; false where there is none.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Unavailable`].
    pub async fn delete(self, key: impl Into<String>) -> Result<bool, Error> {
        Ok(imported::delete(self, key.into()).await?)
    }

    /// Keys that begin with `prefix`, in byte order.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Invalid`].
    pub async fn keys(self, prefix: impl Into<String>, page: Page) -> Result<KeyPage, Error> {
        Ok(imported::keys(self, prefix.into(), page).await?)
    }
}

/// Whole seconds, rounded up: what was to live a moment must not be gone at once.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}
