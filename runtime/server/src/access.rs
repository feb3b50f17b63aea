//! Who holds a key, and for how long that stays true.
//! A key is looked up at most once a second; a connection that stays open holds a lease, which ends within two seconds
//! of the key, the person or the role.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use innkeeper_model::principal::Role;
use innkeeper_model::user::User;
use innkeeper_model::{Principal, UserId};
use innkeeper_store::{ApiKeyId, Store, StoreError};
use tokio::sync::watch;
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

    /// Whether they run the server.
    pub(crate) fn is_admin(&self) -> bool {
        self.role() == Role::Admin
    }
}

/// Looks keys up.
pub(crate) struct Access {
    store: Store,
    known: Mutex<HashMap<[u8; 32], (Caller, Instant)>>,
    /// Told when a key, a person or a role may have changed.
    changes: watch::Sender<()>,
    /// Who has connections open, in which role they came, and how many.
    leased: Mutex<HashMap<(UserId, Role), usize>>,
}

impl Access {
    /// Over a store.
    pub(crate) fn new(store: Store) -> Self {
        Self { store, known: Mutex::default(), changes: watch::Sender::default(), leased: Mutex::default() }
    }

    /// Who holds a key; none for one that is wrong, revoked, or held by somebody who is not admitted.
    pub(crate) async fn verify(&self, secret: &str) -> Result<Option<Caller>, StoreError> {
        // The map is searched by a hash, so that how long the search takes says nothing about keys.
        let hash = *blake3::hash(secret.as_bytes()).as_bytes();
        let now = Instant::now();
        let known =
            self.known().get(&hash).filter(|(_, until)| now < *until).map(|(caller, _)| caller.clone());
        if known.is_some() {
            return Ok(known);
        }
        // From before the statement, so that nothing is taken for fresh that was read a while ago.
        let until = now + FRESH;
        let Some((key, user)) = self.store.api_keys().verify(secret).await? else { return Ok(None) };
        let caller = Caller { user, key, secret: secret.into() };
        let mut known = self.known();
        if known.len() >= KEPT {
            known.retain(|_, (_, until)| now < *until);
        }
        if known.len() < KEPT {
            known.insert(hash, (caller.clone(), until));
        }
        Ok(Some(caller))
    }

    /// Whether a key still gives what it gave when the request came. Reading a body may have taken a minute.
    pub(crate) async fn holds(&self, caller: &Caller) -> Result<bool, StoreError> {
        let now = self.verify(&caller.secret).await?;
        Ok(now.is_some_and(|now| now.key == caller.key && now.role() == caller.role()))
    }

    /// Forgets what was looked up: a key, a person or a role has changed.
    pub(crate) fn forget(&self) {
        self.known().clear();
        self.changes.send_replace(());
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
        Lease::new(Arc::clone(self), caller.clone(), end)
    }

    /// Looks for changes by others until it is cancelled.
    pub(crate) async fn watch(self: Arc<Self>, cancel: CancellationToken) {
        let (mut last, mut failing) = (None, false);
        while cancel.run_until_cancelled(tokio::time::sleep(POLL)).await.is_some() {
            let Some(looked) = cancel.run_until_cancelled(self.look(&mut last)).await else { return };
            match (&looked, failing) {
                (Ok(()), true) => tracing::info!("changed keys and roles are noticed again"),
                (Err(error), false) => {
                    tracing::warn!(%error, "changed keys and roles are not noticed for now")
                }
                _ => {}
            }
            failing = looked.is_err();
        }
    }

    /// Two statements, however many connections are open. Open WebUI moves no generation on when it changes a role.
    async fn look(&self, last: &mut Option<i64>) -> Result<(), StoreError> {
        let generation = self.store.plugins().generation().await?;
        if last.replace(generation) != Some(generation) {
            self.forget();
        }
        let leased: Vec<(UserId, Role)> = self.leased().keys().cloned().collect();
        let people: Vec<UserId> = leased.iter().map(|(user, _)| user.clone()).collect();
        let roles = self.store.users().roles(&people).await?;
        if leased.iter().any(|(user, role)| roles.get(user) != Some(role)) {
            self.forget();
        }
        Ok(())
    }

    fn leased(&self) -> MutexGuard<'_, HashMap<(UserId, Role), usize>> {
        self.leased.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<[u8; 32], (Caller, Instant)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says when a key no longer gives what it gave.
pub(crate) struct Lease {
    access: Arc<Access>,
    holder: (UserId, Role),
    over: CancellationToken,
    /// A task of its own, so that a stream which never rests does not keep the look-up from its end.
    _watch: AbortOnDropHandle<()>,
}

impl Lease {
    fn new(access: Arc<Access>, caller: Caller, end: impl FnOnce() + Send + 'static) -> Self {
        let over = CancellationToken::new();
        let holder = (caller.user.id.clone(), caller.role());
        *access.leased().entry(holder.clone()).or_default() += 1;
        let (changes, told, of) = (access.changes.subscribe(), over.clone(), Arc::clone(&access));
        let watch = tokio::spawn(async move {
            watch_one(&of, &caller, changes).await;
            told.cancel();
            end();
        });
        Self { access, holder, over, _watch: AbortOnDropHandle::new(watch) }
    }

    /// Returns once the key, the person or the role has changed; never, as long as all is as it was.
    pub(crate) async fn ended(&self) {
        self.over.cancelled().await;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Entry::Occupied(mut open) = self.access.leased().entry(self.holder.clone()) {
            *open.get_mut() -= 1;
            if *open.get() == 0 {
                open.remove();
            }
        }
    }
}

/// Returns once a key gives no longer what it gave. Looks at once, since it may have changed between the request's head and now.
async fn watch_one(access: &Access, caller: &Caller, mut changes: watch::Receiver<()>) {
    loop {
        match access.holds(caller).await {
            Ok(true) => {}
            Ok(false) => return,
            // Something may have changed, so the question is asked until the database answers it.
            Err(_) => {
                tokio::time::sleep(FRESH).await;
                continue;
            }
        }
        if changes.changed().await.is_err() {
            return std::future::pending().await;
        }
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
        let ended = Arc::clone(&held);
        let lease = access.lease_with(caller, move || drop(lock(&ended).take()));
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

fn lock<T>(held: &Mutex<Option<T>>) -> MutexGuard<'_, Option<T>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}
