//! The JSON codec from outside: bodies, frames, answers, and what hostile senders make of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod blobs;
mod bodies;
mod completion;
mod frames;
mod hostile;
mod json;
mod mutation;
mod round_trip;
