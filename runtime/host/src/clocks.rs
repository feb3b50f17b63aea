//! The two clocks of a call: one runs while the guest computes or waits for the host, the other while it waits for people and models.
//! A guest that computes while something else of it waits for a person computes.
//!
//! The sandbox races the guest against `CallClock::expired`, outside the guest's event loop, which a spinning guest would starve.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// How long a part of a call may take.
#[derive(Clone, Copy, Debug)]
pub enum Allowance {
    /// Each clock has a bound of its own: the limits `active` and `waiting`.
    Apart {
        /// Bound of the active clock.
        active: Duration,
        /// Bound of the waiting clock.
        waiting: Duration,
    },
    /// One bound for both.
    Together {
        /// The limit's name.
        name: &'static str,
        /// Bound of their sum.
        bound: Duration,
    },
}

impl Allowance {
    /// What is left after so much of both, active and waiting.
    fn left(self, active: Duration, waiting: Duration) -> (Duration, Duration) {
        match self {
            Self::Apart { active: most, waiting: longest } => {
                (most.saturating_sub(active), longest.saturating_sub(waiting))
            }
            Self::Together { bound, .. } => {
                let left = bound.saturating_sub(active.saturating_add(waiting));
                (left, left)
            }
        }
    }
}

/// Both clocks of one call.
#[derive(Debug)]
pub struct CallClock {
    state: Mutex<State>,
    changed: Notify,
    waiters: AtomicU32,
    /// The guest is being polled.
    computing: AtomicBool,
}

#[derive(Debug)]
struct State {
    allowance: Allowance,
    active: Duration,
    waiting: Duration,
    since: Instant,
    /// Neither clock runs: an instance is kept between two hooks.
    paused: bool,
    /// Where the active clock ends the present hook.
    hook: Option<Duration>,
}

impl CallClock {
    /// Starts the active clock.
    pub fn start(allowance: Allowance) -> Self {
        let state = State {
            allowance,
            active: Duration::ZERO,
            waiting: Duration::ZERO,
            since: Instant::now(),
            paused: false,
            hook: None,
        };
        Self {
            state: Mutex::new(state),
            changed: Notify::new(),
            waiters: AtomicU32::new(0),
            computing: AtomicBool::new(false),
        }
    }

    /// Begins a new part of the call with bounds of its own.
    pub fn restart(&self, allowance: Allowance) {
        let mut state = self.settled();
        state.allowance = allowance;
        state.active = Duration::ZERO;
        state.waiting = Duration::ZERO;
        state.hook = None;
        drop(state);
        self.changed.notify_waiters();
    }

    /// Stops both clocks: nothing of the guest runs until `resume`.
    pub fn pause(&self) {
        let mut state = self.settled();
        state.paused = true;
        state.hook = None;
    }

    /// Goes on. With `hook`, the guest may be active for so long before the limit `hook` ends it.
    pub fn resume(&self, hook: Option<Duration>) {
        let mut state = self.settled();
        state.paused = false;
        state.hook = hook.map(|hook| state.active.saturating_add(hook));
        drop(state);
        self.changed.notify_waiters();
    }

    /// What the present part has used, active and waiting.
    pub fn used(&self) -> (Duration, Duration) {
        let state = self.settled();
        (state.active, state.waiting)
    }

    /// What is left of the present part, active and waiting.
    pub fn left(&self) -> (Duration, Duration) {
        let state = self.settled();
        state.allowance.left(state.active, state.waiting)
    }

    /// Lets the guest compute, which counts as active whatever else of it waits; fails with the limit's name where it has computed for too long.
    /// Where nothing waits, `expired` sees to that, and this costs next to nothing.
    pub fn compute<R>(
        &self,
        cx: &mut Context<'_>,
        run: impl FnOnce(&mut Context<'_>) -> Poll<R>,
    ) -> Result<Poll<R>, &'static str> {
        if self.is_waiting() {
            drop(self.settled());
        }
        self.computing.store(true, Ordering::Relaxed);
        let polled = run(cx);
        let next = self.is_waiting().then(|| self.settled().next(true));
        self.computing.store(false, Ordering::Relaxed);
        match next {
            Some((name, left)) if left.is_zero() && polled.is_pending() => Err(name),
            _ => Ok(polled),
        }
    }

    /// Puts the call on the waiting clock until the guard is dropped. Several may be held at once.
    pub fn wait(self: &Arc<Self>) -> Waiting {
        let state = self.settled();
        self.waiters.fetch_add(1, Ordering::Relaxed);
        drop(state);
        self.changed.notify_waiters();
        Waiting(Arc::clone(self))
    }

    /// Resolves with the limit's name when one of the clocks has run out.
    pub async fn expired(&self) -> &'static str {
        loop {
            // Registered before the state is read, so that no change falls between the two.
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let (name, left) = self.settled().next(self.is_waiting());
            if left.is_zero() {
                return name;
            }
            tokio::select! {
                () = tokio::time::sleep(left) => {}
                () = changed => {}
            }
        }
    }

    fn is_waiting(&self) -> bool {
        self.waiters.load(Ordering::Relaxed) > 0
    }

    /// The state, with the time until now on the clock that it belongs to.
    fn settled(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.settle(self.is_waiting() && !self.computing.load(Ordering::Relaxed));
        state
    }
}

impl State {
    /// What ends the call if nothing changes, and in what time.
    fn next(&self, is_waiting: bool) -> (&'static str, Duration) {
        let (active, waiting) = self.allowance.left(self.active, self.waiting);
        let computes = match self.hook.map(|hook| hook.saturating_sub(self.active)) {
            Some(hook) if hook < active => ("hook", hook),
            _ => ("active", active),
        };
        match self.allowance {
            Allowance::Together { name, .. } => (name, active),
            Allowance::Apart { .. } if is_waiting && !computes.1.is_zero() => ("waiting", waiting),
            Allowance::Apart { .. } => computes,
        }
    }

    fn settle(&mut self, waits: bool) {
        let now = Instant::now();
        let elapsed = now.saturating_duration_since(self.since);
        self.since = now;
        if self.paused {
            return;
        }
        if waits {
            self.waiting += elapsed;
        } else {
            self.active += elapsed;
        }
    }
}

/// Keeps a call on the waiting clock.
#[derive(Debug)]
pub struct Waiting(Arc<CallClock>);

impl Drop for Waiting {
    fn drop(&mut self) {
        let state = self.0.settled();
        self.0.waiters.fetch_sub(1, Ordering::Relaxed);
        drop(state);
        self.0.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(active: u64, waiting: u64) -> Arc<CallClock> {
        let allowance =
            Allowance::Apart { active: Duration::from_secs(active), waiting: Duration::from_secs(waiting) };
        Arc::new(CallClock::start(allowance))
    }

    #[tokio::test(start_paused = true)]
    async fn time_that_a_person_takes_does_not_count_as_active() {
        let clock = clock(1, 100);
        let waiting = clock.wait();
        tokio::time::sleep(Duration::from_secs(50)).await;
        drop(waiting);
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(clock.used(), (Duration::from_millis(500), Duration::from_secs(50)));
        assert_eq!(clock.expired().await, "active");
    }

    #[tokio::test(start_paused = true)]
    async fn an_instance_that_is_kept_between_hooks_uses_no_time() {
        let clock = clock(10, 100);
        clock.pause();
        tokio::time::sleep(Duration::from_secs(1_000)).await;
        clock.resume(Some(Duration::from_secs(2)));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(clock.used(), (Duration::from_secs(1), Duration::ZERO));
        let before = Instant::now();
        assert_eq!(clock.expired().await, "hook");
        assert!(before.elapsed() < Duration::from_secs(2));
        clock.pause();
        clock.resume(Some(Duration::from_secs(100)));
        assert_eq!(clock.expired().await, "active");
    }

    #[tokio::test(start_paused = true)]
    async fn a_common_bound_holds_for_the_sum_of_both_clocks() {
        let clock = clock(100, 100);
        clock.restart(Allowance::Together { name: "background", bound: Duration::from_secs(10) });
        tokio::time::sleep(Duration::from_secs(4)).await;
        let waiting = clock.wait();
        tokio::time::sleep(Duration::from_secs(4)).await;
        drop(waiting);
        assert_eq!(clock.left(), (Duration::from_secs(2), Duration::from_secs(2)));
        let before = Instant::now();
        assert_eq!(clock.expired().await, "background");
        assert_eq!(before.elapsed(), Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn computing_is_active_whatever_else_waits() {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let clock = clock(10, 100);
        let _waiting = clock.wait();
        let compute = |seconds, cx: &mut Context<'_>| {
            clock.compute(cx, |_| {
                let mut passes = Box::pin(tokio::time::advance(Duration::from_secs(seconds)));
                while futures::FutureExt::now_or_never(&mut passes).is_none() {}
                Poll::<()>::Pending
            })
        };
        assert_eq!(compute(4, &mut cx), Ok(Poll::Pending));
        tokio::time::sleep(Duration::from_secs(50)).await;
        assert_eq!(clock.used(), (Duration::from_secs(4), Duration::from_secs(50)));
        clock.resume(Some(Duration::from_secs(3)));
        assert_eq!(compute(4, &mut cx), Err("hook"));
        clock.resume(None);
        assert_eq!(compute(4, &mut cx), Err("active"));
        assert_eq!(clock.expired().await, "active");
        assert_eq!(clock.used(), (Duration::from_secs(12), Duration::from_secs(50)));
    }

    #[tokio::test(start_paused = true)]
    async fn each_clock_ends_a_call_under_its_own_name() {
        assert_eq!(clock(1, 100).expired().await, "active");
        let clock = clock(100, 1);
        let _waiting = clock.wait();
        assert_eq!(clock.expired().await, "waiting");
    }
}
