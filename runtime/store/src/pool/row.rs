//! One row of a result, read alike on all three backends.
//! Columns are read by what is asked for rather than by what they were declared as: older Open WebUI databases
//! declare flags as INTEGER and times as DATETIME.

use std::cell::Cell;

use sqlx::mysql::MySqlRow;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, TypeInfo as _, ValueRef as _};

use super::Backend;
use crate::error::StoreError;

/// A row while it is read. Counts the bytes that are read from it.
pub struct Row<'r> {
    raw: Raw<'r>,
    bytes: Cell<u64>,
}

pub(super) enum Raw<'r> {
    Sqlite(&'r SqliteRow),
    Postgres(&'r PgRow),
    MySql(&'r MySqlRow),
}

/// Reads a column as a type that all three drivers can decode, whatever the column was declared as.
macro_rules! read {
    ($self:ident, $column:ident, $type:ty) => {
        match $self.raw {
            Raw::Sqlite(row) => row.try_get_unchecked::<$type, _>($column),
            Raw::Postgres(row) => row.try_get_unchecked::<$type, _>($column),
            Raw::MySql(row) => row.try_get_unchecked::<$type, _>($column),
        }
        .map_err(|error| StoreError::from_driver($self.backend(), error))
    };
}

impl<'r> Row<'r> {
    pub(super) fn new(raw: Raw<'r>) -> Self {
        Self { raw, bytes: Cell::new(0) }
    }

    /// Bytes of the values that have been read.
    pub(super) fn bytes_read(&self) -> u64 {
        self.bytes.get()
    }

    /// Text, or JSON as its text.
    pub fn text(&self, column: &str) -> Result<String, StoreError> {
        self.text_opt(column)?.ok_or_else(|| null(column))
    }

    /// Text, or JSON as its text; none for NULL.
    pub fn text_opt(&self, column: &str) -> Result<Option<String>, StoreError> {
        let text = read!(self, column, Option<String>)?;
        self.count(text.as_ref().map_or(0, String::len));
        Ok(text)
    }

    /// Bytes.
    pub fn bytes(&self, column: &str) -> Result<Vec<u8>, StoreError> {
        self.bytes_opt(column)?.ok_or_else(|| null(column))
    }

    /// Bytes; none for NULL.
    pub fn bytes_opt(&self, column: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let bytes = read!(self, column, Option<Vec<u8>>)?;
        self.count(bytes.as_ref().map_or(0, Vec::len));
        Ok(bytes)
    }

    /// An integer of any width.
    pub fn int(&self, column: &str) -> Result<i64, StoreError> {
        self.int_opt(column)?.ok_or_else(|| null(column))
    }

    /// An integer of any width; none for NULL.
    pub fn int_opt(&self, column: &str) -> Result<Option<i64>, StoreError> {
        self.count(size_of::<i64>());
        if let Raw::Postgres(row) = self.raw {
            // The only driver whose flags are not integers.
            let raw =
                row.try_get_raw(column).map_err(|error| StoreError::from_driver(Backend::Postgres, error))?;
            if !raw.is_null() && raw.type_info().name() == "BOOL" {
                return Ok(read!(self, column, Option<bool>)?.map(i64::from));
            }
        }
        read!(self, column, Option<i64>)
    }

    /// A flag; also one that is kept as a number.
    pub fn flag(&self, column: &str) -> Result<bool, StoreError> {
        self.flag_opt(column)?.ok_or_else(|| null(column))
    }

    /// A flag; also one that is kept as a number; none for NULL.
    pub fn flag_opt(&self, column: &str) -> Result<Option<bool>, StoreError> {
        Ok(self.int_opt(column)?.map(|number| number != 0))
    }

    /// A JSON document; `Null` for NULL and for the text `null`, which Open WebUI stores as often.
    ///
    /// # Errors
    /// `Corrupt` where the text is not JSON.
    pub fn json(&self, column: &str) -> Result<serde_json::Value, StoreError> {
        match self.text_opt(column)? {
            None => Ok(serde_json::Value::Null),
            Some(text) => serde_json::from_str(&text).map_err(|error| StoreError::corrupt(column, error)),
        }
    }

    fn backend(&self) -> Backend {
        match self.raw {
            Raw::Sqlite(_) => Backend::Sqlite,
            Raw::Postgres(_) => Backend::Postgres,
            Raw::MySql(_) => Backend::MySql,
        }
    }

    fn count(&self, bytes: usize) {
        self.bytes.set(self.bytes.get().saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX)));
    }
}

fn null(column: &str) -> StoreError {
    StoreError::corrupt(column, "it is NULL")
}
