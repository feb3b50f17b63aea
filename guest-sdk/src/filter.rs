//! Filters on turns: the trait, whose hooks all do nothing unless written.

use crate::bindings::innkeeper::types::manifest::FilterDescription;
use crate::chat_request::{ChatRequest, Chunk};
use crate::{Invocation, Plugin, PluginError, StoredMessage};

/// A filter. Mark the `impl` with `#[filter]`: the manifest then names the hooks that the `impl` has.
///
/// `#[filter(priority = 10, toggle, guard, keep_instance)]` sets the rest of its description; all four may be left out.
#[expect(async_fn_in_trait, reason = "guests have one thread")]
pub trait Filter: Plugin {
    /// Before the turn.
    ///
    /// # Errors
    /// [`PluginError::Rejected`] ends the turn with that message.
    /// Any other counts as a failure of the filter; the operator sets what becomes of the turn, and a guard's ends it.
    async fn inlet(&self, _invocation: Invocation, request: ChatRequest) -> Result<ChatRequest, PluginError> {
        Ok(request)
    }

    /// Just before each call of a model.
    ///
    /// # Errors
    /// As [`Filter::inlet`].
    async fn request(
        &self,
        _invocation: Invocation,
        request: ChatRequest,
    ) -> Result<ChatRequest, PluginError> {
        Ok(request)
    }

    /// On the pieces that are ready, mostly one.
    ///
    /// # Errors
    /// An error lets the pieces pass as they were; one of a guard ends the turn.
    async fn stream(&self, chunks: Vec<Chunk>) -> Result<Vec<Chunk>, PluginError> {
        Ok(chunks)
    }

    /// After the turn, on the conversation as the model got it and the answer as the person saw it. Only texts can be changed.
    /// In a chat that is stored here a changed answer is stored; what the person typed stays as it was.
    ///
    /// # Errors
    /// An error is recorded and changes nothing; with one of a guard the turn fails, and nothing of the answer's text is stored.
    async fn outlet(
        &self,
        _invocation: Invocation,
        messages: Vec<StoredMessage>,
    ) -> Result<Vec<StoredMessage>, PluginError> {
        Ok(messages)
    }
}

/// What the manifest says of a filter. Made by `#[filter]`.
pub trait DescribedFilter: Filter {
    fn filter() -> FilterDescription;
}

impl<T: Filter> crate::bindings::filter::Guest for T {
    async fn inlet(invocation: Invocation, request: ChatRequest) -> Result<ChatRequest, PluginError> {
        Filter::inlet(T::instance(), invocation, request).await
    }

    async fn request(invocation: Invocation, request: ChatRequest) -> Result<ChatRequest, PluginError> {
        Filter::request(T::instance(), invocation, request).await
    }

    async fn stream(chunks: Vec<Chunk>) -> Result<Vec<Chunk>, PluginError> {
        Filter::stream(T::instance(), chunks).await
    }

    async fn outlet(
        invocation: Invocation,
        messages: Vec<StoredMessage>,
    ) -> Result<Vec<StoredMessage>, PluginError> {
        Filter::outlet(T::instance(), invocation, messages).await
    }
}
