//! One call of a plugin, as host functions see it: an owned handle on who calls, for whom, and what is left.
//!
//! Every host function begins with `CallHandle::begin` and ends with `HostCall::finish`; a missing check is visible as a missing call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use innkeeper_model::authority::Authority;
use innkeeper_model::limits::Limits;
use innkeeper_model::permission::Grants;
use innkeeper_model::receipt::{Outcome, Usage};
use innkeeper_model::{Error, Permission, PluginId, Principal, UserId};
use innkeeper_store::{RowBudget, Store};

use tokio::sync::SetOnce;

use crate::clocks::CallClock;
use crate::fault::{Fault, Stop, denied};
use crate::grants::LiveGrants;
use crate::turn::Turn;
use crate::weigh::Weigh;

/// The interfaces that a guest can import, for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
#[expect(missing_docs, reason = "named as in the contract")]
pub enum Interface {
    ChatMessages,
    Chats,
    Completions,
    Config,
    Context,
    Events,
    Files,
    Kv,
    Log,
    Memories,
    Toolbox,
    Users,
}

const INTERFACES: [&str; 12] = [
    "chat-messages",
    "chats",
    "completions",
    "config",
    "context",
    "events",
    "files",
    "kv",
    "log",
    "memories",
    "toolbox",
    "users",
];

/// What a call is for, and with it whether it may use the imports of the contract at all.
#[derive(Clone)]
pub enum Phase {
    /// `describe`: every import of ours is refused, and there is no data to reach.
    Describe,
    /// Any other export, over the data.
    Run(Store),
}

/// What is known about a call when it begins.
pub struct CallSetup {
    /// Id of the call; the receipt carries it.
    pub id: String,
    /// Id of the call that made this one.
    pub parent: Option<String>,
    /// Whose code.
    pub plugin: PluginId,
    /// Which revision.
    pub revision: i64,
    /// What it is for.
    pub phase: Phase,
    /// The turn.
    pub turn: Arc<Turn>,
    /// What the plugin may do, as it changes.
    pub grants: Arc<LiveGrants>,
    /// What the call may use.
    pub limits: Arc<Limits>,
    /// How deep the call is below the one that a client made, from 0.
    pub depth: u64,
    /// The operator's settings, a JSON object.
    pub valves: Arc<str>,
    /// The person's settings, a JSON object.
    pub user_valves: Arc<str>,
}

/// A handle on a call. Cheap to clone; several host functions of one guest hold it at once.
#[derive(Clone)]
pub struct CallHandle(Arc<Call>);

struct Call {
    setup: CallSetup,
    span: tracing::Span,
    clock: Arc<CallClock>,
    counters: Counters,
    running: AtomicUsize,
    rows: Arc<RowBudget>,
    /// The data as host calls reach it; none while the plugin describes itself.
    store: Option<Arc<Store>>,
    settled: SetOnce<(Outcome, u64)>,
}

#[derive(Default)]
struct Counters {
    host_calls: [AtomicU64; INTERFACES.len()],
    host_bytes: [AtomicU64; INTERFACES.len()],
    total_calls: AtomicU64,
    total_bytes: AtomicU64,
    events: AtomicU64,
    log_lines: AtomicU64,
    log_lines_dropped: AtomicU64,
    chunks: AtomicU64,
    answer_bytes: AtomicU64,
    completions: AtomicU64,
    peak_memory: Arc<AtomicU64>,
}

impl CallHandle {
    /// Begins a call.
    pub fn new(setup: CallSetup, clock: Arc<CallClock>) -> Self {
        let rows = Arc::new(RowBudget::new(setup.limits.rows, setup.limits.row_bytes));
        let store = match &setup.phase {
            Phase::Run(store) => {
                Some(Arc::new(store.for_plugin(&setup.plugin).with_row_budget(Arc::clone(&rows))))
            }
            Phase::Describe => None,
        };
        let counters = Counters::default();
        let span = tracing::error_span!(parent: None, "call", plugin = %setup.plugin, call = setup.id);
        Self(Arc::new(Call {
            setup,
            span,
            clock,
            counters,
            running: AtomicUsize::new(0),
            rows,
            store,
            settled: SetOnce::new(),
        }))
    }

    /// Begins a host call that needs a permission; `bytes` is what the guest passed in.
    pub(crate) fn begin(
        &self,
        interface: Interface,
        permission: Permission,
        bytes: u64,
    ) -> Result<HostCall, Fault> {
        let call = self.begin_unchecked(interface, bytes)?;
        self.require(permission)?;
        self.admitted(permission)?;
        Ok(call)
    }

    /// Begins a host call whose permission is decided elsewhere, by what the guest passed in.
    pub(crate) fn begin_unchecked(&self, interface: Interface, bytes: u64) -> Result<HostCall, Fault> {
        let call = self.enter(interface, bytes)?;
        let most = self.0.setup.limits.concurrent_host_calls;
        if self.0.running.load(Ordering::Relaxed) as u64 > most {
            let message = format!("{most} host calls run at once already; await some of them first");
            return Err(Error::quota("concurrent-host-calls", message).into());
        }
        Ok(call)
    }

    /// Begins a host call that needs no permission and does not wait: what the plugin was called with, its own settings, its log.
    pub(crate) fn enter(&self, interface: Interface, bytes: u64) -> Result<HostCall, Fault> {
        let counters = &self.0.counters;
        if counters.total_calls.fetch_add(1, Ordering::Relaxed) >= self.0.setup.limits.host_calls {
            return Err(Stop::Limit("host-calls").into());
        }
        if let Some(counter) = counters.host_calls.get(interface as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        self.charge(interface, bytes)?;
        // Counted all the same: a flood of refused calls is a flood.
        let Some(store) = &self.0.store else {
            return Err(
                Error::unavailable("imports do not answer while the plugin describes itself", None).into()
            );
        };
        self.0.running.fetch_add(1, Ordering::Relaxed);
        Ok(HostCall { call: self.clone(), store: Arc::clone(store), interface })
    }

    /// Refuses people who were not admitted; jobs have nobody behind them.
    pub(crate) fn admitted(&self, permission: Permission) -> Result<(), Error> {
        match self.principal() {
            Principal::Person { .. } if !self.principal().is_admitted() => Err(Error::denied(
                permission,
                "the person may not use plugins; an admin has to admit them first",
            )),
            Principal::Person { .. } | Principal::Service => Ok(()),
        }
    }

    /// The grants that hold for the principal: for a job those granted as unattended, one by one.
    pub(crate) fn effective_grants(&self) -> Arc<Grants> {
        let grants = self.0.setup.grants.get();
        match self.principal() {
            Principal::Person { .. } => grants,
            Principal::Service => {
                let unattended = grants.0.iter().filter(|(_, grant)| grant.unattended);
                Arc::new(Grants(unattended.map(|(name, grant)| (*name, grant.clone())).collect()))
            }
        }
    }

    /// Checks a grant without beginning a host call.
    pub fn require(&self, permission: Permission) -> Result<(), Error> {
        match self.effective_grants().get(permission) {
            Some(_) => Ok(()),
            None => Err(denied(self.plugin(), permission)),
        }
    }

    /// Carries the plugin's name and the call's id into every line that the host or the guest logs.
    pub fn span(&self) -> &tracing::Span {
        &self.0.span
    }

    /// Id of the call.
    pub fn id(&self) -> &str {
        &self.0.setup.id
    }

    /// What is known about the call.
    pub fn setup(&self) -> &CallSetup {
        &self.0.setup
    }

    /// Whose code runs.
    pub fn plugin(&self) -> &PluginId {
        &self.0.setup.plugin
    }

    /// For whom.
    pub fn principal(&self) -> &Principal {
        &self.0.setup.turn.principal
    }

    /// The turn.
    pub fn turn(&self) -> &Arc<Turn> {
        &self.0.setup.turn
    }

    /// What the plugin may do at present.
    pub fn grants(&self) -> &Arc<LiveGrants> {
        &self.0.setup.grants
    }

    /// What the call may use.
    pub fn limits(&self) -> &Arc<Limits> {
        &self.0.setup.limits
    }

    /// Its clocks.
    pub fn clock(&self) -> &Arc<CallClock> {
        &self.0.clock
    }

    /// Where the limiter writes the highest sum of memory.
    pub fn peak_memory(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.0.counters.peak_memory)
    }

    /// Counts a chunk that the guest produced; fails with the limit's name where there are too many, or it is too large.
    pub fn count_chunk(&self, bytes: u64) -> Result<(), &'static str> {
        let limits = &self.0.setup.limits;
        if bytes > limits.chunk_bytes {
            return Err("chunk-bytes");
        }
        if self.0.counters.chunks.fetch_add(1, Ordering::Relaxed) >= limits.chunks {
            return Err("chunks");
        }
        // Whoever answers keeps the chunks, be it to store them.
        let before = self.0.counters.answer_bytes.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > limits.answer_bytes {
            return Err("answer-bytes");
        }
        Ok(())
    }

    /// Refuses an event that is too large, before it is taken apart.
    pub(crate) fn check_event_bytes(&self, bytes: u64) -> Result<(), Error> {
        let most = self.0.setup.limits.event_bytes;
        if bytes <= most {
            return Ok(());
        }
        let message = format!("the event has {bytes} bytes; at most {most} are allowed");
        Err(Error::quota("event-bytes", message))
    }

    pub(crate) fn count_event(&self, bytes: u64) -> Result<(), Error> {
        self.check_event_bytes(bytes)?;
        count_up_to(&self.0.counters.events, self.0.setup.limits.events, "events")
    }

    pub(crate) fn count_completion(&self) -> Result<(), Error> {
        count_up_to(&self.0.counters.completions, self.0.setup.limits.completions, "completions")
    }

    /// Counts bytes that pass between guest and host.
    pub(crate) fn charge(&self, interface: Interface, bytes: u64) -> Result<(), Stop> {
        let counters = &self.0.counters;
        if let Some(counter) = counters.host_bytes.get(interface as usize) {
            counter.fetch_add(bytes, Ordering::Relaxed);
        }
        if counters.total_bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes)
            > self.0.setup.limits.host_bytes
        {
            return Err(Stop::Limit("host-bytes"));
        }
        Ok(())
    }

    /// Whether there is room for another log line; counts it either way.
    pub(crate) fn count_log_line(&self) -> bool {
        let counters = &self.0.counters;
        let fits = count_up_to(&counters.log_lines, self.0.setup.limits.log_lines, "log-lines").is_ok();
        if !fits {
            counters.log_lines_dropped.fetch_add(1, Ordering::Relaxed);
        }
        fits
    }

    /// Notes how the call ended, background work apart, and what fuel it took. The first word counts.
    pub fn settle(&self, outcome: Outcome, fuel: u64) {
        // A call that was settled when its answer was complete is settled again when its background work ends.
        let _ = self.0.settled.set((outcome, fuel));
    }

    /// Waits for how the call ended, background work apart, and what fuel it took. One that is dropped settles as cancelled.
    pub async fn settled(&self) -> (Outcome, u64) {
        self.0.settled.wait().await.clone()
    }

    /// What has been used so far; `fuel` is what the store says.
    pub fn usage(&self, fuel: u64) -> Usage {
        let counters = &self.0.counters;
        let (active, waiting) = self.0.clock.used();
        let by_interface = |counts: &[AtomicU64; INTERFACES.len()]| {
            let nonzero = |(name, count): (&&str, &AtomicU64)| {
                let count = count.load(Ordering::Relaxed);
                (count > 0).then(|| ((*name).to_owned(), count))
            };
            INTERFACES.iter().zip(counts).filter_map(nonzero).collect()
        };
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Usage {
            fuel,
            active_us: u64::try_from(active.as_micros()).unwrap_or(u64::MAX),
            waiting_us: u64::try_from(waiting.as_micros()).unwrap_or(u64::MAX),
            peak_memory: load(&counters.peak_memory),
            host_calls: by_interface(&counters.host_calls),
            host_bytes: by_interface(&counters.host_bytes),
            rows: self.0.setup.limits.rows.saturating_sub(self.0.rows.rows_left()),
            events: load(&counters.events).min(self.0.setup.limits.events),
            log_lines: load(&counters.log_lines).min(self.0.setup.limits.log_lines),
            log_lines_dropped: load(&counters.log_lines_dropped),
            chunks: load(&counters.chunks),
        }
    }
}

fn count_up_to(counter: &AtomicU64, limit: u64, name: &'static str) -> Result<(), Error> {
    if counter.fetch_add(1, Ordering::Relaxed) < limit {
        return Ok(());
    }
    Err(Error::quota(name, format!("the call has used up its {limit} {name}")))
}

/// A host call that runs. Dropping it gives its place back, however it ended.
pub(crate) struct HostCall {
    call: CallHandle,
    store: Arc<Store>,
    interface: Interface,
}

impl HostCall {
    /// The data, through this plugin's share of connections and this call's budget of rows.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Which rows a permission reaches.
    pub(crate) fn authority(&self, permission: Permission) -> Authority {
        Authority::decide(self.call.principal(), &self.call.0.setup.grants.get(), permission)
    }

    /// The person for whom the plugin acts.
    pub(crate) fn user(&self) -> Result<&UserId, Error> {
        self.call.principal().user().ok_or_else(|| Error::invalid("user", "there is no person behind a job"))
    }

    /// Counts bytes that pass after the host call has begun.
    pub(crate) fn charge(&self, bytes: u64) -> Result<(), Stop> {
        self.call.charge(self.interface, bytes)
    }

    /// Ends the host call with a result, which must fit into what may be passed.
    pub(crate) fn finish<T: Weigh>(self, value: T) -> Result<T, Fault> {
        let bytes = value.weigh();
        let most = self.call.0.setup.limits.transfer;
        if bytes > most {
            let message = format!("the result has {bytes} bytes; one host call may carry {most}");
            return Err(Error::quota("transfer", message).into());
        }
        self.charge(bytes)?;
        Ok(value)
    }

    /// As `finish`, for a host call that has written.
    pub(crate) fn finish_write<T: Weigh>(self, value: T) -> Result<T, Fault> {
        self.finish(value).map_err(Fault::after_the_effect)
    }
}

impl std::ops::Deref for HostCall {
    type Target = CallHandle;

    fn deref(&self) -> &CallHandle {
        &self.call
    }
}

impl Drop for HostCall {
    fn drop(&mut self) {
        self.call.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}
