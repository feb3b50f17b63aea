//! Who holds a key, and for how long that stays true.
//! A key is looked up at most once a second; a connection that stays open holds a lease, which ends within two seconds
//! of the key, the person or the role.

use std::collections::{BTreeSet, HashMap};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use innkeeper_dispatch::Dispatch;
use innkeeper_model::principal::Role;
use innkeeper_model::user::User;
use innkeeper_model::{Principal, UserId};
use innkeeper_store::{ApiKeyId, Store, StoreError};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// How long a look-up holds.
const FRESH: Duration = Duration::from_secs(1);
/// How often changes by other servers and by the command line are looked for.
const POLL: Duration = Duration::from_millis(900);
/// Look-ups that are kept.
const KEPT: usize = 4_096;

/// Somebody who showed a valid key.
#[derive(Clone)]
pub(crate) struct Caller {
    /// Who.
    pub(crate) user: User,
    /// By which key.
    pub(crate) key: ApiKeyId,
    secret: Arc<str>,
}

impl Caller {
    /// For whom things are done.
    pub(crate) fn principal(&self) -> Principal {
        Principal::Person { id: self.user.id.clone(), role: self.role() }
    }

    /// What they may do.
    pub(crate) fn role(&self) -> Role {
        Role::from_text(&self.user.role)
    }

    /// Whose things they ask for: their own where they name nobody; none where they name others and are no admin.
    pub(crate) fn whose(&self, named: Option<String>) -> Option<UserId> {
        let user = named.map_or_else(|| self.user.id.clone(), UserId::from);
        (user == self.user.id || self.is_admin()).then_some(user)
    }

    /// Whether they run the server.
    pub(crate) fn is_admin(&self) -> bool {
        self.role() == Role::Admin
    }
}

/// Looks keys up.
pub(crate) struct Access {
    store: Store,
    /// Knows when people are no longer who they were.
    dispatch: Dispatch,
    known: Mutex<Known>,
    leases: Mutex<Leases>,
    /// Told when a key may have changed.
    changed: Notify,
}

/// What was looked up, by the hash of the secret.
#[derive(Default)]
struct Known {
    callers: HashMap<[u8; 32], (Caller, Instant)>,
    /// How often all was forgotten.
    forgotten: u64,
}

/// Keys by which connections are open.
#[derive(Default)]
struct Leases {
    open: HashMap<u64, (ApiKeyId, CancellationToken)>,
    next: u64,
}

impl Access {
    /// Over a store, and over what knows of people.
    pub(crate) fn new(store: Store, dispatch: Dispatch) -> Self {
        Self { store, dispatch, known: Mutex::default(), leases: Mutex::default(), changed: Notify::new() }
    }

    /// Who holds a key; none for one that is wrong, revoked, or held by somebody who is not admitted.
    pub(crate) async fn verify(&self, secret: &str) -> Result<Option<Caller>, StoreError> {
        // The map is searched by a hash, so that how long the search takes says nothing about keys.
        let hash = *blake3::hash(secret.as_bytes()).as_bytes();
        let now = Instant::now();
        let forgotten = {
            let known = self.known();
            if let Some((caller, _)) = known.callers.get(&hash).filter(|(_, until)| now < *until) {
                return Ok(Some(caller.clone()));
            }
            known.forgotten
        };
        // From before the statement, so that nothing is taken for fresh that was read a while ago.
        let until = now + FRESH;
        let Some((key, user)) = self.store.api_keys().verify(secret).await? else { return Ok(None) };
        let caller = Caller { user, key, secret: secret.into() };
        let mut known = self.known();
        if known.callers.len() >= KEPT {
            known.callers.retain(|_, (_, until)| now < *until);
        }
        // What was read before something changed must not outlive the change.
        if known.forgotten == forgotten && known.callers.len() < KEPT {
            known.callers.insert(hash, (caller.clone(), until));
        }
        Ok(Some(caller))
    }

    /// Whether a key still gives what it gave when the request came. Reading a body may have taken a minute.
    pub(crate) async fn holds(&self, caller: &Caller) -> Result<bool, StoreError> {
        let now = self.verify(&caller.secret).await?;
        Ok(now.is_some_and(|now| now.key == caller.key && now.role() == caller.role()))
    }

    /// Forgets what was looked up, and looks at open connections soon: a key, a person or a role has changed.
    pub(crate) fn forget(&self) {
        self.clear();
        self.changed.notify_one();
    }

    /// For a connection that stays open.
    pub(crate) fn lease(self: &Arc<Self>, caller: &Caller) -> Lease {
        self.lease_with(caller, || {})
    }

    /// For a connection that stays open and has something to end at once.
    pub(crate) fn lease_with(
        self: &Arc<Self>,
        caller: &Caller,
        end: impl FnOnce() + Send + 'static,
    ) -> Lease {
        let present = self.dispatch.present(&caller.principal());
        let over = present.token().clone();
        let listed = self.list(caller.key.clone(), over.clone());
        let (access, caller, told) = (Arc::clone(self), caller.clone(), over.clone());
        let watch = tokio::spawn(async move {
            tokio::select! {
                () = access.until_it_does_not_hold(&caller) => told.cancel(),
                () = told.cancelled() => {}
            }
            drop((present, listed));
            end();
        });
        Lease { over, _watch: AbortOnDropHandle::new(watch) }
    }

    /// Looks for changes by others until it is cancelled.
    pub(crate) async fn watch(self: Arc<Self>, cancel: CancellationToken) {
        let (mut last, mut failing) = (None, false);
        loop {
            tokio::select! {
                () = tokio::time::sleep(POLL) => {}
                () = self.changed.notified() => {}
                () = cancel.cancelled() => return,
            }
            let Some(looked) = cancel.run_until_cancelled(self.look(&mut last)).await else { return };
            match (&looked, failing) {
                (Ok(()), true) => tracing::info!("changed keys are noticed again"),
                (Err(error), false) => tracing::warn!(%error, "changed keys are not noticed for now"),
                _ => {}
            }
            failing = looked.is_err();
        }
    }

    /// Ends the leases of keys that are gone. One statement, and where something has changed, one more for up to 1,000 keys.
    async fn look(&self, last: &mut Option<i64>) -> Result<(), StoreError> {
        let generation = self.store.plugins().generation().await?;
        if *last == Some(generation) {
            return Ok(());
        }
        self.clear();
        let leases = lock(&self.leases).open.clone();
        let keys: BTreeSet<&ApiKeyId> = leases.values().map(|(key, _)| key).collect();
        let there = self.store.api_keys().existing(&keys.into_iter().cloned().collect::<Vec<_>>()).await?;
        for (_, over) in leases.values().filter(|(key, _)| !there.contains(key)) {
            over.cancel();
        }
        *last = Some(generation);
        Ok(())
    }

    /// Looks once, since the key may have changed between the request's head and now; what comes later `look` sees.
    async fn until_it_does_not_hold(&self, caller: &Caller) {
        loop {
            match self.holds(caller).await {
                Ok(true) => return std::future::pending().await,
                Ok(false) => return,
                // It may have changed, so the question is asked until the database answers it.
                Err(_) => tokio::time::sleep(FRESH).await,
            }
        }
    }

    fn list(self: &Arc<Self>, key: ApiKeyId, over: CancellationToken) -> Listed {
        let mut leases = lock(&self.leases);
        let number = leases.next;
        leases.next += 1;
        leases.open.insert(number, (key, over));
        Listed { access: Arc::clone(self), number }
    }

    fn clear(&self) {
        let mut known = self.known();
        known.callers.clear();
        known.forgotten += 1;
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        lock(&self.known)
    }
}

/// Keeps a key among those by which connections are open.
struct Listed {
    access: Arc<Access>,
    number: u64,
}

impl Drop for Listed {
    fn drop(&mut self) {
        lock(&self.access.leases).open.remove(&self.number);
    }
}

/// Says when a key no longer gives what it gave.
pub(crate) struct Lease {
    over: CancellationToken,
    /// A task of its own, so that a stream which never rests does not keep the look-up from its end.
    _watch: AbortOnDropHandle<()>,
}

impl Lease {
    /// Returns once the key, the person or the role has changed; never, as long as all is as it was.
    pub(crate) async fn ended(&self) {
        self.over.cancelled().await;
    }
}

/// What is a caller's as long as their key holds. It is dropped when the key ends, also where nobody polls it because a client
/// does not read.
pub(crate) struct Leased<T> {
    held: Arc<Mutex<Option<T>>>,
    lease: Lease,
}

impl<T: Send + 'static> Leased<T> {
    /// Holds something for a caller.
    pub(crate) fn new(access: &Arc<Access>, caller: &Caller, held: T) -> Self {
        let held = Arc::new(Mutex::new(Some(held)));
        // What the client lets go must not wait for the task that would end it.
        let ended = Arc::downgrade(&held);
        let lease =
            access.lease_with(caller, move || drop(ended.upgrade().and_then(|held| lock(&held).take())));
        Self { held, lease }
    }

    /// Waits for what is held; none once the key no longer holds.
    pub(crate) async fn poll<R>(
        &self,
        mut poll: impl FnMut(&mut T, &mut Context<'_>) -> Poll<R>,
    ) -> Option<R> {
        let held = poll_fn(|ctx| lock(&self.held).as_mut().map_or(Poll::Pending, |held| poll(held, ctx)));
        tokio::select! {
            biased;
            () = self.lease.ended() => None,
            polled = held => Some(polled),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
