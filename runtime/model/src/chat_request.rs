//! A chat request in the shape of OpenAI's chat completions. Fields named `extra` and `params` hold JSON objects as text.
//! Reading and writing them as JSON leaves a body unchanged; `record` tells how.

mod blobs;
mod body_error;
mod completion;
mod message;
mod part;
pub(crate) mod record;
mod request;
pub(crate) mod tool_call;
mod tool_spec;
mod usage;

pub use blobs::{extract_blobs, restore_blobs};
pub use body_error::BodyError;
pub(crate) use message::write_list;
pub use request::PARAMS;

/// A `data:` URI that stays with the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Unguessable within its turn.
    pub id: String,
    /// Media type.
    pub content_type: String,
    /// Bytes of the encoded text.
    pub size: u64,
    /// Other fields.
    pub extra: Option<String>,
}

/// Where an image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Media {
    /// An address or a short `data:` URI.
    Url(String),
    /// A long `data:` URI.
    Blob(Blob),
    /// Another form, as JSON text.
    Other(String),
}

/// One part of a message's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContentPart {
    /// Text.
    Text {
        /// The text.
        text: String,
        /// Other fields.
        extra: Option<String>,
    },
    /// An image.
    Image {
        /// Where it is.
        image: Media,
        /// `auto`, `low` or `high`.
        detail: Option<String>,
        /// Other fields.
        extra: Option<String>,
    },
    /// Another part, as JSON text.
    Other(String),
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Text.
    Text(String),
    /// Parts.
    Parts(Vec<ContentPart>),
    /// Another form, as JSON text.
    Other(String),
}

/// A model's wish to call a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// Id that the answer refers to.
    pub id: String,
    /// Which tool.
    pub name: String,
    /// As the model wrote it.
    pub arguments: String,
    /// Other fields.
    pub extra: Option<String>,
}

/// One message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Who speaks.
    pub role: String,
    /// What it says.
    pub content: Option<Content>,
    /// Name of the speaker.
    pub name: Option<String>,
    /// Which call it answers.
    pub tool_call_id: Option<String>,
    /// Calls that it makes.
    pub tool_calls: Vec<ToolCall>,
    /// Other fields.
    pub extra: Option<String>,
}

/// A tool that the model may call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolSpec {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// JSON Schema as text.
    pub parameters: Option<String>,
    /// Other fields.
    pub extra: Option<String>,
}

/// A request for a chat completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatRequest {
    /// Which model.
    pub model: String,
    /// The conversation.
    pub messages: Vec<Message>,
    /// Whether the client wants pieces.
    pub stream: Option<bool>,
    /// Tools.
    pub tools: Vec<ToolSpec>,
    /// Sampling parameters: a JSON object as text.
    pub params: String,
    /// Other fields.
    pub extra: Option<String>,
}

/// Tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// In.
    pub prompt_tokens: u64,
    /// Out.
    pub completion_tokens: u64,
    /// Both.
    pub total_tokens: u64,
    /// Other figures.
    pub extra: Option<String>,
}

/// A completed answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// Its id.
    pub id: String,
    /// Which model.
    pub model: String,
    /// The message of choice 0.
    pub message: Message,
    /// How choice 0 ended.
    pub finish_reason: Option<String>,
    /// Tokens.
    pub usage: Option<Usage>,
    /// The whole answer as JSON text.
    pub extra: Option<String>,
}
