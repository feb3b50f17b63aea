//! Everything that runs in one turn, in one task: the work itself, the calls that it started, and what plugins ask of each other.
//!
//! A call of a plugin is a future that somebody has to poll. The turn's task polls them all side by side, so that no store is ever awaited
//! inside another, and dropping the turn drops everything.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use innkeeper_host::turn::{ChildRequest, Children};
use innkeeper_host::{CallHandle, CallSetup, Phase, Turn};
use innkeeper_model::receipt::{Outcome, Receipt};
use innkeeper_model::time::UnixNanos;
use innkeeper_model::{Error, PluginId, UserId};
use innkeeper_registry::Plugin;
use innkeeper_sandbox::{Answer, Ask, Budget, CallError, Delivery, Invocation, Permit};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::children;
use crate::dispatch::Dispatch;
use crate::error::DispatchError;
use crate::models::KnownList;

/// How long the work of a cancelled turn may go on.
const OVERDUE: Duration = Duration::from_secs(4);

/// What belongs to one turn.
pub(crate) struct Scope {
    pub(crate) dispatch: Dispatch,
    pub(crate) turn: Arc<Turn>,
    tasks: mpsc::UnboundedSender<BoxFuture<'static, ()>>,
    /// Toggle filters that the turn's request turned on.
    pub(crate) toggles: Vec<String>,
    calls: Mutex<Vec<String>>,
    /// Lists of pipes that were asked in this turn.
    pub(crate) lists: Mutex<HashMap<PluginId, watch::Receiver<KnownList>>>,
    /// Calls that list models, and all below them.
    listing: Mutex<HashSet<String>>,
}

/// Where a turn's children and tasks arrive.
pub(crate) struct Inbox {
    requests: mpsc::UnboundedReceiver<ChildRequest>,
    tasks: mpsc::UnboundedReceiver<BoxFuture<'static, ()>>,
    task_sender: mpsc::UnboundedSender<BoxFuture<'static, ()>>,
}

/// The way from a host function to the turn's task.
struct Outbox(mpsc::UnboundedSender<ChildRequest>);

impl Children for Outbox {
    fn submit(&self, request: ChildRequest) -> Result<(), Error> {
        let ended = || Error::new(innkeeper_model::ErrorCode::Cancelled, "the turn has ended");
        self.0.send(request).map_err(|_| ended())
    }
}

/// Makes both ends: for the turn, and for its task.
pub(crate) fn inbox() -> (Arc<dyn Children>, Inbox) {
    let (request_sender, requests) = mpsc::unbounded_channel();
    let (task_sender, tasks) = mpsc::unbounded_channel();
    (Arc::new(Outbox(request_sender)), Inbox { requests, tasks, task_sender })
}

/// A call that runs: its answer, and the handle that knows how it ended.
pub(crate) struct Started {
    pub(crate) delivery: Delivery,
    pub(crate) call: CallHandle,
    /// Ends the call when it is dropped; to be disarmed once there is an answer.
    pub(crate) cut: DropGuard,
}

impl Scope {
    pub(crate) fn new(dispatch: Dispatch, turn: Arc<Turn>, toggles: Vec<String>, inbox: &Inbox) -> Arc<Self> {
        let tasks = inbox.task_sender.clone();
        Arc::new(Self {
            dispatch,
            turn,
            tasks,
            toggles,
            calls: Mutex::default(),
            lists: Mutex::default(),
            listing: Mutex::default(),
        })
    }

    pub(crate) fn user(&self) -> Option<&UserId> {
        self.turn.principal.user()
    }

    /// Has the turn's task poll a future to its end.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        // It fails only where the turn's task has gone, and everything with it.
        let _ = self.tasks.send(Box::pin(task));
    }

    /// Ids of the calls made so far.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes an instance of a plugin for this turn.
    pub(crate) async fn instantiate(
        self: &Arc<Self>,
        plugin: &Arc<Plugin>,
        parent: Option<&CallHandle>,
        budget: Budget,
        permit: Permit,
    ) -> Result<Invocation, DispatchError> {
        let setup = self.setup(plugin, parent).await?;
        let made = self.dispatch.sandbox().instantiate(&plugin.loaded, setup, budget, permit).await;
        made.map_err(|(error, receipt)| {
            self.dispatch.receipts().record(receipt);
            DispatchError::call(&plugin.id, error)
        })
    }

    /// Starts a call on an instance of its own; the turn's task polls it to its end and keeps its receipt.
    pub(crate) async fn start(
        self: &Arc<Self>,
        plugin: &Arc<Plugin>,
        parent: Option<&CallHandle>,
        budget: Budget,
        permit: Permit,
        ask: Ask,
    ) -> Result<Started, DispatchError> {
        let started_at = self.dispatch.store().clock().nanos();
        let invocation = self.instantiate(plugin, parent, budget, permit).await?;
        let (call, export) = (invocation.call().clone(), ask.export());
        if matches!(ask, Ask::Models) {
            self.note_listing(call.id());
        }
        let (delivery, running) = invocation.start(ask);
        let receipts = self.dispatch.receipts().clone();
        let cut = CancellationToken::new();
        let started = Started { delivery, call: call.clone(), cut: cut.clone().drop_guard() };
        self.spawn(async move {
            let receipt = tokio::select! {
                biased;
                // First, or a guest that finds nobody reading and gives up would look as if it had failed.
                () = cut.cancelled() => cut_receipt(&call, export, started_at),
                receipt = running => receipt,
            };
            receipts.record(receipt);
        });
        Ok(started)
    }

    /// Ends an instance. Its permit comes once it is gone, which is at once where it leaves no background work.
    pub(crate) fn end(&self, invocation: Invocation) -> oneshot::Receiver<Permit> {
        let (mut ending, permit) = self.ending(invocation);
        if (&mut ending).now_or_never().is_none() {
            self.spawn(ending);
        }
        permit
    }

    /// The same behind the turn's back.
    pub(crate) fn finish(&self, invocation: Invocation) {
        self.spawn(self.ending(invocation).0);
    }

    fn ending(&self, invocation: Invocation) -> (BoxFuture<'static, ()>, oneshot::Receiver<Permit>) {
        let receipts = self.dispatch.receipts().clone();
        let (gone, permit) = oneshot::channel();
        let ending = async move {
            let (receipt, permit) = invocation.finish().await;
            receipts.record(receipt);
            // Where nobody wants it the slot is free.
            drop(permit.map(|permit| gone.send(permit)));
        };
        (Box::pin(ending), permit)
    }

    /// Whether a call is part of listing models.
    pub(crate) fn is_listing(&self, call: &str) -> bool {
        self.listing.lock().unwrap_or_else(PoisonError::into_inner).contains(call)
    }

    fn note_listing(&self, call: &str) {
        self.listing.lock().unwrap_or_else(PoisonError::into_inner).insert(call.to_owned());
    }

    /// A slot for a call that a plugin asks for, now or not at all.
    pub(crate) fn admit_child(&self, plugin: &Plugin) -> Result<Permit, DispatchError> {
        let permit = self.dispatch.sandbox().admit_child(&plugin.id, self.user(), &plugin.limits);
        permit.map_err(|error| DispatchError::call(&plugin.id, error))
    }

    /// A slot for the only call that a turn begins with; waits in the queue.
    pub(crate) async fn admit(&self, plugin: &Plugin) -> Result<Permit, DispatchError> {
        let plugins = [(plugin.id.clone(), Arc::clone(&plugin.limits))];
        let permits = self.dispatch.sandbox().admit(&plugins, self.user()).await;
        let permits = permits.map_err(|error| DispatchError::call(&plugin.id, error))?;
        permits.into_iter().next().ok_or(DispatchError::Internal)
    }

    async fn setup(
        &self,
        plugin: &Arc<Plugin>,
        parent: Option<&CallHandle>,
    ) -> Result<CallSetup, DispatchError> {
        let user_valves = match self.user() {
            Some(user) => self.dispatch.user_valves(plugin, user).await?,
            None => "{}".into(),
        };
        let grants = match parent {
            Some(parent) => Arc::new(plugin.grants.below(parent.grants())),
            None => Arc::clone(&plugin.grants),
        };
        let id = uuid::Uuid::now_v7().to_string();
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(id.clone());
        if parent.is_some_and(|parent| self.is_listing(parent.id())) {
            self.note_listing(&id);
        }
        Ok(CallSetup {
            id,
            parent: parent.map(|parent| parent.id().to_owned()),
            plugin: plugin.id.clone(),
            revision: plugin.revision,
            phase: Phase::Run(self.dispatch.store().clone()),
            turn: Arc::clone(&self.turn),
            grants,
            limits: Arc::clone(&plugin.limits),
            depth: parent.map_or(0, |parent| parent.setup().depth + 1),
            valves: Arc::clone(&plugin.valves),
            user_valves,
        })
    }
}

/// The receipt of a call that was dropped because nobody waited for its answer any more, and said then what fuel it took.
fn cut_receipt(call: &CallHandle, export: &str, started_at: UnixNanos) -> Receipt {
    let setup = call.setup();
    // For whoever waits for its end, where it went without a word.
    call.settle(Outcome::Cancelled, 0);
    let fuel = call.settled().now_or_never().map_or(0, |(_, fuel)| fuel);
    Receipt {
        id: setup.id.clone(),
        turn: setup.turn.id.clone(),
        parent: setup.parent.clone(),
        plugin: setup.plugin.clone(),
        revision: setup.revision,
        export: export.to_owned(),
        user: setup.turn.principal.user().cloned(),
        started_at,
        outcome: Outcome::Cancelled,
        delivered: call.usage(fuel),
        background: None,
    }
}

/// Waits for a call's answer. Dropping the future ends the call.
pub(crate) async fn answered(
    plugin: &Plugin,
    started: Started,
) -> Result<(Answer, DropGuard), DispatchError> {
    let Started { delivery, cut, .. } = started;
    match delivery.await {
        Ok(Ok(answer)) => Ok((answer, cut)),
        Ok(Err(error)) => {
            cut.disarm();
            Err(DispatchError::call(&plugin.id, error))
        }
        Err(_) => Err(DispatchError::Cancelled),
    }
}

/// What an outcome means for whoever waited for the end of a stream.
pub(crate) fn outcome_error(plugin: &Plugin, outcome: Outcome) -> Option<DispatchError> {
    let error = match outcome {
        Outcome::Ok => return None,
        Outcome::LimitExceeded { limit } => {
            let known = innkeeper_model::limits::Limits::ALL.iter().find(|info| info.name == limit);
            CallError::Limit(known.map_or("unknown", |info| info.name))
        }
        Outcome::Trapped { trap } => CallError::Trap(trap),
        Outcome::Cancelled => CallError::Cancelled,
        Outcome::Invalid => CallError::Invalid(
            "the answer ended without `finish` or `failed`, or held text that is not JSON".to_owned(),
        ),
        Outcome::Rejected | Outcome::Failed | Outcome::Internal => CallError::Internal,
    };
    Some(DispatchError::call(&plugin.id, error))
}

/// The turn's task: polls the work, its calls and their children until all have ended.
///
/// `client` ends the turn as long as the work goes on; what goes on in the background after that is ended by limits alone, or by `turn.cancel`.
pub(crate) async fn drive(
    scope: Arc<Scope>,
    mut inbox: Inbox,
    client: CancellationToken,
    work: BoxFuture<'static, ()>,
) {
    let mut running: FuturesUnordered<BoxFuture<'static, ()>> = FuturesUnordered::new();
    let cancel = scope.turn.cancel.clone();
    // Work that is cancelled ends by itself, unless it waits for a client who neither reads nor goes.
    let mut overdue = std::pin::pin!(async {
        cancel.cancelled().await;
        tokio::time::sleep(OVERDUE).await;
    });
    let mut work = Some(work);
    while work.is_some() || !running.is_empty() || !inbox.requests.is_empty() || !inbox.tasks.is_empty() {
        let working = work.is_some();
        // In this order: what was asked for is begun before anything is found to have ended.
        tokio::select! {
            biased;
            Some(request) = inbox.requests.recv() => running.push(Box::pin(children::serve(Arc::clone(&scope), request))),
            Some(task) = inbox.tasks.recv() => running.push(task),
            () = poll(&mut work), if working => work = None,
            Some(()) = running.next(), if !running.is_empty() => {}
            () = client.cancelled(), if working && !cancel.is_cancelled() => cancel.cancel(),
            () = &mut overdue, if working => {
                tracing::warn!(turn = scope.turn.id, "a cancelled turn did not end by itself");
                work = None;
            }
        }
    }
}

/// Waits for the end of a future that is there.
async fn poll(work: &mut Option<BoxFuture<'static, ()>>) {
    match work {
        Some(work) => work.as_mut().await,
        None => std::future::pending().await,
    }
}
