//! Runs a turn, a tool call, an action: which plugins, in which order, and what happens when one fails.
//!
//! Nothing here knows of HTTP, and no guest's code or type is named: plugins are asked through the sandbox, found through the registry.

mod actions;
mod answer;
mod chat;
mod children;
mod dispatch;
mod error;
mod events;
mod filters;
pub mod hub;
mod metrics;
mod models;
mod people;
mod provider;
mod receipts;
mod request;
mod scope;
mod tools;

pub use actions::{ActionOutcome, ActionTurn};
pub use chat::{ChatTurn, Frame, TurnEnd, TurnHandle};
pub use dispatch::{Dispatch, DispatchOptions};
pub use error::DispatchError;
pub use hub::{AnswerError, Delivery, Hub, Subscription, TooManySubscriptions};
pub use models::{ModelEntry, ModelKind};
pub use people::Present;
pub use provider::ProviderConfig;
pub use receipts::ReceiptLog;
pub use tools::{ToolOutcome, ToolTurn};
