//! The server over the real stack: SQLite, sandbox, registry and dispatch, with the guests of `cargo xtask guests`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod actions;
mod auth;
mod backends;
mod bodies;
mod chat_completions;
mod chats;
mod events;
mod files;
mod health;
mod metrics;
mod models;
mod openai_client;
mod openapi;
mod people;
mod plugins;
mod receipts;
mod shutdown;
mod sockets;
mod stalled;
mod storage;
mod tools;
mod world;
