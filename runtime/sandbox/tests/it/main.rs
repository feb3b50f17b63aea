//! Real guests in the real sandbox, over a real database: what each limit and each permission stops, and that the sandbox lives on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod answers;
mod authority;
mod bytes;
mod calls;
mod clocks;
mod compile;
mod contract;
mod describe;
mod guests;
mod imports;
mod inputs;
mod limits;
mod logs;
mod parked;
mod places;
mod pool;
mod shapes;
mod statements;
mod storm;
mod streams;
mod turn;
mod world;
