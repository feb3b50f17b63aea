//! What a tool or an action gives back.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{FileId, MessageId};

/// A part of a result. `Json` holds JSON text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum ToolContent {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// A JSON value.
    Json {
        /// The value.
        value: Value,
    },
    /// Shown to the person in a frame.
    Html {
        /// The document.
        html: String,
        /// What the model is told instead.
        summary: Option<String>,
    },
    /// A stored file.
    File {
        /// Which.
        id: FileId,
    },
}

/// What a tool gives back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ToolResult {
    /// Its parts.
    pub content: Vec<ToolContent>,
}

/// New text for a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageChange {
    /// Which message of the chat.
    pub message: MessageId,
    /// Its new text.
    pub content: String,
}

/// What an action gives back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ActionResult {
    /// Messages to change.
    pub messages: Vec<MessageChange>,
    /// What to show beside the message.
    pub content: Vec<ToolContent>,
}
