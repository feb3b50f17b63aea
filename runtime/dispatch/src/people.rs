//! People for whom something runs at present, so that it ends within seconds when they are no longer who they were:
//! deleted, put back to pending, or given another role, on this server, another, or by Open WebUI on a database that is shared with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use innkeeper_model::principal::Role;
use innkeeper_model::{Principal, UserId};
use innkeeper_store::Store;
use tokio_util::sync::CancellationToken;

/// How often roles are read again. Open WebUI tells nobody that it has changed one.
const INTERVAL: Duration = Duration::from_secs(1);

/// People for whom something runs.
#[derive(Clone, Default)]
pub(crate) struct People(Arc<Mutex<Running>>);

#[derive(Default)]
struct Running {
    turns: HashMap<u64, Turn>,
    next: u64,
}

/// A turn, for whom, and in which role it began.
#[derive(Clone)]
struct Turn {
    user: UserId,
    role: Role,
    cancel: CancellationToken,
}

/// Keeps a person among those for whom something runs.
pub struct Present {
    people: People,
    turn: Option<u64>,
    pub(crate) cancel: CancellationToken,
}

impl Present {
    /// Cancelled when the person is no longer who they were.
    pub fn token(&self) -> &CancellationToken {
        &self.cancel
    }
}

impl People {
    /// Notes that a turn runs for a principal; `stop` ends all turns.
    pub(crate) fn enter(&self, principal: &Principal, stop: &CancellationToken) -> Present {
        let cancel = stop.child_token();
        let mut turn = None;
        if let Principal::Person { id, role } = principal {
            let mut running = self.lock();
            let number = running.next;
            running.next += 1;
            running.turns.insert(number, Turn { user: id.clone(), role: *role, cancel: cancel.clone() });
            turn = Some(number);
        }
        Present { people: self.clone(), turn, cancel }
    }

    /// Ends the turns of people who are no longer who they were. Costs one statement a second while anything runs, for all people together.
    pub(crate) async fn watch(self, store: Store, stop: CancellationToken) {
        let mut failing = false;
        loop {
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = stop.cancelled() => return,
            }
            let turns = self.lock().turns.clone();
            let mut people: Vec<UserId> = turns.values().map(|turn| turn.user.clone()).collect();
            people.sort();
            people.dedup();
            match store.users().roles(&people).await {
                Ok(roles) => {
                    self.end_changed(&turns, &roles);
                    failing = false;
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "it cannot be seen for now whether roles have changed");
                    }
                }
            }
        }
    }

    /// Ends those of `turns` that began in another role than the person has; who has none is gone.
    fn end_changed(&self, turns: &HashMap<u64, Turn>, roles: &HashMap<UserId, Role>) {
        for (number, turn) in turns.iter().filter(|(_, turn)| roles.get(&turn.user) != Some(&turn.role)) {
            if self.lock().turns.remove(number).is_some() {
                tracing::info!(user = %turn.user, "a role has changed; a turn of this person ends");
                turn.cancel.cancel();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        if let Some(turn) = self.turn {
            self.people.lock().turns.remove(&turn);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_that_goes_there_and_back_leaves_no_turn_unwatched() {
        let (people, stop) = (People::default(), CancellationToken::new());
        let ada = UserId::new("ada");
        let enter = || people.enter(&Principal::person(ada.clone(), Role::User), &stop);
        let look = |role: Option<Role>| {
            let turns = people.lock().turns.clone();
            people.end_changed(&turns, &role.map(|role| (ada.clone(), role)).into_iter().collect());
        };
        let first = enter();
        look(Some(Role::User));
        assert!(!first.cancel.is_cancelled());
        look(Some(Role::Admin));
        assert!(first.cancel.is_cancelled());
        // The first turn is still on its way out when the next begins in the old role.
        let second = enter();
        drop(first);
        look(Some(Role::User));
        assert!(!second.cancel.is_cancelled());
        look(None);
        assert!(second.cancel.is_cancelled());
        drop(second);
        assert!(people.lock().turns.is_empty());
    }
}
