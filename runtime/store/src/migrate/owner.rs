//! Whose the shared tables are.

use sea_query::{Alias, Expr, ExprTrait, Query};

use super::bookkeeping::Applied;
use super::session::Session;
use super::set::Stream;
use crate::error::StoreError;
use crate::pool::Backend;

/// The revision that our own shared stream gives a database. Another one means that Open WebUI took it over.
const OUR_REVISION: &str = "0bd252b206fb";

/// Tables that a database of Open WebUI has beside its revision.
const TELLTALE: [&str; 2] = ["user", "chat"];

/// Whose the shared tables are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Nobody's: there are no tables yet.
    Nobody,
    /// Ours.
    Innkeeper,
    /// Open WebUI's, at this revision.
    OpenWebUi(String),
    /// Another program's, which has a table of this name.
    Other(String),
}

pub(super) async fn owner(session: &mut Session, applied: &[Applied]) -> Result<Owner, StoreError> {
    let mut tables = tables(session).await?;
    tables.retain(|table| !table.starts_with("innkeeper_"));
    let has = |name: &str| tables.iter().any(|table| table == name);
    let ours = applied.iter().any(|applied| applied.stream == Stream::Shared.as_str());
    if !has("alembic_version") {
        return Ok(match tables.first() {
            _ if ours => Owner::Innkeeper,
            None => Owner::Nobody,
            Some(table) => Owner::Other(table.clone()),
        });
    }
    let select =
        Query::select().column(Alias::new("version_num")).from(Alias::new("alembic_version")).to_owned();
    let revision = session.rows(&select, |row| row.text("version_num")).await?.join(",");
    if ours && (revision.is_empty() || revision == OUR_REVISION) {
        return Ok(Owner::Innkeeper);
    }
    if TELLTALE.iter().all(|table| has(table)) {
        return Ok(Owner::OpenWebUi(revision));
    }
    Ok(Owner::Other("alembic_version".to_owned()))
}

/// The names of all tables of this database.
pub(super) async fn tables(session: &mut Session) -> Result<Vec<String>, StoreError> {
    let name = Alias::new("name");
    let mut select = Query::select();
    match session.backend() {
        Backend::Sqlite => select
            .column(name.clone())
            .from(Alias::new("sqlite_master"))
            .and_where(Expr::col(Alias::new("type")).eq("table"))
            .and_where(Expr::cust("name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")),
        Backend::Postgres => select
            .expr_as(Expr::cust("relname::text"), name.clone())
            .from(Alias::new("pg_class"))
            .and_where(Expr::cust("relkind IN ('r', 'p') AND relnamespace = current_schema()::regnamespace"))
            // Tables of extensions are nobody's data.
            .and_where(Expr::cust(
                "NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = pg_class.oid AND d.deptype = 'e')",
            )),
        Backend::MySql => select
            .expr_as(Expr::cust("table_name"), name.clone())
            .from((Alias::new("information_schema"), Alias::new("tables")))
            .and_where(Expr::cust("table_schema = DATABASE() AND table_type = 'BASE TABLE'")),
    };
    select.order_by(name, sea_query::Order::Asc);
    session.rows(&select, |row| row.text("name")).await
}
