//! Statements that are sent often. Building one takes longer than SQLite takes to answer it, so each is built once per
//! backend, with marks in the place of its arguments; afterwards only the arguments are put in.

use std::sync::OnceLock;

use sea_query::{SelectStatement, Value, Values};
use sea_query_sqlx::SqlxValues;

use super::db::{in_time, kept, limit_within};
use super::lease::Built;
use super::{Backend, Db, Row};
use crate::error::StoreError;

/// The mark of an integer argument is this and its number; no time or count comes near it.
const NUMBERS: i64 = i64::MIN + 0x5eed;
/// The mark of the LIMIT.
const LIMIT: u64 = u64::MAX - 0x5eed;

/// A statement that is built on first use.
#[derive(Debug)]
pub(crate) struct Known([OnceLock<Text>; 3]);

#[derive(Debug)]
struct Text {
    sql: String,
    slots: Vec<Slot>,
}

#[derive(Debug)]
enum Slot {
    Fixed(Value),
    Argument(usize),
    Limit,
}

/// The mark of text argument `number`; no text from outside is ever compared with it.
pub(crate) fn text(number: usize) -> String {
    format!("\u{1}argument {number}\u{1}")
}

/// The mark of integer argument `number`.
pub(crate) fn integer(number: usize) -> i64 {
    i64::try_from(number).map_or(NUMBERS, |number| NUMBERS.saturating_add(number))
}

impl Known {
    pub(crate) const fn new() -> Self {
        Self([const { OnceLock::new() }; 3])
    }

    fn text(&self, backend: Backend, make: impl FnOnce() -> SelectStatement) -> &Text {
        let [sqlite, postgres, mysql] = &self.0;
        let built = match backend {
            Backend::Sqlite => sqlite,
            Backend::Postgres => postgres,
            Backend::MySql => mysql,
        };
        built.get_or_init(|| {
            let (sql, values) = Built::new(backend, make().limit(LIMIT)).into_parts();
            Text { sql, slots: values.0.into_iter().map(Slot::of).collect() }
        })
    }
}

impl Slot {
    fn of(value: Value) -> Self {
        let number = match &value {
            Value::BigUnsigned(Some(LIMIT)) => return Self::Limit,
            Value::String(Some(mark)) => marked(mark),
            Value::Bytes(Some(mark)) => std::str::from_utf8(mark).ok().and_then(marked),
            Value::BigInt(Some(mark)) => {
                mark.checked_sub(NUMBERS).and_then(|n| usize::try_from(n).ok()).filter(|n| *n < 64)
            }
            _ => None,
        };
        number.map_or(Self::Fixed(value), Self::Argument)
    }
}

/// The number of a text argument's mark.
fn marked(mark: &str) -> Option<usize> {
    mark.strip_prefix("\u{1}argument ")?.strip_suffix('\u{1}')?.parse().ok()
}

impl Db {
    /// As `fetch_all`, of a statement that is built once; `make` may use nothing but marks for what changes.
    pub(crate) async fn fetch_known<T, F>(
        &self,
        known: &Known,
        make: impl FnOnce() -> SelectStatement,
        arguments: &[Value],
        cap: u64,
        map: F,
    ) -> Result<Vec<T>, StoreError>
    where
        T: Send,
        F: FnMut(&Row<'_>) -> Result<T, StoreError> + Send,
    {
        let budget = self.budget();
        let limit = limit_within(cap, budget.as_deref())?;
        let built = {
            let text = known.text(self.backend(), make);
            let values = text.slots.iter().map(|slot| match slot {
                Slot::Fixed(value) => value.clone(),
                Slot::Limit => Value::BigUnsigned(Some(limit)),
                // An argument that was forgotten is NULL, which finds nothing.
                Slot::Argument(number) => arguments.get(*number).cloned().unwrap_or(Value::String(None)),
            });
            Built::ready(text.sql.clone(), SqlxValues(Values(values.collect())))
        };
        let mut lease = self.lease().await?;
        self.count();
        self.noted(in_time(lease.rows(built, kept(cap), budget.as_deref(), map)).await)
    }

    /// As `fetch_known`, of the first row.
    pub(crate) async fn fetch_known_optional<T, F>(
        &self,
        known: &Known,
        make: impl FnOnce() -> SelectStatement,
        arguments: &[Value],
        map: F,
    ) -> Result<Option<T>, StoreError>
    where
        T: Send,
        F: FnMut(&Row<'_>) -> Result<T, StoreError> + Send,
    {
        Ok(self.fetch_known(known, make, arguments, 1, map).await?.pop())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use sea_query::{Expr, ExprTrait, Query};

    #[test]
    fn marks_become_arguments_and_everything_else_stays() {
        let known = Known::new();
        let make = || {
            Query::select()
                .column("a")
                .from("t")
                .and_where(Expr::col("a").eq(text(1)))
                .and_where(Expr::col("b").gt(integer(0)))
                .and_where(Expr::col("c").eq(text(2).into_bytes()))
                .and_where(Expr::col("d").eq("fixed"))
                .and_where(Expr::col("e").eq(7_i64))
                .take()
        };
        let text = known.text(Backend::Sqlite, make);
        assert!(!text.sql.contains("argument"), "{}", text.sql);
        let shown: Vec<String> = text.slots.iter().map(|slot| format!("{slot:?}")).collect();
        assert_eq!(
            shown,
            [
                "Argument(1)",
                "Argument(0)",
                "Argument(2)",
                "Fixed(String(Some(\"fixed\")))",
                "Fixed(BigInt(Some(7)))",
                "Limit"
            ]
        );
    }
}
