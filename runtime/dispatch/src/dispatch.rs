//! What serves turns: made once for a process, over the registry, the store and the sandbox.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt;
use innkeeper_host::Turn;
use innkeeper_host::turn::{Blobs, TurnContext};
use innkeeper_model::authority::Authority;
use innkeeper_model::{ChatId, MessageId, Principal, UserId};
use innkeeper_registry::{Plugin, Registry};
use innkeeper_sandbox::Sandbox;
use innkeeper_store::Store;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::chat::{Frame, attended};
use crate::error::DispatchError;
use crate::events::{Kept, TurnEvents};
use crate::hub::{About, Hub, Patience};
use crate::models::ModelCache;
use crate::people::{People, Present};
use crate::provider::{Provider, ProviderConfig};
use crate::receipts::ReceiptLog;
use crate::scope::{Scope, drive, inbox};

/// What a dispatch is made of.
pub struct DispatchOptions {
    /// The installed plugins.
    pub registry: Registry,
    /// The data.
    pub store: Store,
    /// Where plugins run.
    pub sandbox: Sandbox,
    /// Upstream models.
    pub providers: Vec<ProviderConfig>,
    /// The runtime that guests run on; another than that of sockets and timers, which a guest could delay.
    pub guests: Handle,
    /// Whether filters that ask for it keep their instance from inlet to outlet.
    pub keep_instances: bool,
    /// How long a question waits for its answer.
    pub ask_timeout: Duration,
    /// How long a question waits for a person who has left to come back.
    pub reconnect_grace: Duration,
    /// How long a client may read nothing of its answer.
    pub stall_timeout: Duration,
}

/// Serves turns. Cheap to clone.
#[derive(Clone)]
pub struct Dispatch(Arc<Inner>);

struct Inner {
    registry: Registry,
    store: Store,
    sandbox: Sandbox,
    providers: Vec<Arc<Provider>>,
    models: ModelCache,
    hub: Hub,
    receipts: ReceiptLog,
    guests: Handle,
    io: Handle,
    keep_instances: bool,
    patience: Patience,
    stall_timeout: Duration,
    draining: AtomicBool,
    people: People,
    stop: CancellationToken,
    turns: TaskTracker,
}

/// What is known of a turn when it begins.
pub(crate) struct NewTurn {
    pub(crate) id: String,
    pub(crate) principal: Principal,
    pub(crate) chat: Option<ChatId>,
    pub(crate) message: Option<MessageId>,
    pub(crate) locale: Option<String>,
    pub(crate) context: TurnContext,
    pub(crate) blobs: Blobs,
    pub(crate) frames: Option<mpsc::Sender<Frame>>,
    pub(crate) kept: Option<Arc<Kept>>,
    /// Toggle filters that the request turned on.
    pub(crate) toggles: Vec<String>,
}

impl NewTurn {
    /// A turn of nothing but a principal.
    pub(crate) fn of(principal: Principal) -> Self {
        Self {
            id: uuid::Uuid::now_v7().to_string(),
            principal,
            chat: None,
            message: None,
            locale: None,
            context: TurnContext::default(),
            blobs: Blobs::default(),
            frames: None,
            kept: None,
            toggles: Vec::new(),
        }
    }
}

impl Dispatch {
    /// Makes a dispatch. The present runtime is the one for sockets, timers and receipts.
    pub fn new(options: DispatchOptions) -> Result<Self, DispatchError> {
        let providers = options.providers.into_iter().map(|config| Provider::new(config).map(Arc::new));
        let (people, stop) = (People::default(), CancellationToken::new());
        tokio::spawn(people.clone().watch(options.store.clone(), stop.clone()));
        Ok(Self(Arc::new(Inner {
            providers: providers.collect::<Result<_, _>>()?,
            receipts: ReceiptLog::start(options.store.clone()),
            registry: options.registry,
            store: options.store,
            sandbox: options.sandbox,
            models: ModelCache::default(),
            hub: Hub::default(),
            guests: options.guests,
            io: Handle::current(),
            keep_instances: options.keep_instances,
            patience: Patience { answer: options.ask_timeout, reconnect: options.reconnect_grace },
            stall_timeout: options.stall_timeout,
            draining: AtomicBool::new(false),
            people,
            stop,
            turns: TaskTracker::new(),
        })))
    }

    /// The installed plugins.
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// The data.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// Keeps a person among those for whom something runs, and says when they are no longer who they were.
    pub fn present(&self, principal: &Principal) -> Present {
        self.0.people.enter(principal, &CancellationToken::new())
    }

    /// Events and questions of people.
    pub fn hub(&self) -> &Hub {
        &self.0.hub
    }

    /// Where receipts go.
    pub fn receipts(&self) -> &ReceiptLog {
        &self.0.receipts
    }

    /// What all calls since the start cost, by plugin, in the format of OpenMetrics.
    ///
    /// # Errors
    /// Never in practice: texts take whatever is written into them.
    pub fn metrics(&self) -> Result<String, std::fmt::Error> {
        let metrics = self.0.receipts.metrics();
        metrics.turns.set(i64::try_from(self.running()).unwrap_or(i64::MAX));
        metrics.free_instances.set(i64::try_from(self.0.sandbox.free_instances()).unwrap_or(i64::MAX));
        metrics.text()
    }

    /// Turns that run, background work included.
    pub fn running(&self) -> usize {
        self.0.turns.len()
    }

    /// Takes no more turns and waits for those that run. At the deadline they are cancelled, questions that wait included.
    pub async fn drain(&self, deadline: Duration) {
        self.0.draining.store(true, Ordering::Relaxed);
        self.0.turns.close();
        if tokio::time::timeout(deadline, self.0.turns.wait()).await.is_err() {
            tracing::warn!(turns = self.0.turns.len(), "turns are cut at the drain deadline");
        }
        self.stop_now();
        if tokio::time::timeout(Duration::from_secs(5), self.0.turns.wait()).await.is_err() {
            tracing::error!(turns = self.0.turns.len(), "turns did not end when they were cancelled");
        }
        self.0.receipts.flush().await;
    }

    /// Cancels every turn.
    pub fn stop_now(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
        self.0.stop.cancel();
    }

    pub(crate) fn sandbox(&self) -> &Sandbox {
        &self.0.sandbox
    }

    pub(crate) fn providers(&self) -> &[Arc<Provider>] {
        &self.0.providers
    }

    pub(crate) fn model_cache(&self) -> &ModelCache {
        &self.0.models
    }

    pub(crate) fn io(&self) -> &Handle {
        &self.0.io
    }

    pub(crate) fn stall_timeout(&self) -> Duration {
        self.0.stall_timeout
    }

    pub(crate) fn keeps_instances(&self) -> bool {
        self.0.keep_instances
    }

    /// A person's settings of a plugin. What is not known yet is read by a task of its own: in a turn's it would hold a connection while
    /// guests compute.
    pub(crate) async fn user_valves(
        &self,
        plugin: &Arc<Plugin>,
        user: &UserId,
    ) -> Result<Arc<str>, DispatchError> {
        let (plugin, user) = (Arc::clone(plugin), user.clone());
        let mut read = Box::pin(async move { plugin.user_valves(&user).await });
        if let Some(known) = (&mut read).now_or_never() {
            return Ok(known?);
        }
        let read = self.0.io.spawn(read);
        Ok(AbortOnDropHandle::new(read).await.map_err(|_| DispatchError::Internal)??)
    }

    /// Whether a turn may begin at all.
    pub(crate) fn admit_turn(&self, principal: &Principal) -> Result<(), DispatchError> {
        if self.0.draining.load(Ordering::Relaxed) {
            return Err(DispatchError::Unavailable { limit: "draining", retry_after_ms: 5_000 });
        }
        if matches!(principal, Principal::Person { .. }) && !principal.is_admitted() {
            return Err(DispatchError::NotAllowed("an admin has to admit you first".to_owned()));
        }
        Ok(())
    }

    /// Whether the principal may name a chat, and a message that is to be in it. Ids come from strangers; a chat of somebody else's looks
    /// like one that is not there.
    pub(crate) async fn check_chat(
        &self,
        principal: &Principal,
        chat: Option<&ChatId>,
        message: Option<&MessageId>,
        writes: bool,
    ) -> Result<(), DispatchError> {
        let refused = || DispatchError::NotAllowed("there is no such chat that you may use".to_owned());
        let Some(chat) = chat else {
            let problem = "`store` needs the id of a chat of yours".to_owned();
            return if writes { Err(DispatchError::Body(problem)) } else { Ok(()) };
        };
        let user = principal.user().ok_or_else(refused)?;
        if !chat.is_saved() {
            return if writes { Err(refused()) } else { Ok(()) };
        }
        let authority = Authority::Own(user.clone());
        let chats = self.store().chats();
        let may = if writes {
            chats.may_write(&authority, chat).await?
        } else {
            chats.may_see(&authority, chat).await?
        };
        if !may {
            return Err(refused());
        }
        if let Some(message) = message
            && self.store().chat_messages().get(&authority, chat, message).await?.is_none()
        {
            return Err(DispatchError::NotAllowed("there is no such message in the chat".to_owned()));
        }
        Ok(())
    }

    /// Where events about a message are kept: in the message, where it is stored here and the principal may write in its chat.
    /// The message has been checked.
    pub(crate) async fn keeps(
        &self,
        principal: &Principal,
        chat: Option<&ChatId>,
        message: Option<&MessageId>,
    ) -> Result<Option<Arc<Kept>>, DispatchError> {
        let (Some(chat), Some(message), Some(user)) = (chat, message, principal.user()) else {
            return Ok(None);
        };
        let authority = Authority::Own(user.clone());
        if !chat.is_saved() || !self.store().chats().may_write(&authority, chat).await? {
            return Ok(None);
        }
        Ok(Some(Arc::new(Kept::new(self.clone(), authority, chat.clone(), message.clone()))))
    }

    /// Runs something to its end, also where whoever waits for it goes away in the middle.
    pub(crate) async fn to_its_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, DispatchError>> + Send + 'static,
    ) -> Result<T, DispatchError> {
        let ended = self.0.turns.spawn_on(work, &self.0.io).await;
        ended.unwrap_or_else(|error| {
            tracing::error!(%error, "a task of a turn ended without an answer");
            Err(DispatchError::Internal)
        })
    }

    /// Runs a turn's work in a task of its own. `client` ends it as long as the work goes on.
    pub(crate) fn launch<F, Fut>(&self, new: NewTurn, client: CancellationToken, work: F)
    where
        F: FnOnce(Arc<Scope>) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let (children, inbox) = inbox();
        let present = self.0.people.enter(&new.principal, &self.0.stop);
        let cancel = present.cancel.clone();
        let about = About { chat: new.chat.clone(), message: new.message.clone(), turn: new.id.clone() };
        let events = TurnEvents {
            hub: self.0.hub.clone(),
            user: new.principal.user().cloned(),
            about,
            patience: self.0.patience,
            cancel: cancel.clone(),
            frames: new.frames,
            stall: self.0.stall_timeout,
            kept: new.kept,
        };
        let turn = Turn {
            id: new.id,
            principal: new.principal,
            chat: new.chat,
            message: new.message,
            locale: new.locale,
            context: new.context,
            blobs: new.blobs,
            events: Arc::new(events),
            children,
            cancel,
        };
        let scope = Scope::new(self.clone(), Arc::new(turn), new.toggles, &inbox);
        // Boxed before it is passed on: a turn's future is large, and each hand that it went through by value would copy it.
        let work = Box::pin(work(Arc::clone(&scope)));
        let task = async move {
            drive(scope, inbox, client, work).await;
            drop(present);
        };
        self.0.turns.spawn_on(task, &self.0.guests);
    }

    /// Runs a turn whose work has a result. Dropping the future ends the turn. What its events left to keep is kept in either case.
    pub(crate) async fn run<F, Fut, R>(&self, new: NewTurn, work: F) -> Result<R, DispatchError>
    where
        F: FnOnce(Arc<Scope>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<R, DispatchError>> + Send + 'static,
        R: Send + 'static,
    {
        let (sender, result) = oneshot::channel();
        let client = CancellationToken::new();
        let _guard = client.clone().drop_guard();
        let kept = new.kept.clone();
        self.launch(new, client, move |scope| async move {
            let cancel = scope.turn.cancel.clone();
            let result = attended(&cancel, kept.as_ref(), Box::pin(work(scope))).await;
            if let Some(kept) = kept {
                kept.end().await;
            }
            // Nobody listens where the client has gone.
            let _ = sender.send(result);
        });
        result.await.unwrap_or(Err(DispatchError::Cancelled))
    }
}
