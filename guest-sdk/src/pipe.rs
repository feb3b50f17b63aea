//! Models: the trait of a pipe, and replies that come in pieces.

use serde::Serialize;

pub use crate::bindings::innkeeper::types::models::{Model, ModelList};
pub use crate::bindings::pipe::Reply;
use crate::bindings::pipe::wit_stream;
use crate::chat_request::{ChatRequest, Chunk, Finish, StreamEvent, Usage};
use crate::{Error, Failure, Invocation, Plugin, PluginError, spawn};

/// A plugin that answers as one model or several. Mark the `impl` with `#[pipe]`.
#[expect(async_fn_in_trait, reason = "guests have one thread")]
pub trait Pipe: Plugin {
    /// The models. Unless written: one, named like the plugin.
    ///
    /// # Errors
    /// Where the models cannot be found out.
    async fn models(&self, _invocation: Invocation) -> Result<ModelList, PluginError> {
        Ok(vec![Model::new("", Self::NAME)].into())
    }

    /// Answers a request. `request.model` is the id within this plugin.
    ///
    /// # Errors
    /// Where there is no answer. Once a stream has begun, its last chunk says so instead.
    async fn run(&self, invocation: Invocation, request: ChatRequest) -> Result<Reply, PluginError>;
}

impl<T: Pipe> crate::bindings::pipe::Guest for T {
    async fn models(invocation: Invocation) -> Result<ModelList, PluginError> {
        Pipe::models(T::instance(), invocation).await
    }

    async fn run(invocation: Invocation, request: ChatRequest) -> Result<Reply, PluginError> {
        Pipe::run(T::instance(), invocation, request).await
    }
}

impl Model {
    /// A model by its id within the plugin.
    pub fn new(id: impl Into<String>, name: impl Into<String>) -> Self {
        Self { id: id.into(), name: name.into(), description: None, extra: None }
    }

    /// The same with a description.
    #[must_use]
    pub fn describe(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }
}

impl From<Vec<Model>> for ModelList {
    /// A list that the host may keep for an hour.
    fn from(models: Vec<Model>) -> Self {
        Self { models, cache_seconds: 3600 }
    }
}

/// A reply in pieces.
///
/// `feed` runs after the reply has been handed over, and says each piece through its [`Sender`].
/// When it ends, the stream ends: with `finish`, unless it has sent that itself, or with `failed` and the text of its error.
pub fn chunks<F>(feed: F) -> Reply
where
    F: AsyncFnOnce(&mut Sender) -> Result<(), PluginError> + 'static,
{
    let (writer, reader) = wit_stream::new::<Chunk>();
    spawn(async move {
        let mut sender = Sender { writer, ended: false };
        let last = match feed(&mut sender).await {
            Ok(()) => Chunk::finish("stop"),
            Err(error) => Chunk::Failed(error.message()),
        };
        if !sender.ended {
            // Nobody is left to tell if the reader is gone.
            let _ = sender.send(last).await;
        }
    });
    Reply::Chunks(reader)
}

/// The reader of a reply has gone away: there is no use in going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl From<Closed> for PluginError {
    fn from(_: Closed) -> Self {
        let failure =
            Failure { message: "nobody reads the reply any longer".to_owned(), ..Failure::default() };
        Error::Cancelled(failure).into()
    }
}

/// Sends the pieces of a reply. Each method waits until the host has taken the piece.
#[derive(Debug)]
pub struct Sender {
    writer: wit_bindgen::StreamWriter<Chunk>,
    ended: bool,
}

impl Sender {
    /// Plain text.
    ///
    /// # Errors
    /// [`Closed`] if nobody reads any longer, here and in the other methods.
    pub async fn text(&mut self, text: impl Into<String>) -> Result<(), Closed> {
        self.send(Chunk::Text(text.into())).await
    }

    /// An event, such as `status`, in the order of the text around it.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn event(&mut self, kind: &str, data: &impl Serialize) -> Result<(), Closed> {
        let data = serde_json::to_string(data).unwrap_or_else(|_| "null".to_owned());
        self.send(Chunk::Event(StreamEvent { kind: kind.to_owned(), data, extra: None })).await
    }

    /// The end, with what the answer cost. Not needed for a plain `stop`.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn finish(&mut self, reason: &str, usage: Option<Usage>) -> Result<(), Closed> {
        self.send(Chunk::Finish(Finish { choice: 0, reason: reason.to_owned(), usage, extra: None })).await
    }

    /// Any piece.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn send(&mut self, chunk: Chunk) -> Result<(), Closed> {
        self.send_all(vec![chunk]).await
    }

    /// Several pieces at once, which costs less than one after the other.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn send_all(&mut self, chunks: Vec<Chunk>) -> Result<(), Closed> {
        self.ended |= chunks.iter().any(|chunk| matches!(chunk, Chunk::Finish(_) | Chunk::Failed(_)));
        if self.writer.write_all(chunks).await.is_empty() { Ok(()) } else { Err(Closed) }
    }
}
