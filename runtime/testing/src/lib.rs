//! Test environment: throw-away databases and the bytes of guests.
//!
//! A dev-dependency only. It names no crate of the runtime, so that every one of them can use it.

#![expect(clippy::panic, reason = "what is wrong with a test's surroundings should end the test")]
#![expect(
    clippy::disallowed_methods,
    reason = "servers, programs and guests of a test run are found by the environment"
)]

pub mod databases;
pub mod guests;
