//! Tests of the SDK on the machine that builds it: manifests, dispatch, and what the macros refuse.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod dispatch;
mod errors;
mod manifest;
mod misuse;
