//! The two clocks of a call: one runs while the guest computes or waits for the host, the other while it waits for people and models.
//!
//! The sandbox races the guest against `CallClock::expired`, outside the guest's event loop, which a spinning guest would starve.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// How long a part of a call may take.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    /// Name in the `limits` block of the active clock's bound.
    pub active_name: &'static str,
    /// Bound of the active clock.
    pub active: Duration,
    /// Bound of the waiting clock.
    pub waiting: Duration,
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
        let allowance = self.lock().allowance;
        (allowance.active.saturating_sub(active), allowance.waiting.saturating_sub(waiting))
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
                let (name, bound, used) = if state.waiters > 0 {
                    ("waiting", state.allowance.waiting, state.waiting)
                } else {
                    match state.hook {
                        Some(hook) if hook < state.allowance.active => ("hook", hook, state.active),
                        _ => (state.allowance.active_name, state.allowance.active, state.active),
                    }
                };
                match bound.checked_sub(used) {
                    Some(left) if !left.is_zero() => left,
                    _ => return name,
                }
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
        let allowance = Allowance {
            active_name: "active",
            active: Duration::from_secs(active),
            waiting: Duration::from_secs(waiting),
        };
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
    async fn each_clock_ends_a_call_under_its_own_name() {
        assert_eq!(clock(1, 100).expired().await, "active");
        let clock = clock(100, 1);
        let _waiting = clock.wait();
        assert_eq!(clock.expired().await, "waiting");
    }
}
