//! Turns an authority into a condition of the statement itself, so that no row is loaded first and judged later.
//! The person's role is looked at again in the same statement: who was demoted or deleted a moment ago gets nothing.
//!
//! Upstream's access grants count as far as they name the live row: chats shared to be continued, chats in shared folders,
//! files of knowledge bases. Snapshots of shared chats are not given out, and members of nested groups count only directly.

use innkeeper_model::UserId;
use innkeeper_model::authority::Authority;
use sea_query::{Alias, Expr, ExprTrait, IntoCondition, Query, SelectStatement};

use crate::names::can_name;
use crate::pool::Backend;
use crate::pool::known::{self, Known};

/// What is to be done with the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
    /// What only an owner may do, such as deleting.
    Own,
}

/// A read that is sent often, built once for each kind of authority. Its argument 0 is the person.
#[derive(Debug)]
pub(crate) struct KnownRead {
    own: Known,
    all: Known,
}

impl KnownRead {
    pub(crate) const fn new() -> Self {
        Self { own: Known::new(), all: Known::new() }
    }

    /// The statement for an authority, the authority to build it with, and the person; none where it gives nothing.
    pub(crate) fn of<'a>(&self, authority: &'a Authority) -> Option<(&Known, Authority, &'a str)> {
        let user = person(authority)?.as_str();
        let mark = UserId::new(known::text(0));
        match authority {
            Authority::Own(_) => Some((&self.own, Authority::Own(mark), user)),
            Authority::All(_) => Some((&self.all, Authority::All(mark), user)),
            Authority::Nothing | Authority::Unattended => None,
        }
    }
}

/// The condition, or one that holds for no row.
pub(crate) fn or_nothing(rows: Option<Expr>) -> Expr {
    rows.unwrap_or_else(|| Expr::cust("1 = 0"))
}

/// The condition for rows whose owner is in `owner`; none where the authority gives nothing.
pub(crate) fn owned(authority: &Authority, owner: (&'static str, &'static str)) -> Option<Expr> {
    person(authority)?;
    match authority {
        Authority::Nothing | Authority::Unattended => None,
        Authority::Own(user) => Some(Expr::col(owner).eq(user.as_str()).and(admitted(user))),
        Authority::All(user) => Some(admin(user)),
    }
}

/// The condition for rows of `chat`.
pub(crate) fn chats(authority: &Authority, access: Access, backend: Backend) -> Option<Expr> {
    let Authority::Own(user) = authority else { return owned(authority, ("chat", "user_id")) };
    person(authority)?;
    let mut mine = Expr::col(("chat", "user_id")).eq(user.as_str());
    if access != Access::Own {
        mine = mine.or(Expr::col(("chat", "id")).in_subquery(continued_chats(user, backend)));
    }
    if access == Access::Read {
        let place = Expr::tuple([Expr::col(("chat", "folder_id")), Expr::col(("chat", "user_id"))]);
        mine = mine.or(place.in_subquery(shared_folders(user)));
    }
    Some(mine.and(admitted(user)))
}

/// The condition for rows of `file`.
pub(crate) fn files(authority: &Authority, access: Access) -> Option<Expr> {
    let Authority::Own(user) = authority else { return owned(authority, ("file", "user_id")) };
    person(authority)?;
    let mut mine = Expr::col(("file", "user_id")).eq(user.as_str());
    if access == Access::Read {
        mine = mine.or(Expr::col(("file", "id")).in_subquery(knowledge_files(user)));
    }
    Some(mine.and(admitted(user)))
}

/// Whether new rows may be made for `owner`: a condition on `user`, of which the statement selects the owner's row.
pub(crate) fn may_own(authority: &Authority, owner: &UserId) -> Option<Expr> {
    person(authority)?;
    let is_owner = Expr::col(("user", "id"))
        .eq(owner.as_str())
        .and(Expr::col(("user", "role")).is_in(ADMITTED.map(fixed)));
    match authority {
        Authority::Own(user) if user == owner => Some(is_owner),
        Authority::All(user) => Some(is_owner.and(admin(user))),
        _ => None,
    }
}

/// Roles that may do anything at all.
pub(crate) const ADMITTED: [&str; 2] = ["user", "admin"];

/// The person behind an authority, if their id can name anybody.
fn person(authority: &Authority) -> Option<&UserId> {
    authority.user().filter(|user| can_name(user.as_str()))
}

/// A word of ours, written into the statement rather than bound.
fn fixed(word: &'static str) -> Expr {
    debug_assert!(word.bytes().all(|b| b.is_ascii_lowercase() || b"_*".contains(&b)), "{word}");
    Expr::cust(format!("'{word}'"))
}

fn admitted(user: &UserId) -> Expr {
    has_role(user, &ADMITTED)
}

fn admin(user: &UserId) -> Expr {
    has_role(user, &["admin"])
}

fn has_role(user: &UserId, roles: &[&'static str]) -> Expr {
    let person = Query::select()
        .expr(Expr::cust("1"))
        .from_as("user", "person")
        .and_where(Expr::col(("person", "id")).eq(user.as_str()))
        .and_where(Expr::col(("person", "role")).is_in(roles.iter().map(|role| fixed(role))))
        .take();
    Expr::exists(person)
}

/// Ids of chats that their owners shared with this person so that both write in them.
fn continued_chats(user: &UserId, backend: Backend) -> SelectStatement {
    // The mode lies in the snapshot's document; a column for it there is not.
    let mode = match backend {
        Backend::Sqlite => {
            "CASE WHEN json_valid(shared.chat) THEN json_extract(shared.chat, '$.share_mode') END = 'continue'"
        }
        Backend::Postgres => "shared.chat ->> 'share_mode' = 'continue'",
        Backend::MySql => "JSON_VALUE(shared.chat, '$.share_mode') = 'continue'",
    };
    Query::select()
        .column(("shared", "chat_id"))
        .from_as("shared_chat", "shared")
        .cond_where(granted("shared_chat", ("shared", "id"), user))
        .and_where(Expr::cust(mode))
        .take()
}

/// Folders that their owners shared with this person, as (id, owner).
fn shared_folders(user: &UserId) -> SelectStatement {
    Query::select()
        .columns([("place", "id"), ("place", "user_id")])
        .from_as("folder", "place")
        .cond_where(granted("folder", ("place", "id"), user))
        .take()
}

/// Ids of files in knowledge bases that are this person's or shared with them.
fn knowledge_files(user: &UserId) -> SelectStatement {
    let theirs =
        Expr::col(("base", "user_id")).eq(user.as_str()).or(granted("knowledge", ("base", "id"), user));
    Query::select()
        .column(("part", "file_id"))
        .from_as("knowledge_file", "part")
        .join_as(
            sea_query::JoinType::InnerJoin,
            "knowledge",
            Alias::new("base"),
            Expr::col(("base", "id")).equals(("part", "knowledge_id")).into_condition(),
        )
        .cond_where(theirs)
        .take()
}

/// Whether upstream's grants let this person, their groups or everybody read a thing.
fn granted(kind: &'static str, id: (&'static str, &'static str), user: &UserId) -> Expr {
    let groups = Query::select()
        .column(("member", "group_id"))
        .from_as("group_member", "member")
        .and_where(Expr::col(("member", "user_id")).eq(user.as_str()))
        .take();
    let named = Expr::col(("given", "principal_type"))
        .eq(fixed("user"))
        .and(Expr::col(("given", "principal_id")).is_in([Expr::val(user.as_str()), fixed("*")]));
    let in_group = Expr::col(("given", "principal_type"))
        .eq(fixed("group"))
        .and(Expr::col(("given", "principal_id")).in_subquery(groups));
    let things = Query::select()
        .column(("given", "resource_id"))
        .from_as("access_grant", "given")
        .and_where(Expr::col(("given", "resource_type")).eq(fixed(kind)))
        .and_where(Expr::col(("given", "permission")).eq(fixed("read")))
        .and_where(named.or(in_group))
        .take();
    Expr::col(id).in_subquery(things)
}
