//! Grants as they are now, also for calls that began before they changed.

use std::sync::{Arc, PoisonError, RwLock};

use innkeeper_model::Permission;
use innkeeper_model::permission::Grants;
use tokio_util::sync::CancellationToken;

/// What a plugin may do at present. The registry changes it; every host call reads it.
#[derive(Debug)]
pub struct LiveGrants {
    own: Arc<Own>,
    /// Those of the call that asked for this one.
    caller: Option<Arc<LiveGrants>>,
}

#[derive(Debug)]
struct Own {
    grants: RwLock<Arc<Grants>>,
    ended: CancellationToken,
}

impl LiveGrants {
    /// Starts with these.
    pub fn new(grants: Grants) -> Self {
        let own = Own { grants: RwLock::new(Arc::new(grants)), ended: CancellationToken::new() };
        Self { own: Arc::new(own), caller: None }
    }

    /// The same for a call that another plugin asked for. It acts as admin only where all that asked may, too:
    /// a plugin that was not trusted so far would otherwise reach everything through one that was.
    pub fn below(&self, caller: &Arc<LiveGrants>) -> Self {
        Self { own: Arc::clone(&self.own), caller: Some(Arc::clone(caller)) }
    }

    /// As of now.
    pub fn get(&self) -> Arc<Grants> {
        let grants = Arc::clone(&self.own.grants.read().unwrap_or_else(PoisonError::into_inner));
        let lacks = |grants: &Grants| grants.get(Permission::ActAsAdmin).is_none();
        if lacks(&grants) || self.caller.as_ref().is_none_or(|caller| !lacks(&caller.get())) {
            return grants;
        }
        let mut own = (*grants).clone();
        own.0.remove(&Permission::ActAsAdmin);
        Arc::new(own)
    }

    /// Replaces them; the next host call sees it.
    pub fn set(&self, grants: Grants) {
        *self.own.grants.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(grants);
    }

    /// Ends all calls: the plugin was disabled, removed or replaced.
    pub fn end(&self) {
        self.set(Grants::default());
        self.own.ended.cancel();
    }

    /// Resolves once the plugin's calls have to end.
    pub fn ended(&self) -> &CancellationToken {
        &self.own.ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acting_as_admin_is_not_lent() {
        let grants = |permissions: &[Permission]| {
            let with = |grants: Grants, permission: &Permission| grants.with(*permission);
            Arc::new(LiveGrants::new(permissions.iter().fold(Grants::default(), with)))
        };
        let acts = |grants: &LiveGrants| grants.get().get(Permission::ActAsAdmin).is_some();
        let (trusted, other) = (grants(&[Permission::ActAsAdmin, Permission::Kv]), grants(&[Permission::Kv]));
        let below = |callee: &LiveGrants, caller| Arc::new(callee.below(caller));
        assert!(acts(&trusted) && acts(&below(&trusted, &trusted)));
        let child = below(&trusted, &other);
        assert!(!acts(&child) && child.get().get(Permission::Kv).is_some());
        // Nor does it come back further down.
        assert!(!acts(&below(&trusted, &child)) && !acts(&below(&other, &trusted)));
        // Both change with what they were made of.
        other.set(Grants::default().with(Permission::ActAsAdmin));
        assert!(acts(&child));
        trusted.end();
        assert!(child.ended().is_cancelled() && !acts(&child));
    }
}
