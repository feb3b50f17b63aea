//! Grants as they are now, also for calls that began before they changed.

use std::sync::{Arc, PoisonError, RwLock};

use innkeeper_model::permission::Grants;
use tokio_util::sync::CancellationToken;

/// What a plugin may do at present. The registry changes it; every host call reads it.
#[derive(Debug)]
pub struct LiveGrants {
    grants: RwLock<Arc<Grants>>,
    ended: CancellationToken,
}

impl LiveGrants {
    /// Starts with these.
    pub fn new(grants: Grants) -> Self {
        Self { grants: RwLock::new(Arc::new(grants)), ended: CancellationToken::new() }
    }

    /// As of now.
    pub fn get(&self) -> Arc<Grants> {
        Arc::clone(&self.grants.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces them; the next host call sees it.
    pub fn set(&self, grants: Grants) {
        *self.grants.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(grants);
    }

    /// Ends all calls: the plugin was disabled, removed or replaced.
    pub fn end(&self) {
        self.set(Grants::default());
        self.ended.cancel();
    }

    /// Resolves once the plugin's calls have to end.
    pub fn ended(&self) -> &CancellationToken {
        &self.ended
    }
}
