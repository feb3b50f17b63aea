//! People: who may use the server, and as what.

pub(crate) mod add;
pub(crate) mod list;
pub(crate) mod remove;
pub(crate) mod set_role;
pub(crate) mod show;

use innkeeper_model::principal::Role;
use innkeeper_model::user::User;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A person.
#[derive(Serialize, ToSchema)]
pub(crate) struct Person {
    /// Who.
    id: String,
    /// What to call them.
    name: String,
    /// Address.
    email: String,
    /// `admin`, `user` or `pending`.
    role: String,
    /// Seconds since 1970.
    created_at: i64,
    /// Seconds since 1970.
    last_active_at: i64,
}

impl From<User> for Person {
    fn from(user: User) -> Self {
        Self {
            id: user.id.into_string(),
            name: user.name,
            email: user.email,
            role: user.role,
            created_at: user.created_at,
            last_active_at: user.last_active_at,
        }
    }
}

/// What a person may do.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum GivenRole {
    /// Nothing yet.
    Pending,
    /// What people do.
    #[default]
    User,
    /// Run the server.
    Admin,
}

impl From<GivenRole> for Role {
    fn from(role: GivenRole) -> Self {
        match role {
            GivenRole::Pending => Self::Pending,
            GivenRole::User => Self::User,
            GivenRole::Admin => Self::Admin,
        }
    }
}
