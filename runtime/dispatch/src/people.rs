//! People for whom something runs at present, so that it ends within seconds when they are no longer who they were:
//! deleted, put back to pending, or given another role, on this server or another.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use innkeeper_model::principal::Role;
use innkeeper_model::{Principal, UserId};
use innkeeper_store::Store;
use tokio_util::sync::CancellationToken;

/// How often the database is asked whether anything has changed.
const INTERVAL: Duration = Duration::from_secs(1);

/// A person in the role that a turn began with.
type Key = (UserId, Role);

/// People for whom something runs.
#[derive(Clone, Default)]
pub(crate) struct People(Arc<Mutex<HashMap<Key, Running>>>);

struct Running {
    turns: usize,
    cancel: CancellationToken,
}

/// Keeps a person among those for whom something runs.
pub(crate) struct Present {
    people: People,
    key: Option<Key>,
    /// Cancelled when the person is no longer who they were.
    pub(crate) cancel: CancellationToken,
}

impl People {
    /// Notes that a turn runs for a principal; `stop` ends all turns.
    pub(crate) fn enter(&self, principal: &Principal, stop: &CancellationToken) -> Present {
        let Principal::Person { id, role } = principal else {
            return Present { people: self.clone(), key: None, cancel: stop.child_token() };
        };
        let key = (id.clone(), *role);
        let mut people = self.lock();
        let running =
            people.entry(key.clone()).or_insert_with(|| Running { turns: 0, cancel: stop.child_token() });
        running.turns += 1;
        let cancel = running.cancel.child_token();
        drop(people);
        Present { people: self.clone(), key: Some(key), cancel }
    }

    /// Ends the turns of people who are no longer who they were. Costs one statement, and more only after a change.
    pub(crate) async fn watch(self, store: Store, stop: CancellationToken) {
        let mut seen = None;
        loop {
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = stop.cancelled() => return,
            }
            match store.plugins().generation().await {
                Ok(generation) if seen == Some(generation) => {}
                Ok(generation) => {
                    if self.check(&store).await {
                        seen = Some(generation);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "it cannot be seen at present whether roles have changed")
                }
            }
        }
    }

    /// Returns whether everybody could be checked.
    async fn check(&self, store: &Store) -> bool {
        let present: Vec<Key> = self.lock().keys().cloned().collect();
        let mut checked = true;
        for key in present {
            match store.users().find(&key.0).await {
                Ok(found) if found.as_ref().is_some_and(|user| Role::from_text(&user.role) == key.1) => {}
                Ok(_) => {
                    tracing::info!(user = %key.0, "a role has changed; the person's turns end");
                    if let Some(running) = self.lock().remove(&key) {
                        running.cancel.cancel();
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "a role cannot be read at present");
                    checked = false;
                }
            }
        }
        checked
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        let Some(key) = &self.key else { return };
        let mut people = self.people.lock();
        if let Some(running) = people.get_mut(key) {
            running.turns = running.turns.saturating_sub(1);
            if running.turns == 0 {
                people.remove(key);
            }
        }
    }
}
