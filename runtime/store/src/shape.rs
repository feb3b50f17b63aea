//! Looks at shared tables that another program may have made and may change while this one runs.
//!
//! Shape decides, not the revision's name. A shape that is known is read and written. One of an unknown revision that has
//! all needed columns is read, and writes to it are refused. What reads a column that is missing fails by itself, with
//! the column's name, and nothing shared is written then. Our own tables do not depend on any of this.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sea_query::{Alias, Expr, Func, Query, SelectStatement};

use crate::columns::SHARED_TABLES;
use crate::error::StoreError;
use crate::pool::{Backend, Db, Refusal};

/// Revisions of Open WebUI whose rows we know how to write: 0.12.4.
pub const KNOWN_REVISIONS: &[&str] = &["0bd252b206fb"];

/// How often `watch` looks, and how soon again after a statement met something that is not there.
const PERIOD: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_secs(1);

/// More columns than any database has that we read; the answer is bounded all the same.
const COLUMNS_MAX: u64 = 20_000;

/// Columns of shared tables that the repositories use and give nobody: they are written, or decide who reaches what.
const ALSO: &[(&str, &[&str])] = &[
    ("user", &["oauth", "info", "settings", "scim"]),
    ("chat", &["chat", "tasks", "last_read_at", "variables"]),
    ("chat_message", &["meta"]),
    ("file", &["path", "data"]),
    ("memory", &["meta"]),
    ("auth", &["id"]),
    ("tag", &["id", "name", "user_id"]),
    ("chat_file", &["chat_id", "file_id"]),
    ("shared_chat", &["id", "chat_id", "chat"]),
    ("access_grant", &["resource_type", "resource_id", "principal_type", "principal_id", "permission"]),
    ("group_member", &["group_id", "user_id"]),
    ("knowledge", &["id", "user_id"]),
    ("knowledge_file", &["knowledge_id", "file_id"]),
    ("folder", &["id", "user_id"]),
];

/// The columns of shared tables that the repositories use, with their tables.
fn needed() -> impl Iterator<Item = (&'static str, &'static str)> {
    let given = SHARED_TABLES.iter().map(|table| (table.name, table.given));
    let both = given.chain(ALSO.iter().copied());
    both.flat_map(|(table, columns)| columns.iter().map(move |column| (table, *column)))
}

/// What the shared tables look like at present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The revision that Open WebUI's migrations note.
    pub revision: Option<String>,
    columns: BTreeMap<String, BTreeSet<String>>,
}

impl Shape {
    /// Columns that are needed of a table and are not there; all of them where the table is not there.
    pub fn missing(&self, table: &str) -> Vec<&'static str> {
        self.lacking().filter(|(of, _)| *of == table).map(|(_, column)| column).collect()
    }

    /// All that is missing, as `table.column`.
    pub fn all_missing(&self) -> Vec<String> {
        self.lacking().map(|(table, column)| format!("{table}.{column}")).collect()
    }

    fn lacking(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        needed()
            .filter(|(table, column)| !self.columns.get(*table).is_some_and(|found| found.contains(*column)))
    }

    /// Whether rows of shared tables may be written.
    pub fn is_known(&self) -> bool {
        self.refusal().is_none()
    }

    fn refusal(&self) -> Option<Refusal> {
        let revision = self.revision.as_deref().unwrap_or("none");
        if !KNOWN_REVISIONS.contains(&revision) {
            return Some(Refusal::Unknown(revision.to_owned()));
        }
        let missing: Vec<String> =
            self.all_missing().iter().map(|column| format!("column `{column}`")).collect();
        (!missing.is_empty()).then(|| Refusal::Lacking(missing.join(", ")))
    }
}

/// Looks, and lets or refuses writes to shared tables accordingly, for `db` and all its clones.
/// To be called at start, from time to time, and after a `SchemaMissing`.
///
/// # Errors
/// What a statement can meet.
pub async fn refresh(db: &Db) -> Result<Shape, StoreError> {
    let shape = look(db).await?;
    if db.refuse_shared_writes(shape.refusal()) {
        let (revision, missing) =
            (shape.revision.as_deref().unwrap_or("none"), shape.all_missing().join(", "));
        if shape.is_known() {
            tracing::info!(revision, "shared tables can be written again");
        } else {
            tracing::warn!(
                revision,
                missing,
                "shared tables are not as this program knows them; they are only read"
            );
        }
    }
    Ok(shape)
}

/// Looks every minute, and soon after a statement met a table or column that is not there. Never ends.
pub async fn watch(db: &Db) {
    loop {
        tokio::time::sleep(PAUSE).await;
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            () = db.schema_missing() => {}
        }
        if let Err(error) = refresh(db).await {
            tracing::warn!(%error, "the shape of shared tables cannot be looked at; it counts as before");
        }
    }
}

/// Looks at the tables. Changes nothing.
///
/// # Errors
/// What a statement can meet.
pub async fn look(db: &Db) -> Result<Shape, StoreError> {
    let found = db
        .fetch_all(&mut columns(db.backend()), COLUMNS_MAX, |row| Ok((row.text("t")?, row.text("c")?)))
        .await?;
    let mut columns: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (table, column) in found {
        columns.entry(table).or_default().insert(column);
    }
    let mut revision = None;
    if columns.contains_key("alembic_version") {
        let mut select = Query::select();
        select.column(Alias::new("version_num")).from(Alias::new("alembic_version"));
        revision = db.fetch_optional(&mut select, |row| row.text("version_num")).await?;
    }
    Ok(Shape { revision, columns })
}

/// Table and column names, as `t` and `c`.
fn columns(backend: Backend) -> SelectStatement {
    let (table, column) = (Alias::new("t"), Alias::new("c"));
    let mut select = Query::select();
    match backend {
        Backend::Sqlite => select
            .expr_as(Expr::cust("m.name"), table)
            .expr_as(Expr::cust("p.name"), column)
            .from_as(Alias::new("sqlite_master"), Alias::new("m"))
            .from_function(Func::cust("pragma_table_info").arg(Expr::col(("m", "name"))), Alias::new("p"))
            .and_where(Expr::cust("m.type = 'table'")),
        Backend::Postgres => select
            .expr_as(Expr::cust("table_name::text"), table)
            .expr_as(Expr::cust("column_name::text"), column)
            .from((Alias::new("information_schema"), Alias::new("columns")))
            .and_where(Expr::cust("table_schema = current_schema()")),
        Backend::MySql => select
            .expr_as(Expr::cust("table_name"), table)
            .expr_as(Expr::cust("column_name"), column)
            .from((Alias::new("information_schema"), Alias::new("columns")))
            .and_where(Expr::cust("table_schema = DATABASE()")),
    };
    select
}
