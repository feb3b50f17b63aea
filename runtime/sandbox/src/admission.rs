//! Who gets an instance: a slot is held from admission until the instance is gone, idle or not.
//!
//! A turn takes the slots of its whole chain at once, so that nothing waits for a slot while it holds another.
//! Children that plugins ask for take from a reserve, or fail at once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use innkeeper_model::limits::Limits;
use innkeeper_model::{PluginId, UserId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::CallError;

/// Part of the slots that is kept for children: one in so many.
const RESERVE: u32 = 8;

/// Counts live instances.
pub(crate) struct Admission {
    slots: Arc<Semaphore>,
    most: u32,
    reserve: Arc<Semaphore>,
    waiting: AtomicU64,
    per_plugin: Counts<PluginId>,
    per_user: Counts<UserId>,
}

/// The right to have one instance. Clones are the same right, for one instance after another; dropping the last gives the slot back.
#[derive(Clone)]
pub struct Permit {
    _held: Arc<Held>,
}

struct Held {
    _slot: OwnedSemaphorePermit,
    _plugin: Counted,
    _user: Option<Counted>,
}

impl Permit {
    fn new(slot: OwnedSemaphorePermit, plugin: Counted, user: Option<Counted>) -> Self {
        Self { _held: Arc::new(Held { _slot: slot, _plugin: plugin, _user: user }) }
    }
}

impl Admission {
    pub(crate) fn new(instances: u32) -> Self {
        let reserve = (instances / RESERVE).max(1);
        let most = instances.saturating_sub(reserve).max(1);
        Self {
            slots: Arc::new(Semaphore::new(most as usize)),
            most,
            reserve: Arc::new(Semaphore::new(reserve as usize)),
            waiting: AtomicU64::new(0),
            per_plugin: Counts::default(),
            per_user: Counts::default(),
        }
    }

    /// Slots for all plugins of a turn, in their order; waits in the queue for as long as `limits` allows.
    pub(crate) async fn chain(
        &self,
        plugins: &[(PluginId, Arc<Limits>)],
        user: Option<&UserId>,
        limits: &Limits,
    ) -> Result<Vec<Permit>, CallError> {
        let mut counted = Vec::with_capacity(plugins.len());
        for (plugin, plugin_limits) in plugins {
            counted.push(self.count(plugin, user, plugin_limits)?);
        }
        let count = u32::try_from(plugins.len()).unwrap_or(u32::MAX);
        if count > self.most {
            return Err(CallError::Unavailable { limit: "queue", retry_after: limits.queue_wait });
        }
        let mut slots = self.wait_for(count, limits).await?;
        let permits =
            counted.into_iter().filter_map(|(plugin, user)| Some(Permit::new(slots.split(1)?, plugin, user)));
        Ok(permits.collect())
    }

    /// A slot for a child, now or not at all.
    pub(crate) fn child(
        &self,
        plugin: &PluginId,
        user: Option<&UserId>,
        limits: &Limits,
    ) -> Result<Permit, CallError> {
        let (plugin, user) = self.count(plugin, user, limits)?;
        let slot = Arc::clone(&self.reserve)
            .try_acquire_owned()
            .or_else(|_| Arc::clone(&self.slots).try_acquire_owned())
            .map_err(|_| CallError::Unavailable { limit: "queue", retry_after: 1_000 })?;
        Ok(Permit::new(slot, plugin, user))
    }

    /// Instances that could be admitted at once.
    pub(crate) fn free(&self) -> usize {
        self.slots.available_permits() + self.reserve.available_permits()
    }

    async fn wait_for(&self, count: u32, limits: &Limits) -> Result<OwnedSemaphorePermit, CallError> {
        if let Ok(slots) = Arc::clone(&self.slots).try_acquire_many_owned(count) {
            return Ok(slots);
        }
        let unavailable = || CallError::Unavailable { limit: "queue-wait", retry_after: limits.queue_wait };
        let _place = Place::take(&self.waiting, limits.queue)
            .ok_or(CallError::Unavailable { limit: "queue", retry_after: limits.queue_wait })?;
        let slots = Arc::clone(&self.slots).acquire_many_owned(count);
        match tokio::time::timeout(Duration::from_millis(limits.queue_wait), slots).await {
            Ok(Ok(slots)) => Ok(slots),
            Ok(Err(_)) | Err(_) => Err(unavailable()),
        }
    }

    fn count(
        &self,
        plugin: &PluginId,
        user: Option<&UserId>,
        limits: &Limits,
    ) -> Result<(Counted, Option<Counted>), CallError> {
        let full = |limit| CallError::Unavailable { limit, retry_after: 1_000 };
        let plugin = self.per_plugin.take(plugin, limits.calls_per_plugin).ok_or(full("calls-per-plugin"))?;
        let user =
            user.map(|user| self.per_user.take(user, limits.calls_per_user).ok_or(full("calls-per-user")));
        Ok((plugin, user.transpose()?))
    }
}

/// A place in the queue.
struct Place<'a>(&'a AtomicU64);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicU64, most: u64) -> Option<Self> {
        let place = Self(waiting);
        // The place is given back by `drop` where it was one too many.
        (waiting.fetch_add(1, Ordering::Relaxed) < most).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many calls run for each key.
struct Counts<K>(Mutex<Table<K>>);

struct Table<K> {
    counts: HashMap<K, Arc<AtomicU64>>,
    /// How many keys there may be before those of which nothing runs are forgotten.
    sweep_at: usize,
}

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self(Mutex::new(Table { counts: HashMap::new(), sweep_at: SWEEP_MIN }))
    }
}

/// Fewest keys at which those of which nothing runs are forgotten.
const SWEEP_MIN: usize = 256;

impl<K: Hash + Eq + Clone> Counts<K> {
    fn take(&self, key: &K, most: u64) -> Option<Counted> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = table.counts.get(key) {
            return Counted::take(count, most);
        }
        if table.counts.len() >= table.sweep_at {
            // Whoever holds a count holds a second reference to it.
            table.counts.retain(|_, count| Arc::strong_count(count) > 1);
            table.sweep_at = SWEEP_MIN.max(table.counts.len().saturating_mul(2));
        }
        let count = Arc::default();
        let counted = Counted::take(&count, most);
        table.counts.insert(key.clone(), count);
        counted
    }
}

/// One call that is counted until it is dropped.
struct Counted(Arc<AtomicU64>);

impl Counted {
    /// Only called while the table is locked, so that two calls never take the same place.
    fn take(count: &Arc<AtomicU64>, most: u64) -> Option<Self> {
        if count.load(Ordering::Relaxed) >= most {
            return None;
        }
        count.fetch_add(1, Ordering::Relaxed);
        Some(Self(Arc::clone(count)))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn keys_of_which_nothing_runs_are_forgotten() {
        let counts = Counts::default();
        let held = counts.take(&0, 1).unwrap();
        for key in 1..10_000 {
            assert!(counts.take(&key, 1).is_some());
        }
        assert!(counts.0.lock().unwrap().counts.len() <= SWEEP_MIN);
        assert!(counts.take(&0, 1).is_none());
        drop(held);
        assert!(counts.take(&0, 1).is_some());
    }
}
