//! Installed plugins: their revisions, grants, settings and limits, and which of them can run at present.
//!
//! A snapshot holds what a turn needs without SQL; every change makes a new one, here at once and on other servers within about a second.
//! How a plugin runs is written below, which one runs when above.

mod change;
mod error;
mod install;
mod limits;
mod plugin;
mod quarantine;
mod registry;
mod schema;
mod snapshot;
mod user_valves;
mod valves;
mod view;
mod watch;

pub use error::{RegistryError, SchemaError, ValueProblem};
pub use install::InstallOptions;
pub use limits::{CutLimit, LimitsConfig};
pub use plugin::{ArgumentError, Plugin};
pub use registry::Registry;
pub use schema::MASK;
pub use snapshot::Snapshot;
pub use view::{PluginState, PluginView};
