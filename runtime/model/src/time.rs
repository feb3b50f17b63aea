//! Clocks as parameters: nothing below the command line reads the system's clock by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Nanoseconds since 1970-01-01T00:00:00Z.
pub type UnixNanos = i64;
/// Seconds since 1970-01-01T00:00:00Z.
pub type UnixSeconds = i64;

/// Where the time of day comes from.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The system's clock.
    System,
    /// A clock that moves only when it is told to, for tests.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A manual clock that stands at `seconds`.
    pub fn manual(seconds: UnixSeconds) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(seconds.saturating_mul(1_000_000_000))))
    }

    /// Moves a manual clock on; the system's clock is left alone.
    pub fn advance(&self, seconds: i64) {
        if let Self::Manual(nanos) = self {
            nanos.fetch_add(seconds.saturating_mul(1_000_000_000), Ordering::Relaxed);
        }
    }

    /// Now.
    pub fn nanos(&self) -> UnixNanos {
        match self {
            #[expect(clippy::disallowed_methods, reason = "the one place where the system's clock is read")]
            Self::System => std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |elapsed| i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX)),
            Self::Manual(nanos) => nanos.load(Ordering::Relaxed),
        }
    }

    /// Now.
    pub fn seconds(&self) -> UnixSeconds {
        self.nanos() / 1_000_000_000
    }
}
