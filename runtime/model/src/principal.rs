//! For whom something is done.

use serde::{Deserialize, Serialize};

use crate::id::UserId;

/// What a person may do at all, as upstream records it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Signed up, not admitted. May do nothing.
    Pending,
    /// An ordinary person.
    User,
    /// Runs the server.
    Admin,
}

impl Role {
    /// Reads upstream's text. Roles that this program does not know may do nothing.
    pub fn from_text(text: &str) -> Self {
        match text {
            "admin" => Self::Admin,
            "user" => Self::User,
            _ => Self::Pending,
        }
    }

    /// Upstream's text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::User => "user",
            Self::Admin => "admin",
        }
    }
}

/// For whom something is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// A person.
    Person {
        /// Who.
        id: UserId,
        /// What they may do, as of when they were authenticated.
        role: Role,
    },
    /// Nobody: a job that the operator scheduled.
    Service,
}

impl Principal {
    /// A person.
    pub fn person(id: impl Into<UserId>, role: Role) -> Self {
        Self::Person { id: id.into(), role }
    }

    /// The person's id.
    pub fn user(&self) -> Option<&UserId> {
        match self {
            Self::Person { id, .. } => Some(id),
            Self::Service => None,
        }
    }

    /// Whether it is a person who runs the server.
    pub fn is_admin(&self) -> bool {
        matches!(self, Self::Person { role: Role::Admin, .. })
    }

    /// Whether it is a person who was admitted.
    pub fn is_admitted(&self) -> bool {
        matches!(self, Self::Person { role: Role::Admin | Role::User, .. })
    }
}
