//! Turns from end to end: guests from files, a database, people who read events and answer questions.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod actions;
mod calls;
mod clients;
mod context;
mod events;
mod failures;
mod filters;
mod guards;
mod hub;
mod logs;
mod models;
mod people;
mod provider;
mod questions;
mod receipts;
mod samples;
mod storage;
mod stored;
mod turns;
mod upstream;
mod world;
