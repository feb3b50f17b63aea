//! Each plugin's share of the connections, with a queue of its own: a plugin that asks for many waits behind itself,
//! never the others behind it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use innkeeper_model::PluginId;
use tokio::sync::Semaphore;

/// The shares that are in use.
#[derive(Debug)]
pub(crate) struct Shares {
    size: usize,
    by_plugin: Mutex<HashMap<PluginId, Arc<Semaphore>>>,
}

impl Shares {
    /// A quarter of the pool for each plugin, at least one connection.
    pub(crate) fn of(max_connections: u32) -> Self {
        let size = usize::try_from(max_connections / 4).unwrap_or(1).max(1);
        Self { size, by_plugin: Mutex::default() }
    }

    /// A plugin's share. All stores of one plugin have the same.
    pub(crate) fn get(&self, plugin: &PluginId) -> Arc<Semaphore> {
        let mut by_plugin = self.by_plugin.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = by_plugin.get(plugin) {
            return Arc::clone(share);
        }
        // Plugins come and go; those that nobody holds a store of need no entry.
        by_plugin.retain(|_, share| Arc::strong_count(share) > 1);
        let share = Arc::new(Semaphore::new(self.size));
        by_plugin.insert(plugin.clone(), Arc::clone(&share));
        share
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_has_one_share_and_others_have_theirs() {
        let shares = Shares::of(8);
        let plugin = |id: &str| PluginId::parse(id).unwrap();
        let first = shares.get(&plugin("a"));
        assert_eq!(first.available_permits(), 2);
        assert!(Arc::ptr_eq(&first, &shares.get(&plugin("a"))));
        assert!(!Arc::ptr_eq(&first, &shares.get(&plugin("b"))));
        assert_eq!(Shares::of(1).get(&plugin("a")).available_permits(), 1);
    }
}
