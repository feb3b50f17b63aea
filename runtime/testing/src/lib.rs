//! Test environment: throw-away databases, the bytes of guests, what is logged, and where measurements go.
//!
//! A dev-dependency only. It names no crate of the runtime, so that every one of them can use it.

#![expect(clippy::panic, reason = "what is wrong with a test's surroundings should end the test")]
#![expect(
    clippy::disallowed_methods,
    reason = "servers, programs, guests and results of a test run are found by the environment"
)]

pub mod databases;
pub mod guests;
#[cfg(feature = "logs")]
pub mod logs;
pub mod measurements;
pub mod skips;
