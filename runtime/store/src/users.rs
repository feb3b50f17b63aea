//! People. The columns of `"user"` that are not in `User` (settings, OAuth and SCIM data, …) are never selected.
//! What goes with a person who is deleted is in `users::removal`.

use std::collections::HashMap;

use innkeeper_model::UserId;
use innkeeper_model::authority::Authority;
use innkeeper_model::page::{Page, PageRequest};
use innkeeper_model::principal::Role;
use innkeeper_model::user::User;
use sea_query::{Expr, ExprTrait, Func, Order, Query, SelectStatement};
use uuid::Uuid;

use crate::authority::{KnownRead, or_nothing};
use crate::error::StoreError;
use crate::names::{can_name, clean};
use crate::pool::{Backend, Row, Tx, bigint, json, known};
use crate::search::contains;
use crate::store::Store;
use crate::{authority, counter, cursor, transaction};

mod removal;

/// Most ids that `get_many` takes.
pub const MANY_MAX: usize = 200;
/// Most people whose roles are read by one statement.
const ROLES_AT_ONCE: usize = 1_000;

/// People.
#[derive(Clone, Debug)]
pub struct Users {
    pub(crate) store: Store,
}

/// A person to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewUser {
    /// What to call them.
    pub name: String,
    /// Address; one person each, without regard to case.
    pub email: String,
    /// What they may do.
    pub role: Role,
}

impl Users {
    /// One person, if the authority reaches them.
    pub async fn get(&self, authority: &Authority, id: &UserId) -> Result<Option<User>, StoreError> {
        static READ: KnownRead = KnownRead::new();
        let Some((known, template, user)) = READ.of(authority).filter(|_| can_name(id.as_str())) else {
            return Ok(None);
        };
        let make = || {
            let mut select = select();
            select.and_where(Expr::col(("user", "id")).eq(known::text(1)));
            select.and_where(or_nothing(visible(&template))).take()
        };
        let arguments = [user.into(), id.as_str().into()];
        self.store.reads().fetch_known_optional(known, make, &arguments, read).await
    }

    /// Those people of whom the authority reaches, in the order asked; one statement.
    ///
    /// # Errors
    /// `Invalid` for more than `MANY_MAX` ids.
    pub async fn get_many(&self, authority: &Authority, ids: &[UserId]) -> Result<Vec<User>, StoreError> {
        if ids.len() > MANY_MAX {
            return Err(StoreError::Invalid(format!(
                "{} ids were asked for; at most {MANY_MAX} are possible at once",
                ids.len()
            )));
        }
        let known: Vec<&str> = ids.iter().map(UserId::as_str).filter(|id| can_name(id)).collect();
        let Some(rows) = visible(authority).filter(|_| !known.is_empty()) else { return Ok(Vec::new()) };
        let mut select = select();
        select.and_where(Expr::col(("user", "id")).is_in(known)).and_where(rows);
        let found = self.store.reads().fetch_all(&mut select, MANY_MAX as u64, read).await?;
        Ok(ids.iter().filter_map(|id| found.iter().find(|user| user.id == *id)).cloned().collect())
    }

    /// People whose name contains `name`, by id.
    pub async fn list(
        &self,
        authority: &Authority,
        name: Option<&str>,
        page: &PageRequest,
    ) -> Result<Page<User>, StoreError> {
        let after: Option<String> = cursor::read(page)?;
        let Some(rows) = visible(authority) else { return Ok(Page { items: Vec::new(), next: None }) };
        let mut select = select();
        select.and_where(rows).order_by(("user", "id"), Order::Asc);
        if let Some(name) = name {
            select.and_where(contains(self.store.backend(), ("user", "name"), name));
        }
        if let Some(after) = after {
            select.and_where(Expr::col(("user", "id")).gt(clean(&after).as_ref()));
        }
        let found = self.store.reads().fetch_all(&mut select, cursor::limit(page), read).await?;
        Ok(cursor::page(found, page, |user| user.id.as_str().to_owned()))
    }

    /// One person, for the server's own use such as authentication.
    pub async fn find(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        if !can_name(id.as_str()) {
            return Ok(None);
        }
        let mut select = select();
        select.and_where(Expr::col(("user", "id")).eq(id.as_str()));
        self.store.db().fetch_optional(&mut select, read).await
    }

    /// What these people may do, for the server's own use; who is not there is left out. One statement for up to 1,000 people.
    pub async fn roles(&self, ids: &[UserId]) -> Result<HashMap<UserId, Role>, StoreError> {
        let mut roles = HashMap::new();
        for ids in ids.chunks(ROLES_AT_ONCE) {
            let known: Vec<&str> = ids.iter().map(UserId::as_str).filter(|id| can_name(id)).collect();
            let mut select = Query::select()
                .columns(["id", "role"])
                .from("user")
                .and_where(Expr::col("id").is_in(known))
                .take();
            let found = self.store.db().fetch_all(&mut select, ROLES_AT_ONCE as u64, |row| {
                let role = row.text_opt("role")?.unwrap_or_default();
                Ok((UserId::new(row.text("id")?), Role::from_text(&role)))
            });
            roles.extend(found.await?);
        }
        Ok(roles)
    }

    /// The person with an address, without regard to case.
    pub async fn find_by_email(&self, email: &str) -> Result<Option<User>, StoreError> {
        if !can_name(email) {
            return Ok(None);
        }
        let mut select = select();
        // What the unique key of the address is on, so that it is found by that.
        let folded = match self.store.backend() {
            Backend::MySql => Expr::col(("user", "email_lower")),
            Backend::Sqlite | Backend::Postgres => Func::lower(Expr::col(("user", "email"))).into(),
        };
        select.and_where(folded.eq(email.to_lowercase()));
        self.store.db().fetch_optional(&mut select, read).await
    }

    /// How many people there are.
    pub async fn count(&self) -> Result<u64, StoreError> {
        let count = bigint(self.store.backend(), Expr::col(("user", "id")).count());
        let mut select = Query::select().expr_as(count, "people").from("user").take();
        let count = self.store.db().fetch_optional(&mut select, |row| row.int("people")).await?;
        Ok(count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
    }

    /// Adds a person.
    ///
    /// # Errors
    /// `Invalid` for an empty name or address, `Conflict` where somebody has the address.
    pub async fn insert(&self, new: NewUser) -> Result<User, StoreError> {
        let (name, email) = (clean(&new.name).trim().to_owned(), clean(&new.email).trim().to_lowercase());
        if name.is_empty() || name.len() > 255 {
            return Err(StoreError::Invalid("a person's name needs 1 to 255 bytes".to_owned()));
        }
        if email.len() > 255 || !email.contains('@') {
            return Err(StoreError::Invalid(
                "an e-mail address needs an `@` and at most 255 bytes".to_owned(),
            ));
        }
        let now = self.store.now();
        let user = User {
            id: UserId::new(Uuid::new_v4().to_string()),
            name,
            username: None,
            email,
            role: new.role.as_str().to_owned(),
            profile_image_url: Some("/user.png".to_owned()),
            bio: None,
            timezone: None,
            status_emoji: None,
            status_message: None,
            last_active_at: now,
            created_at: now,
            updated_at: now,
        };
        let absent = || json(self.store.backend(), "null");
        let insert = Query::insert()
            .into_table("user")
            .columns([
                "id",
                "name",
                "email",
                "role",
                "profile_image_url",
                "last_active_at",
                "updated_at",
                "created_at",
                "oauth",
                "info",
                "settings",
                "scim",
            ])
            .values([
                user.id.as_str().into(),
                user.name.as_str().into(),
                user.email.as_str().into(),
                user.role.as_str().into(),
                user.profile_image_url.clone().into(),
                now.into(),
                now.into(),
                now.into(),
                absent(),
                absent(),
                absent(),
                absent(),
            ])
            .map_err(|error| StoreError::Invalid(error.to_string()))?
            .take();
        match self.store.db().execute(&insert).await {
            Ok(_) => Ok(user),
            Err(StoreError::Conflict(_)) => {
                Err(StoreError::Conflict(format!("the e-mail address `{}`", user.email)))
            }
            Err(error) => Err(error),
        }
    }

    /// Changes what a person may do.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn set_role(&self, id: &UserId, role: Role) -> Result<User, StoreError> {
        if !can_name(id.as_str()) {
            return Err(StoreError::NotFound("person"));
        }
        let mut tx = self.store.db().begin().await?;
        let outcome = self.change_role(&mut tx, id, role).await;
        transaction::end(tx, outcome).await
    }

    async fn change_role(&self, tx: &mut Tx, id: &UserId, role: Role) -> Result<User, StoreError> {
        let update = Query::update()
            .table("user")
            .values([("role", role.as_str().into()), ("updated_at", self.store.now().into())])
            .and_where(Expr::col("id").eq(id.as_str()))
            .take();
        tx.execute(&update).await?;
        let mut select = select();
        select.and_where(Expr::col(("user", "id")).eq(id.as_str()));
        let user = tx.fetch_optional(&mut select, read).await?.ok_or(StoreError::NotFound("person"))?;
        counter::bump(tx, counter::GENERATION).await?;
        Ok(user)
    }
}

/// The columns of `User`, under their own names.
pub(crate) const COLUMNS: [&str; 13] = [
    "id",
    "name",
    "username",
    "email",
    "role",
    "profile_image_url",
    "bio",
    "timezone",
    "status_emoji",
    "status_message",
    "last_active_at",
    "created_at",
    "updated_at",
];

/// Reads a row that was selected with `COLUMNS`.
pub(crate) fn read(row: &Row<'_>) -> Result<User, StoreError> {
    Ok(User {
        id: UserId::new(row.text("id")?),
        name: row.text_opt("name")?.unwrap_or_default(),
        username: row.text_opt("username")?,
        email: row.text_opt("email")?.unwrap_or_default(),
        role: row.text_opt("role")?.unwrap_or_default(),
        profile_image_url: row.text_opt("profile_image_url")?,
        bio: row.text_opt("bio")?,
        timezone: row.text_opt("timezone")?,
        status_emoji: row.text_opt("status_emoji")?,
        status_message: row.text_opt("status_message")?,
        last_active_at: row.int_opt("last_active_at")?.unwrap_or(0),
        created_at: row.int_opt("created_at")?.unwrap_or(0),
        updated_at: row.int_opt("updated_at")?.unwrap_or(0),
    })
}

fn select() -> SelectStatement {
    Query::select().columns(COLUMNS.map(|column| ("user", column))).from("user").take()
}

fn visible(authority: &Authority) -> Option<Expr> {
    authority::owned(authority, ("user", "id"))
}
