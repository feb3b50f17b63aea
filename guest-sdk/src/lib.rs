//! Write Innkeeper plugins: a struct, an `impl`, a few attributes.
//!
//! `#[derive(Plugin)]` makes the manifest, `#[tools]`, `#[pipe]`, `#[filter]`, `#[actions]` and `#[jobs]` make the exports.
//! A component exports what is marked and nothing else; one struct may be of several kinds.
//! Everything else here is what a plugin may call, one module per interface of the contract.
//!
//! ```
//! use innkeeper_sdk::prelude::*;
//!
//! /// Rolls dice.
//! #[derive(Plugin)]
//! #[plugin(id = "dice")]
//! struct Dice;
//!
//! #[tools]
//! impl Dice {
//!     /// Adds up what the dice show. The caller throws them.
//!     ///
//!     /// * `pips` — what each die shows, 1 to 6
//!     async fn sum(&self, pips: Vec<u32>) -> Result<u32, PluginError> {
//!         if pips.iter().any(|pip| !(1..=6).contains(pip)) {
//!             return Err(PluginError::failed("a die shows 1 to 6"));
//!         }
//!         Ok(pips.iter().sum())
//!     }
//! }
//! ```

pub mod bindings;
pub mod chat_messages;
pub mod chat_request;
pub mod chats;
pub mod completions;
pub mod config;
pub mod context;
pub mod events;
pub mod files;
pub mod kv;
pub mod log;
pub mod memories;
pub mod toolbox;
pub mod users;

mod action;
mod error;
mod filter;
mod job;
mod page;
mod pipe;
mod plugin;
mod task;
mod tool;

pub use action::{Action, ActionOutput, ActionResult, MessageChange};
pub use bindings::innkeeper::types::chat_messages::StoredMessage;
pub use bindings::innkeeper::types::invocation::Invocation;
pub use bindings::innkeeper::types::manifest::Manifest;
pub use error::{Error, Failure, OrFail, PluginError};
pub use filter::Filter;
pub use innkeeper_sdk_macros::{Plugin, actions, filter, jobs, pipe, tools, valves};
pub use job::Job;
pub use page::{Page, Paged, all};
pub use pipe::{Closed, Model, ModelList, Pipe, Reply, Sender, chunks};
pub use plugin::Plugin;
pub use task::spawn;
pub use tool::{Html, Json, Tool, ToolContent, ToolOutput, ToolResult};

pub use wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter};
pub use {futures, schemars, serde, serde_json};

/// What nearly every plugin needs, to be imported with `*`.
pub mod prelude {
    pub use crate::chat_request::{ChatRequest, Chunk, Content, Message};
    pub use crate::{
        Action, ActionResult, Error, Filter, Html, Invocation, Job, Json, Model, ModelList, OrFail, Page,
        Pipe, Plugin, PluginError, Reply, StoredMessage, Tool, ToolContent, ToolResult, actions,
        chat_messages, chats, chunks, completions, config, context, events, files, filter, jobs, kv, log,
        memories, pipe, spawn, toolbox, tools, users, valves,
    };
}

/// What the macros' output names. Not for use by hand.
#[doc(hidden)]
pub mod __private {
    pub use crate::bindings::innkeeper::types::manifest::{
        ActionDescription, FilterDescription, FilterHooks, JobDescription, LimitRequest, Manifest,
        PermissionRequest, ToolDescription,
    };
    pub use crate::filter::DescribedFilter;
    pub use crate::plugin::{
        Describe, WithActions, WithFilter, WithJobs, WithTools, WithoutActions, WithoutFilter, WithoutJobs,
        WithoutTools, authors, present, schema,
    };
    pub use crate::tool::{Argument, Arguments, unknown};
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct ReadmeOfTheWorkspace;
