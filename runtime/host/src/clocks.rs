//! The two clocks of a call: one runs while the guest computes or waits for the host, the other while it waits for people and models.
//!
//! The sandbox races the guest against `CallClock::expired`, outside the guest's event loop, which a spinning guest would starve.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
}

#[derive(Debug)]
struct State {
    allowance: Allowance,
    active: Duration,
    waiting: Duration,
    waiters: u32,
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
            waiters: 0,
            since: Instant::now(),
            paused: false,
            hook: None,
        };
        Self { state: Mutex::new(state), changed: Notify::new() }
    }

    /// Begins a new part of the call with bounds of its own; returns what the part before used, active and waiting.
    pub fn restart(&self, allowance: Allowance) -> (Duration, Duration) {
        let mut state = self.lock();
        state.settle();
        let used = (state.active, state.waiting);
        state.allowance = allowance;
        state.active = Duration::ZERO;
        state.waiting = Duration::ZERO;
        state.hook = None;
        drop(state);
        self.changed.notify_waiters();
        used
    }

    /// Stops both clocks: nothing of the guest runs until `resume`.
    pub fn pause(&self) {
        let mut state = self.lock();
        state.settle();
        state.paused = true;
        state.hook = None;
    }

    /// Goes on. With `hook`, the guest may be active for so long before the limit `hook` ends it.
    pub fn resume(&self, hook: Option<Duration>) {
        let mut state = self.lock();
        state.settle();
        state.paused = false;
        state.hook = hook.map(|hook| state.active.saturating_add(hook));
        drop(state);
        self.changed.notify_waiters();
    }

    /// What the present part has used, active and waiting.
    pub fn used(&self) -> (Duration, Duration) {
        let mut state = self.lock();
        state.settle();
        (state.active, state.waiting)
    }

    /// What is left of the present part, active and waiting.
    pub fn left(&self) -> (Duration, Duration) {
        let (active, waiting) = self.used();
        self.lock().allowance.left(active, waiting)
    }

    /// Puts the call on the waiting clock until the guard is dropped. Several may be held at once.
    pub fn wait(self: &Arc<Self>) -> Waiting {
        self.shift(1);
        Waiting(Arc::clone(self))
    }

    /// Resolves with the limit's name when one of the clocks has run out.
    pub async fn expired(&self) -> &'static str {
        loop {
            // Registered before the state is read, so that no change falls between the two.
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let left = {
                let mut state = self.lock();
                state.settle();
                let (name, left) = state.next();
                if left.is_zero() {
                    return name;
                }
                left
            };
            tokio::select! {
                () = tokio::time::sleep(left) => {}
                () = changed => {}
            }
        }
    }

    fn shift(&self, by: i32) {
        let mut state = self.lock();
        state.settle();
        state.waiters = state.waiters.saturating_add_signed(by);
        drop(state);
        self.changed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What ends the call if nothing changes, and in what time.
    fn next(&self) -> (&'static str, Duration) {
        let (active, waiting) = self.allowance.left(self.active, self.waiting);
        let is_waiting = self.waiters > 0;
        match (self.allowance, self.hook.map(|hook| hook.saturating_sub(self.active))) {
            (Allowance::Together { name, .. }, _) => (name, active),
            _ if is_waiting => ("waiting", waiting),
            (_, Some(hook)) if hook < active => ("hook", hook),
            _ => ("active", active),
        }
    }

    fn settle(&mut self) {
        let now = Instant::now();
        let elapsed = now.saturating_duration_since(self.since);
        self.since = now;
        if self.paused {
            return;
        }
        if self.waiters > 0 {
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
        self.0.shift(-1);
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
    async fn each_clock_ends_a_call_under_its_own_name() {
        assert_eq!(clock(1, 100).expired().await, "active");
        let clock = clock(100, 1);
        let _waiting = clock.wait();
        assert_eq!(clock.expired().await, "waiting");
    }
}
