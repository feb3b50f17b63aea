//! Who holds a key, and for how long that stays true.
//! A key is looked up at most once a second; a connection that stays open holds a lease, which ends within two seconds
//! of the key, the person or the role.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use innkeeper_model::Principal;
use innkeeper_model::principal::Role;
use innkeeper_model::user::User;
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
    generation: watch::Sender<i64>,
}

impl Access {
    /// Over a store.
    pub(crate) fn new(store: Store) -> Self {
        Self { store, known: Mutex::default(), generation: watch::Sender::new(0) }
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

    /// Forgets what was looked up: a key, a person or a role has changed here.
    pub(crate) fn forget(&self) {
        self.known().clear();
        self.generation.send_modify(|generation| *generation = generation.wrapping_sub(1));
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
        let mut last = None;
        while cancel.run_until_cancelled(tokio::time::sleep(POLL)).await.is_some() {
            match self.store.plugins().generation().await {
                Ok(generation) if last.replace(generation) != Some(generation) => {
                    self.known().clear();
                    self.generation.send_replace(generation);
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "cannot look for changed keys and roles"),
            }
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], (Caller, Instant)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says when a key no longer gives what it gave.
pub(crate) struct Lease {
    over: CancellationToken,
    /// A task of its own, so that a stream which never rests does not keep the look-up from its end.
    _watch: AbortOnDropHandle<()>,
}

impl Lease {
    fn new(access: Arc<Access>, caller: Caller, end: impl FnOnce() + Send + 'static) -> Self {
        let over = CancellationToken::new();
        let (changes, told) = (access.generation.subscribe(), over.clone());
        let watch = tokio::spawn(async move {
            watch_one(&access, &caller, changes).await;
            told.cancel();
            end();
        });
        Self { over, _watch: AbortOnDropHandle::new(watch) }
    }

    /// Returns once the key, the person or the role has changed; never, as long as all is as it was.
    pub(crate) async fn ended(&self) {
        self.over.cancelled().await;
    }
}

async fn watch_one(access: &Access, caller: &Caller, mut changes: watch::Receiver<i64>) {
    loop {
        if changes.changed().await.is_err() {
            return std::future::pending().await;
        }
        loop {
            match access.verify(&caller.secret).await {
                Ok(Some(now)) if now.key == caller.key && now.role() == caller.role() => break,
                Ok(_) => return,
                // A change is known, so the question is asked until the database answers it.
                Err(_) => tokio::time::sleep(FRESH).await,
            }
        }
    }
}
