//! The registry over a real store and a real sandbox.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod bad_components;
mod crash;
mod environment;
mod filters;
mod grants;
mod install;
mod start;
mod storage;
mod two_servers;
mod values;
