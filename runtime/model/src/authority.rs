//! What a call may touch: the plugin's grant and the principal's authority, both at once.
//!
//! The store turns an `Authority` into a condition of the statement itself, so that no row is loaded first and judged later.

use crate::id::UserId;
use crate::permission::{Grants, Permission, Scope};
use crate::principal::Principal;

/// Which rows a statement may touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authority {
    /// None.
    Nothing,
    /// Rows of this person, and those that upstream's access grants give them, as long as they are still admitted.
    Own(UserId),
    /// All rows, as long as this person is still an admin.
    All(UserId),
    /// All rows of a job's grant: nobody's own, so nothing that has an owner.
    Unattended,
}

impl Authority {
    /// Decides by the table: principal against grant.
    pub fn decide(principal: &Principal, grants: &Grants, permission: Permission) -> Self {
        let Some(grant) = grants.get(permission) else { return Self::Nothing };
        match principal {
            Principal::Service if grant.unattended => Self::Unattended,
            Principal::Service => Self::Nothing,
            Principal::Person { .. } if !principal.is_admitted() => Self::Nothing,
            Principal::Person { id, .. } => {
                let acts_as_admin = grants.get(Permission::ActAsAdmin).is_some();
                if grant.scope == Scope::All && principal.is_admin() && acts_as_admin {
                    Self::All(id.clone())
                } else {
                    Self::Own(id.clone())
                }
            }
        }
    }

    /// The person behind it.
    pub fn user(&self) -> Option<&UserId> {
        match self {
            Self::Own(id) | Self::All(id) => Some(id),
            Self::Nothing | Self::Unattended => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::permission::Grant;
    use crate::principal::Role;

    #[test]
    fn authority_follows_the_table() {
        let own = Grants::default().with(Permission::ChatsRead);
        let mut all = Grants::default();
        all.0.insert(Permission::ChatsRead, Grant { scope: Scope::All, ..Grant::default() });
        let all_as_admin = all.clone().with(Permission::ActAsAdmin);
        let mut unattended = Grants::default();
        unattended.0.insert(Permission::ChatsRead, Grant { unattended: true, ..Grant::default() });

        let person = |role| Principal::person("u", role);
        let u = || UserId::from("u");
        let check = |principal: &Principal, grants: &Grants, expected: Authority| {
            assert_eq!(
                Authority::decide(principal, grants, Permission::ChatsRead),
                expected,
                "{principal:?} {grants:?}"
            );
        };
        check(&person(Role::Pending), &all_as_admin, Authority::Nothing);
        check(&person(Role::User), &Grants::default(), Authority::Nothing);
        check(&person(Role::User), &own, Authority::Own(u()));
        check(&person(Role::User), &all_as_admin, Authority::Own(u()));
        check(&person(Role::Admin), &own, Authority::Own(u()));
        check(&person(Role::Admin), &all, Authority::Own(u()));
        check(&person(Role::Admin), &all_as_admin, Authority::All(u()));
        check(&Principal::Service, &all_as_admin, Authority::Nothing);
        check(&Principal::Service, &unattended, Authority::Unattended);
    }
}
