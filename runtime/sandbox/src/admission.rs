//! Who gets an instance: a slot is held from admission until the instance is gone, idle or not.
//!
//! A turn takes the slots of its whole chain at once, so that nothing waits for a slot while it holds another.
//! Children that plugins ask for take from a reserve, or fail at once.
//! A permit is for one instance: the next has the same slot only once the one before is gone.

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
    per_plugin: Arc<Counts<PluginId>>,
    per_user: Arc<Counts<UserId>>,
}

/// The right to have one instance, which takes it and gives it back when it is gone. Dropping it frees the slot.
pub struct Permit {
    _slot: OwnedSemaphorePermit,
    _plugin: Counted<PluginId>,
    _user: Option<Counted<UserId>>,
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
            per_plugin: Arc::default(),
            per_user: Arc::default(),
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
        let permits = counted.into_iter().filter_map(|(plugin, user)| {
            Some(Permit { _slot: slots.split(1)?, _plugin: plugin, _user: user })
        });
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
        Ok(Permit { _slot: slot, _plugin: plugin, _user: user })
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
    ) -> Result<(Counted<PluginId>, Option<Counted<UserId>>), CallError> {
        let full = |limit| CallError::Unavailable { limit, retry_after: 1_000 };
        let plugin = Counts::take(&self.per_plugin, plugin, limits.calls_per_plugin)
            .ok_or(full("calls-per-plugin"))?;
        let user = user.map(|user| {
            Counts::take(&self.per_user, user, limits.calls_per_user).ok_or(full("calls-per-user"))
        });
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
struct Counts<K>(Mutex<HashMap<K, u64>>);

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq + Clone> Counts<K> {
    fn take(counts: &Arc<Self>, key: &K, most: u64) -> Option<Counted<K>> {
        let mut map = counts.0.lock().unwrap_or_else(PoisonError::into_inner);
        match map.get_mut(key) {
            Some(count) if *count >= most => return None,
            Some(count) => *count += 1,
            None if most == 0 => return None,
            None => drop(map.insert(key.clone(), 1)),
        }
        drop(map);
        Some(Counted { counts: Arc::clone(counts), key: key.clone() })
    }
}

/// One call that is counted until it is dropped.
struct Counted<K: Hash + Eq> {
    counts: Arc<Counts<K>>,
    key: K,
}

impl<K: Hash + Eq> Drop for Counted<K> {
    fn drop(&mut self) {
        let mut map = self.counts.0.lock().unwrap_or_else(PoisonError::into_inner);
        match map.get_mut(&self.key) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(map.remove(&self.key)),
        }
    }
}
