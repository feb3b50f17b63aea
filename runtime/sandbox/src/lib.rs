//! Runs plugins under limits: inspect → compile → link → instantiate → call → receipt.
//!
//! `Sandbox` lives as long as the process, `LoadedPlugin` as long as a revision is installed, `Invocation` for one principal and one turn.
//! Which plugin runs when is decided above; what a guest can call is written below.

mod admission;
mod answers;
mod cache;
pub mod compile;
mod engine;
mod error;
mod exports;
pub mod inspect;
mod invocation;
mod machine_code;
mod plugin;
mod sandbox;
mod tank;

pub use admission::Permit;
pub use compile::Compiler;
pub use engine::{EngineOptions, bare_engine};
pub use error::{CallError, LoadError};
pub use exports::{Answer, Ask, ModelList, PipeModel, Reply};
pub use inspect::{InspectError, Inspection, inspect};
pub use invocation::{Budget, Delivery, Invocation};
pub use plugin::LoadedPlugin;
pub use sandbox::{Sandbox, SandboxOptions};
