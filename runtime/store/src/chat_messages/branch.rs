//! A branch of a chat: from its end to its beginning by parents, in one recursive statement.

use std::collections::HashSet;

use innkeeper_model::authority::Authority;
use innkeeper_model::chat_message::StoredMessage;
use innkeeper_model::{ChatId, MessageId};
use sea_query::{
    Alias, CommonTableExpression, Expr, ExprTrait, JoinType, Order, Query, SelectStatement, UnionType,
    WithClause,
};

use super::row;
use crate::authority::{Access, KnownRead, or_nothing};
use crate::chats::{can_store, one};
use crate::error::StoreError;
use crate::names::can_name;
use crate::pool::{Backend, known};
use crate::store::Store;

/// Most messages of a branch.
pub const BRANCH_MAX: u64 = 500;

pub(super) async fn read(
    store: &Store,
    authority: &Authority,
    chat: &ChatId,
    leaf: Option<&MessageId>,
) -> Result<Vec<StoredMessage>, StoreError> {
    static FROM_LEAF: KnownRead = KnownRead::new();
    static FROM_CURRENT: KnownRead = KnownRead::new();
    let statements = if leaf.is_some() { &FROM_LEAF } else { &FROM_CURRENT };
    let named = can_store(chat) && leaf.is_none_or(|leaf| can_name(leaf.as_str()));
    let Some((known, template, user)) = statements.of(authority).filter(|_| named) else {
        return Ok(Vec::new());
    };
    let make = || {
        let marked = ChatId::new(known::text(1));
        let rows = or_nothing(one(&template, Access::Read, &marked, store));
        statement(store.backend(), &marked, leaf.map(|_| known::text(2)), rows)
    };
    let end = leaf.map_or_else(String::new, |leaf| format!("{chat}-{leaf}"));
    let arguments = [user.into(), chat.as_str().into(), end.into()];
    let mut found = store.reads().fetch_known(known, make, &arguments, BRANCH_MAX, row::read).await?;
    // Parents that lead round in a circle are data that somebody broke; the circle is walked once.
    let mut seen = HashSet::new();
    found.retain(|message| seen.insert(message.id.clone()));
    found.reverse();
    Ok(found)
}

fn statement(backend: Backend, chat: &ChatId, leaf: Option<String>, rows: Expr) -> SelectStatement {
    let end = match leaf {
        Some(leaf) => Expr::val(leaf),
        None => joined(backend, Expr::col(("chat", "id")), Expr::col(("chat", "current_message_id"))),
    };
    let mut walk = Query::select()
        .column(("chat_message", "id"))
        .column(("chat_message", "parent_id"))
        .expr_as(Expr::cust("0"), "depth")
        .from("chat")
        .join(
            JoinType::InnerJoin,
            "chat_message",
            Expr::col(("chat_message", "chat_id")).equals(("chat", "id")),
        )
        .and_where(rows)
        .and_where(Expr::col(("chat_message", "id")).eq(end))
        .take();
    let parent = joined(backend, Expr::val(chat.as_str()), Expr::col(("branch", "parent_id")));
    let step = Query::select()
        .columns([("parent", "id"), ("parent", "parent_id")])
        .expr_as(Expr::col(("branch", "depth")).add(Expr::cust("1")), "depth")
        .from("branch")
        .join_as(
            JoinType::InnerJoin,
            "chat_message",
            Alias::new("parent"),
            Expr::col(("parent", "id")).eq(parent),
        )
        .and_where(Expr::col(("parent", "chat_id")).eq(chat.as_str()))
        .and_where(Expr::col(("branch", "depth")).lt(BRANCH_MAX.cast_signed() - 1))
        .take();
    walk.union(UnionType::All, step);
    let mut cte = CommonTableExpression::new();
    cte.query(walk).columns(["id", "parent_id", "depth"]).table_name("branch");
    let clause = WithClause::new().recursive(true).cte(cte).to_owned();
    Query::select()
        .columns(row::COLUMNS.map(|column| ("chat_message", column)))
        .from("branch")
        .join(JoinType::InnerJoin, "chat_message", Expr::col(("chat_message", "id")).equals(("branch", "id")))
        .order_by(("branch", "depth"), Order::Asc)
        .with_cte(clause)
        .take()
}

/// `{chat}-{message}` as the database puts it together.
fn joined(backend: Backend, chat: Expr, message: Expr) -> Expr {
    match backend {
        Backend::MySql => Expr::cust_with_exprs("CONCAT(?, '-', ?)", [chat, message]),
        Backend::Postgres => Expr::cust_with_exprs("($1 || '-' || $2)", [chat, message]),
        Backend::Sqlite => Expr::cust_with_exprs("(? || '-' || ?)", [chat, message]),
    }
}
