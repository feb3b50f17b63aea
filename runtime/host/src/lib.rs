//! The imports of the contract, each interface in a file of its own, over the store below and the turn above.
//!
//! A host function runs on an owned handle, so that several of one guest can run at once and none holds the guest's store while it waits.
//! Which plugin runs when is decided above; SQL is written below.

pub mod bindings;
pub mod call;
mod chat_messages;
mod chats;
pub mod clocks;
mod completions;
mod config;
mod context;
pub mod convert;
pub mod events;
pub mod fault;
mod files;
pub mod fuel;
pub mod grants;
mod kv;
pub mod limiter;
mod linker;
pub mod log;
mod memories;
pub mod state;
pub mod stream;
mod task;
mod toolbox;
pub mod turn;
mod users;
pub mod wasi;
mod weigh;

pub use call::{CallHandle, CallSetup, Phase};
pub use fault::Stop;
pub use grants::LiveGrants;
pub use linker::linker;
pub use state::State;
pub use turn::Turn;
