//! The `innkeeper` binary, run as people run it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod data_dirs;
mod databases;
mod help;
mod json;
mod people;
mod plugins;
mod program;
mod serve;
mod server;
mod settings;
mod stop;
