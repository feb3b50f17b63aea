//! Requests to models and answers in pieces: what reads and builds them with little code.

use serde::Serialize;
use serde_json::{Map, Value};

pub use crate::bindings::innkeeper::types::chat_request::{
    ChatRequest, Chunk, Completion, Content, ContentPart, Delta, Finish, ImagePart, Media, Message,
    StreamEvent, TextPart, ToolCall, ToolCallDelta, ToolSpec, Usage,
};
pub use crate::bindings::innkeeper::types::common::Blob;

impl ChatRequest {
    /// A request without messages.
    pub fn new(model: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            messages: Vec::new(),
            stream: None,
            tools: Vec::new(),
            params: "{}".to_owned(),
            extra: None,
        }
    }

    /// The same with a message more.
    #[must_use]
    pub fn message(mut self, message: Message) -> Self {
        self.messages.push(message);
        self
    }

    /// The same with a system prompt more.
    #[must_use]
    pub fn system(self, text: impl Into<String>) -> Self {
        self.message(Message::system(text))
    }

    /// The same with a user's message more.
    #[must_use]
    pub fn user(self, text: impl Into<String>) -> Self {
        self.message(Message::user(text))
    }

    /// The same with a sampling parameter, such as `temperature`. What cannot be written as JSON is left out.
    #[must_use]
    pub fn param(mut self, name: &str, value: impl Serialize) -> Self {
        let mut params = self.params();
        if let Ok(value) = serde_json::to_value(value) {
            params.insert(name.to_owned(), value);
        }
        self.params = Value::Object(params).to_string();
        self
    }

    /// The same with a tool that the model may call.
    #[must_use]
    pub fn tool(mut self, tool: ToolSpec) -> Self {
        self.tools.push(tool);
        self
    }

    /// The sampling parameters.
    pub fn params(&self) -> Map<String, Value> {
        serde_json::from_str(&self.params).unwrap_or_default()
    }

    /// Whether the client wants pieces as they come.
    pub fn wants_stream(&self) -> bool {
        self.stream == Some(true)
    }

    /// The text of the last message of the user.
    pub fn last_user_text(&self) -> Option<String> {
        self.messages.iter().rev().find(|message| message.role == "user").map(Message::text)
    }
}

impl Message {
    /// A message of any role.
    pub fn new(role: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            role: role.into(),
            content: Some(Content::Text(text.into())),
            name: None,
            tool_call_id: None,
            tool_calls: Vec::new(),
            extra: None,
        }
    }

    /// A system prompt.
    pub fn system(text: impl Into<String>) -> Self {
        Self::new("system", text)
    }

    /// What the user says.
    pub fn user(text: impl Into<String>) -> Self {
        Self::new("user", text)
    }

    /// What the model says.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::new("assistant", text)
    }

    /// What a tool answered to the call `id`.
    pub fn tool(id: impl Into<String>, text: impl Into<String>) -> Self {
        Self { tool_call_id: Some(id.into()), ..Self::new("tool", text) }
    }

    /// The text of the message, its text parts joined by line breaks.
    pub fn text(&self) -> String {
        match &self.content {
            Some(Content::Text(text)) => text.clone(),
            Some(Content::Parts(parts)) => {
                let texts = parts.iter().filter_map(|part| match part {
                    ContentPart::Text(part) => Some(part.text.as_str()),
                    _ => None,
                });
                texts.collect::<Vec<_>>().join("\n")
            }
            Some(Content::Other(_)) | None => String::new(),
        }
    }

    /// Changes each text of the message in place; other parts stay.
    pub fn for_each_text(&mut self, mut change: impl FnMut(&mut String)) {
        match &mut self.content {
            Some(Content::Text(text)) => change(text),
            Some(Content::Parts(parts)) => {
                for part in parts {
                    if let ContentPart::Text(part) = part {
                        change(&mut part.text);
                    }
                }
            }
            Some(Content::Other(_)) | None => {}
        }
    }
}

impl ToolSpec {
    /// A tool whose arguments fit the JSON Schema of `T`.
    pub fn of<T: schemars::JsonSchema>(name: impl Into<String>, description: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            description: Some(description.into()),
            parameters: Some(crate::plugin::schema::<T>()),
            extra: None,
        }
    }
}

impl Chunk {
    /// The end of choice 0, without usage.
    pub fn finish(reason: impl Into<String>) -> Self {
        Self::Finish(Finish { choice: 0, reason: reason.into(), usage: None, extra: None })
    }

    /// The text that the piece adds to choice 0.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Delta(delta) if delta.choice == 0 => delta.content.as_deref(),
            _ => None,
        }
    }
}

impl Completion {
    /// The answer's text.
    pub fn text(&self) -> String {
        self.message.text()
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}
