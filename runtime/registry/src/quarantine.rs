//! A filter that breaks again and again rests, for a while that grows with each failure.
//! The count is this server's own; it ends with the revision, and when the plugin is disabled.

use std::sync::{Mutex, PoisonError};

use innkeeper_model::time::{Clock, UnixNanos};

const SECOND: i64 = 1_000_000_000;
/// How long the first rest takes, in seconds; each further one takes twice as long.
const FIRST: i64 = 10;
/// The longest rest, in seconds.
const LONGEST: i64 = 3_600;

/// Failures in a row and the rest that they led to.
#[derive(Debug, Default)]
pub(crate) struct Quarantine(Mutex<Count>);

#[derive(Debug, Default)]
struct Count {
    failures: u32,
    until: UnixNanos,
}

impl Quarantine {
    /// Counts a failure; when the rest ends. Failures of calls that ran while it rests already do not make it longer.
    pub(crate) fn failed(&self, clock: &Clock) -> UnixNanos {
        let mut count = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock.nanos();
        if now >= count.until {
            let seconds = FIRST.saturating_mul(1_i64 << count.failures.min(20)).min(LONGEST);
            count.failures = count.failures.saturating_add(1);
            count.until = now.saturating_add(seconds.saturating_mul(SECOND));
        }
        count.until
    }

    /// Forgets the failures, unless it rests: a call that began before does not end the rest.
    pub(crate) fn succeeded(&self, clock: &Clock) {
        let mut count = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if clock.nanos() >= count.until {
            *count = Count::default();
        }
    }

    /// When the rest ends; none where there is none.
    pub(crate) fn until(&self, clock: &Clock) -> Option<UnixNanos> {
        let count = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (clock.nanos() < count.until).then_some(count.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_grows_with_each_failure_and_a_success_ends_the_row() {
        let clock = Clock::manual(1_000);
        let quarantine = Quarantine::default();
        let mut rests = Vec::new();
        for _ in 0..12 {
            let until = quarantine.failed(&clock);
            assert_eq!(quarantine.failed(&clock), until, "a failure during the rest does not count");
            quarantine.succeeded(&clock);
            assert_eq!(quarantine.until(&clock), Some(until), "a success during the rest does not count");
            let rest = (until - clock.nanos()) / SECOND;
            rests.push(rest);
            clock.advance(rest);
            assert_eq!(quarantine.until(&clock), None);
        }
        assert_eq!(rests, [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600]);
        quarantine.succeeded(&clock);
        assert_eq!((quarantine.failed(&clock) - clock.nanos()) / SECOND, 10);
    }
}
