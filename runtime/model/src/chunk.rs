//! An answer in pieces, the frames of server-sent events that they come and go in, and the one answer that they make.

mod collect;
mod delta;
mod frame;
mod merge;
mod tool_call_delta;
mod write;

pub use collect::{Collector, completion_json};
pub use write::frame_json;

use crate::chat_request::Usage;
use crate::event::WireEvent;

/// A piece of a tool call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolCallDelta {
    /// Which call.
    pub index: u32,
    /// Its id.
    pub id: Option<String>,
    /// Which tool.
    pub name: Option<String>,
    /// The next piece of the arguments.
    pub arguments: Option<String>,
    /// Other fields.
    pub extra: Option<String>,
}

/// A piece that is more than plain text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// Which choice.
    pub choice: u32,
    /// Who speaks.
    pub role: Option<String>,
    /// Text.
    pub content: Option<String>,
    /// What the model thinks aloud.
    pub reasoning: Option<String>,
    /// Pieces of tool calls.
    pub tool_calls: Vec<ToolCallDelta>,
    /// Other fields of the delta.
    pub extra: Option<String>,
}

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Chunk {
    /// Plain text for choice 0.
    Text(String),
    /// More than plain text.
    Delta(Delta),
    /// Tokens.
    Usage(Usage),
    /// An event inside the answer; not yet checked.
    Event(WireEvent),
    /// The end of a choice.
    Finish {
        /// Which choice.
        choice: u32,
        /// Why.
        reason: String,
        /// Tokens.
        usage: Option<Usage>,
        /// Other fields of the choice.
        extra: Option<String>,
    },
    /// The answer could not be completed; text for the person.
    Failed(String),
    /// A frame as it came, JSON text.
    Raw(String),
}

impl Chunk {
    /// Whether it ends the answer.
    pub fn is_end(&self) -> bool {
        matches!(self, Self::Finish { .. } | Self::Failed(_))
    }
}

/// A number that can name a choice or a call.
fn index(raw: &str) -> Option<u32> {
    crate::json::whole_number(raw)?.try_into().ok()
}
