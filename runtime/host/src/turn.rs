//! What all calls of one turn share, and the two ways out of a call that lead back up: events and calls of other plugins.
//!
//! The traits here are implemented above, by whatever drives turns. A host function never awaits another store: it hands the child over and waits for an answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use innkeeper_model::chat_request::{Blob, ChatRequest, Completion, Message};
use innkeeper_model::chunk::Chunk;
use innkeeper_model::event::WireEvent;
use innkeeper_model::tool::ToolResult;
use innkeeper_model::{ChatId, Error, MessageId, PluginId, Principal};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::call::CallHandle;
pub use crate::fuel::Lent;

/// What all calls of one turn share.
pub struct Turn {
    /// Its id, the same from inlet to outlet.
    pub id: String,
    /// For whom.
    pub principal: Principal,
    /// The chat, where there is one that the principal may see.
    pub chat: Option<ChatId>,
    /// The message that is being answered.
    pub message: Option<MessageId>,
    /// BCP 47 tag.
    pub locale: Option<String>,
    /// What `context` answers.
    pub context: TurnContext,
    /// Long `data:` URIs of the request.
    pub blobs: Blobs,
    /// Where events go.
    pub events: Arc<dyn Events>,
    /// Who runs what plugins ask of each other.
    pub children: Arc<dyn Children>,
    /// Ends everything in the turn.
    pub cancel: CancellationToken,
}

/// What `context` answers. Fields that are not messages are JSON text.
#[derive(Clone, Debug)]
pub struct TurnContext {
    /// The conversation as the client sent it.
    pub messages: Arc<Vec<Message>>,
    /// Object.
    pub model: Option<String>,
    /// Array.
    pub files: String,
    /// Object.
    pub features: String,
    /// Object.
    pub variables: String,
    /// Object.
    pub metadata: String,
    /// Name, and body as JSON text.
    pub task: Option<(String, Option<String>)>,
}

impl Default for TurnContext {
    fn default() -> Self {
        let object = || "{}".to_owned();
        Self {
            messages: Arc::default(),
            model: None,
            files: "[]".to_owned(),
            features: object(),
            variables: object(),
            metadata: object(),
            task: None,
        }
    }
}

/// Long `data:` URIs that stay with the host, by id.
#[derive(Debug, Default)]
pub struct Blobs(Mutex<HashMap<String, Arc<str>>>);

impl Blobs {
    /// Keeps a `data:` URI under a new id.
    pub fn keep(&self, uri: String) -> Blob {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let content_type = uri
            .strip_prefix("data:")
            .and_then(|rest| rest.split([';', ',']).next())
            .filter(|kind| !kind.is_empty())
            .unwrap_or("application/octet-stream");
        let blob = Blob {
            id: id.clone(),
            content_type: content_type.to_owned(),
            size: uri.len() as u64,
            extra: None,
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, uri.into());
        blob
    }

    /// The `data:` URI of an id.
    pub fn get(&self, id: &str) -> Option<Arc<str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }
}

/// Where the events of a turn go. Permissions were checked before.
pub trait Events: Send + Sync {
    /// Shows an event; returns once its place in the order is fixed.
    fn emit(&self, event: WireEvent) -> BoxFuture<'_, Result<(), Error>>;

    /// Asks, and waits for the answer as clients give it.
    fn call(&self, event: WireEvent) -> BoxFuture<'_, Result<Value, Error>>;
}

/// Who runs what plugins ask of each other.
pub trait Children: Send + Sync {
    /// Takes a request; the answer comes through its `reply`. Dropping the receiver cancels the child.
    fn submit(&self, request: ChildRequest) -> Result<(), Error>;
}

/// What a plugin asks of others.
pub struct ChildRequest {
    /// The call that asks.
    pub caller: CallHandle,
    /// What children may use: it was taken out of the caller's store, which gets back what is there when the answer comes.
    pub lent: Lent,
    /// What it asks.
    pub ask: ChildAsk,
}

/// The kinds of requests to other plugins and models.
pub enum ChildAsk {
    /// The tools that may be called.
    Tools(oneshot::Sender<Result<Vec<OfferedTool>, Error>>),
    /// A call of a tool.
    Tool {
        /// Whose tool.
        plugin: PluginId,
        /// Which tool.
        name: String,
        /// JSON text.
        arguments: String,
        /// The result.
        reply: oneshot::Sender<Result<ToolResult, Error>>,
    },
    /// The models that may be named.
    Models(oneshot::Sender<Result<Vec<OfferedModel>, Error>>),
    /// A whole answer.
    Complete(ChatRequest, oneshot::Sender<Result<Completion, Error>>),
    /// An answer in pieces. The receiver gets `finish` or `failed` last.
    Stream(ChatRequest, oneshot::Sender<Result<mpsc::Receiver<Chunk>, Error>>),
    /// A vector for each text.
    Embed {
        /// Which model.
        model: String,
        /// The texts.
        texts: Vec<String>,
        /// The vectors.
        reply: oneshot::Sender<Result<Vec<Vec<f32>>, Error>>,
    },
}

/// A tool that a plugin may call.
#[derive(Clone, Debug, PartialEq)]
pub struct OfferedTool {
    /// Whose.
    pub plugin: PluginId,
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// JSON text.
    pub parameters: String,
}

/// A model that a plugin may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedModel {
    /// Its id.
    pub id: String,
    /// What to call it.
    pub name: String,
    /// `pipe` or `provider`.
    pub kind: String,
}
