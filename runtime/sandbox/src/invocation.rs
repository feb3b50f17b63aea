//! One instance and the calls on it. It owns the store, so that whatever ends the call also ends what the guest had in flight.
//!
//! Deadlines are raced against the guest from outside its event loop. A trap, a cut or a limit retires the instance:
//! nothing is ever called on it again.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use innkeeper_host::clocks::{Allowance, CallClock};
use innkeeper_host::fuel::{Lent, Returned, take_in};
use innkeeper_host::{CallHandle, CallSetup, State};
use innkeeper_model::PluginError;
use innkeeper_model::limits::Limits;
use innkeeper_model::receipt::{Background, Outcome, Receipt, Usage};
use innkeeper_model::time::UnixNanos;
use tokio::sync::oneshot;
use tracing::Instrument as _;
use wasmtime::component::Accessor;
use wasmtime::{AsContextMut, Store};

use crate::admission::Permit;
use crate::engine::FUEL_YIELD;
use crate::error::{CallError, LoadError};
use crate::exports::{Answer, Ask, Live, Rest};
use crate::plugin::LoadedPlugin;
use crate::tank::Tank;

/// An instance of a plugin with its store, for one principal and one turn.
pub struct Invocation {
    store: Store<State>,
    instance: Live,
    plugin: Arc<LoadedPlugin>,
    call: CallHandle,
    export: &'static str,
    started_at: UnixNanos,
    tank: Tank,
    /// The latest error of a hook, as the plugin says it; `Ok` where there was none.
    said: Outcome,
    retired: Option<Outcome>,
    // Declared last and so dropped last: the slot is free only when the instance is gone.
    permit: Option<Permit>,
}

/// Where a call's result arrives, before its background work ends. It fails where the call was dropped.
pub type Delivery = oneshot::Receiver<Result<Answer, CallError>>;

/// What a call may take, beyond its limits block.
#[derive(Clone, Debug)]
pub struct Budget {
    /// Fuel in all.
    pub fuel: u64,
    /// Active time in all.
    pub active: Duration,
    /// Waiting time in all.
    pub waiting: Duration,
    /// Where another call lends the fuel: no more than is there when it is wanted.
    pub lent: Option<Lent>,
}

impl Budget {
    /// What the limits say for a request of `body_bytes`.
    pub fn new(limits: &Limits, body_bytes: u64) -> Self {
        let for_body = limits.fuel_per_kib.saturating_mul(body_bytes.div_ceil(1024));
        Self {
            fuel: limits.fuel.saturating_add(for_body),
            active: Duration::from_millis(limits.active),
            waiting: Duration::from_millis(limits.waiting),
            lent: None,
        }
    }

    /// The smaller of both in each respect, of fuel that the other lends.
    pub fn within(self, other: &Self) -> Self {
        Self {
            fuel: self.fuel.min(other.fuel),
            active: self.active.min(other.active),
            waiting: self.waiting.min(other.waiting),
            lent: self.lent.or_else(|| other.lent.clone()),
        }
    }
}

impl Drop for Invocation {
    /// Whoever drops a call before it has said how it ended still hears what fuel it took.
    fn drop(&mut self) {
        let used = self.fuel_used();
        self.tank.empty(&mut self.store);
        self.call.settle(Outcome::Cancelled, used);
    }
}

impl Invocation {
    /// Makes an instance. Start functions of the guest run here, under the call's limits.
    /// Fails with the receipt of what was used.
    pub(crate) async fn new(
        plugin: Arc<LoadedPlugin>,
        mut setup: CallSetup,
        budget: Budget,
        permit: Permit,
        started_at: UnixNanos,
        max_memory: u64,
    ) -> Result<Self, (CallError, Receipt)> {
        if setup.limits.memory > max_memory {
            // The pool could not give more, and the guest should hear of a limit rather than of a failure.
            setup.limits = Arc::new(Limits { memory: max_memory, ..(*setup.limits).clone() });
        }
        let allowance = Allowance::Apart { active: budget.active, waiting: budget.waiting };
        let call = CallHandle::new(setup, Arc::new(CallClock::start(allowance)));
        let export = "instantiate";
        let mut tank = Tank::new(&budget);
        let filled = store(&plugin, &call).and_then(|mut store| {
            tank.fill(&mut store)?;
            Ok(store)
        });
        let mut store = match filled {
            Ok(store) => store,
            Err(error) => {
                let error = CallError::from_wasmtime(error);
                let receipt = receipt(&call, export, started_at, error.outcome(), Usage::default(), None);
                return Err((error, receipt));
            }
        };
        let span = call.span().clone();
        let made = bounded(&call, pin!(plugin.pre.instantiate_async(&mut store))).instrument(span).await;
        tank.empty(&mut store);
        match made {
            Ok(instance) => {
                call.clock().pause();
                Ok(Self {
                    store,
                    instance: Live::new(instance),
                    plugin,
                    call,
                    export,
                    started_at,
                    tank,
                    said: Outcome::Ok,
                    retired: None,
                    permit: Some(permit),
                })
            }
            Err(error) => {
                let used = call.usage(tank.granted());
                let receipt = receipt(&call, export, started_at, error.outcome(), used, None);
                Err((error, receipt))
            }
        }
    }

    /// The call's handle.
    pub fn call(&self) -> &CallHandle {
        &self.call
    }

    /// Whether the instance can be called again.
    pub fn is_usable(&self) -> bool {
        self.retired.is_none()
    }

    /// Tasks, streams and handles that the instance has open; a leak shows as growth from hook to hook.
    #[doc(hidden)]
    pub fn open_tasks(&mut self) -> usize {
        self.store.concurrent_state_table_size()
    }

    /// Compares the plugin's exports with the contract's types.
    pub(crate) fn check_exports(&mut self) -> Result<(), LoadError> {
        self.plugin.exports.check(&mut self.store, &self.instance)
    }

    /// Asks the plugin to describe itself.
    pub(crate) async fn describe(mut self) -> Result<innkeeper_model::manifest::RawManifest, CallError> {
        let (plugin, instance) = (Arc::clone(&self.plugin), &self.instance);
        self.tank.fill(&mut self.store).map_err(CallError::from_wasmtime)?;
        self.call.clock().resume(None);
        let span = self.call.span().clone();
        bounded(&self.call, pin!(plugin.exports.describe(&mut self.store, instance))).instrument(span).await
    }

    /// Calls a hook and keeps the instance for the next one. The whole call's budget goes on, but not its clocks between hooks;
    /// each hook has a bound of its own on its active time besides. Dropping the future retires the instance.
    pub async fn hook(&mut self, ask: Ask) -> Result<Answer, CallError> {
        if self.retired.is_some() {
            return Err(CallError::Trap("the instance was retired by an earlier failure".to_owned()));
        }
        self.export = ask.export();
        // What holds if this future is dropped.
        self.retired = Some(Outcome::Cancelled);
        self.tank.fill(&mut self.store).map_err(CallError::from_wasmtime)?;
        self.call.clock().resume(Some(Duration::from_millis(self.call.limits().hook)));
        let result = {
            let (plugin, instance, store) = (&self.plugin, &self.instance, &mut self.store);
            let run = pin!(async move {
                store
                    .run_concurrent(async |accessor| plugin.exports.ask(accessor, instance, ask).await)
                    .await?
            });
            bounded(&self.call, run).instrument(self.call.span().clone()).await
        };
        self.call.clock().pause();
        self.tank.empty(&mut self.store);
        match result {
            Ok(answered) => {
                self.retired = None;
                answered.map(|(answer, _rest)| answer).map_err(|error| {
                    let error = CallError::Plugin(error);
                    self.said = error.outcome();
                    error
                })
            }
            Err(error) => {
                self.retired = Some(error.outcome());
                Err(error)
            }
        }
    }

    /// Asks, and lets background work go on after the answer was delivered. The future drives everything and ends with the receipt;
    /// dropping it ends the call.
    pub fn start(mut self, ask: Ask) -> (Delivery, impl Future<Output = Receipt> + Send + 'static) {
        let (deliver, delivery) = oneshot::channel();
        self.export = ask.export();
        (delivery, self.drive(Some(ask), Some(deliver)))
    }

    /// Ends a kept instance: lets background work of its hooks go on, then makes the receipt, and gives back the right to an instance.
    pub async fn finish(mut self) -> (Receipt, Option<Permit>) {
        let permit = self.permit.take();
        // The instance is gone when this is over, and so the permit is free for the next one.
        let receipt = self.drive(None, None).await;
        (receipt, permit)
    }

    async fn drive(mut self, ask: Option<Ask>, deliver: Option<Deliver>) -> Receipt {
        if let Some(outcome) = self.retired.take() {
            let used = self.call.usage(self.fuel_used());
            return receipt(&self.call, self.export, self.started_at, outcome, used, None);
        }
        // It fails only where fuel is not counted; there is none then.
        let _ = self.tank.fill(&mut self.store);
        self.call.clock().resume(None);
        let progress = Progress {
            call: self.call.clone(),
            granted: self.tank.granted(),
            lent: self.tank.lent().cloned(),
            deliver,
            delivered: None,
        };
        let progress = std::sync::Mutex::new(progress);
        let (plugin, instance, said) = (&self.plugin, &self.instance, self.said.clone());
        let ended = {
            let (store, progress) = (&mut self.store, &progress);
            let run = pin!(async move {
                store
                    .run_concurrent(async |accessor| {
                        serve(accessor, plugin, instance, ask, said, progress).await
                    })
                    .await?
            });
            bounded(&self.call, run).instrument(self.call.span().clone()).await
        };
        let Progress { deliver, delivered, .. } =
            progress.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let _ = take_in(&mut self.store);
        let left = self.store.get_fuel().unwrap_or(0);
        match delivered {
            // The result was out: whatever came later is background work.
            Some(Answered { outcome, mut used, background: background_fuel, late }) => {
                // Of what it had lent until then it did not use all.
                let late = late.take();
                used.fuel = used.fuel.saturating_sub(late);
                if let Some(lent) = self.tank.lent() {
                    lent.put(late);
                }
                let background = background_fuel.map(|fuel| Background {
                    outcome: ended.as_ref().err().map_or(Outcome::Ok, background_outcome),
                    used: since(self.call.usage(used.fuel.saturating_add(fuel.saturating_sub(left))), &used),
                });
                receipt(&self.call, self.export, self.started_at, outcome, used, background)
            }
            None => {
                let error = ended.err().unwrap_or(CallError::Internal);
                let used = self.call.usage(self.fuel_used());
                let outcome = error.outcome();
                self.tank.empty(&mut self.store);
                self.call.settle(outcome.clone(), used.fuel);
                if let Some(deliver) = deliver {
                    // Nobody listens where the caller has gone.
                    let _ = deliver.send(Err(error));
                }
                receipt(&self.call, self.export, self.started_at, outcome, used, None)
            }
        }
    }

    /// Fuel used so far, children's included; background work has fuel of its own.
    pub fn fuel_used(&self) -> u64 {
        self.tank.granted().saturating_sub(self.store.get_fuel().unwrap_or(0))
    }
}

/// How far a driven call has come; read after the guest's event loop has ended, in whatever way.
struct Progress {
    call: CallHandle,
    /// Fuel that it got.
    granted: u64,
    lent: Option<Lent>,
    deliver: Option<Deliver>,
    delivered: Option<Answered>,
}

type Deliver = oneshot::Sender<Result<Answer, CallError>>;

/// The part of a call up to its answer.
struct Answered {
    outcome: Outcome,
    used: Usage,
    /// The fuel that background work got.
    background: Option<u64>,
    /// Where fuel comes back that was lent until then.
    late: Returned,
}

impl Progress {
    fn deliver(&mut self, result: Result<Answer, PluginError>) {
        if let Some(deliver) = self.deliver.take() {
            // Nobody listens where the caller has gone; the call is about to be dropped then.
            let _ = deliver.send(result.map_err(CallError::Plugin));
        }
    }
}

async fn serve(
    accessor: &Accessor<State>,
    plugin: &LoadedPlugin,
    instance: &Live,
    ask: Option<Ask>,
    said: Outcome,
    progress: &std::sync::Mutex<Progress>,
) -> wasmtime::Result<()> {
    let lock = || progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (outcome, rest) = match ask {
        None => (said, None),
        Some(ask) => {
            let answered = plugin.exports.ask(accessor, instance, ask).await?;
            match answered {
                Ok((answer, rest)) => {
                    lock().deliver(Ok(answer));
                    (Outcome::Ok, rest)
                }
                Err(error) => {
                    let outcome = CallError::Plugin(error.clone()).outcome();
                    lock().deliver(Err(error));
                    (outcome, None)
                }
            }
        }
    };
    streamed(rest).await?;
    begin_background(accessor, &lock, outcome)?;
    std::future::poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
    Ok(())
}

/// Waits until a stream that the answer holds has been written to its end.
async fn streamed(rest: Rest) -> wasmtime::Result<()> {
    match rest {
        Some(rest) => match rest.await {
            Ok(fault) => Err(wasmtime::Error::new(CallError::from(fault))),
            // Dropped without a word: a proper end.
            Err(_) => Ok(()),
        },
        None => Ok(()),
    }
}

/// Closes the delivered part's accounts. Where tasks of the guest go on, they get fuel and time of their own.
fn begin_background<'a>(
    accessor: &Accessor<State>,
    lock: &impl Fn() -> std::sync::MutexGuard<'a, Progress>,
    outcome: Outcome,
) -> wasmtime::Result<()> {
    let mut waker = std::task::Context::from_waker(std::task::Waker::noop());
    let goes_on = accessor.poll_no_interesting_tasks(&mut waker).is_pending();
    let mut progress = lock();
    let limits = Arc::clone(progress.call.limits());
    accessor.with(|mut access| {
        let mut store = access.as_context_mut();
        take_in(&mut store)?;
        let left = store.get_fuel()?;
        let used = progress.call.usage(progress.granted.saturating_sub(left));
        // What another call has lent does not grow by being delivered: tails of many children would be without end.
        let is_child = progress.call.setup().depth > 0;
        let fuel = if is_child { limits.background_fuel.min(left) } else { limits.background_fuel };
        if let Some(lent) = &progress.lent {
            let kept = if goes_on { fuel } else { 0 };
            store.set_fuel(kept)?;
            lent.put(left.saturating_sub(kept));
        }
        // What comes back from here on is not for background work, which did not lend it.
        let late = std::mem::take(&mut store.data_mut().returned);
        if goes_on {
            store.set_fuel(fuel)?;
            let time = Duration::from_millis(limits.background);
            progress.call.clock().restart(Allowance::Together { name: "background", bound: time });
        }
        progress.call.settle(outcome.clone(), used.fuel);
        progress.delivered = Some(Answered { outcome, used, background: goes_on.then_some(fuel), late });
        Ok(())
    })
}

/// Runs the guest until it ends, a clock runs out, or somebody ends the call.
/// The guest's future is pinned by the caller: taken by value it would be in this one twice, and each call's future is moved about.
async fn bounded<R>(
    call: &CallHandle,
    mut run: Pin<&mut impl Future<Output = wasmtime::Result<R>>>,
) -> Result<R, CallError> {
    let (cancel, removed) = (&call.turn().cancel, call.grants().ended());
    if cancel.is_cancelled() || removed.is_cancelled() {
        return Err(CallError::Cancelled);
    }
    let ended = async {
        tokio::select! {
            () = cancel.cancelled() => {}
            () = removed.cancelled() => {}
        }
    };
    let run = std::future::poll_fn(|cx| match call.clock().compute(cx, |cx| run.as_mut().poll(cx)) {
        Ok(polled) => polled.map_err(CallError::from_wasmtime),
        Err(limit) => Poll::Ready(Err(CallError::Limit(limit))),
    });
    tokio::select! {
        biased;
        result = run => result,
        limit = call.clock().expired() => Err(CallError::Limit(limit)),
        () = ended => Err(CallError::Cancelled),
    }
}

/// A store with every limit set, and no fuel.
fn store(plugin: &LoadedPlugin, call: &CallHandle) -> wasmtime::Result<Store<State>> {
    let limits = Arc::clone(call.limits());
    let mut store = Store::new(plugin.pre.engine(), State::new(call.clone()));
    store.limiter(|state| &mut state.limiter);
    store.fuel_async_yield_interval(Some(FUEL_YIELD))?;
    store.set_epoch_deadline(1);
    store.epoch_deadline_async_yield_and_update(1);
    store.set_hostcall_fuel(usize::try_from(limits.transfer).unwrap_or(usize::MAX));
    let handles = usize::try_from(limits.handles).unwrap_or(usize::MAX);
    store.set_max_component_handles(handles);
    if let Some(table) = store.concurrent_resource_table() {
        table.set_max_capacity(handles);
    }
    Ok(store)
}

fn receipt(
    call: &CallHandle,
    export: &str,
    started_at: UnixNanos,
    outcome: Outcome,
    delivered: Usage,
    background: Option<Background>,
) -> Receipt {
    let setup = call.setup();
    Receipt {
        id: setup.id.clone(),
        turn: setup.turn.id.clone(),
        parent: setup.parent.clone(),
        plugin: setup.plugin.clone(),
        revision: setup.revision,
        export: export.to_owned(),
        user: setup.turn.principal.user().cloned(),
        started_at,
        outcome,
        delivered,
        background,
    }
}

/// How background work ended: its limits have names of their own.
fn background_outcome(error: &CallError) -> Outcome {
    match error {
        CallError::Limit("fuel") => CallError::Limit("background-fuel").outcome(),
        error => error.outcome(),
    }
}

/// What was used after `before`. Clocks start anew in the background; peaks do not.
fn since(total: Usage, before: &Usage) -> Usage {
    let minus = |totals: std::collections::BTreeMap<String, u64>,
                 before: &std::collections::BTreeMap<String, u64>| {
        let less = |(name, count): (String, u64)| {
            let count = count.saturating_sub(before.get(&name).copied().unwrap_or(0));
            (count > 0).then_some((name, count))
        };
        totals.into_iter().filter_map(less).collect()
    };
    Usage {
        fuel: total.fuel.saturating_sub(before.fuel),
        host_calls: minus(total.host_calls, &before.host_calls),
        host_bytes: minus(total.host_bytes, &before.host_bytes),
        rows: total.rows.saturating_sub(before.rows),
        events: total.events.saturating_sub(before.events),
        log_lines: total.log_lines.saturating_sub(before.log_lines),
        log_lines_dropped: total.log_lines_dropped.saturating_sub(before.log_lines_dropped),
        chunks: total.chunks.saturating_sub(before.chunks),
        active_us: total.active_us,
        waiting_us: total.waiting_us,
        peak_memory: total.peak_memory,
    }
}
