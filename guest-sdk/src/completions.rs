//! Answers by models. Permission `completions`.

use crate::bindings::innkeeper::plugin::completions as imported;
pub use crate::bindings::innkeeper::types::models::AvailableModel;
use crate::chat_request::{ChatRequest, Chunk, Completion};
use crate::{Error, Failure, PluginError, Sender};

/// The models that the person may use.
///
/// # Errors
/// [`Error::Denied`].
pub async fn models() -> Result<Vec<AvailableModel>, Error> {
    Ok(imported::models().await?)
}

/// A whole answer.
///
/// # Errors
/// [`Error::Denied`], [`Error::Invalid`] for an unknown model, [`Error::QuotaExceeded`], [`Error::Unavailable`], [`Error::Timeout`].
pub async fn complete(request: ChatRequest) -> Result<Completion, Error> {
    Ok(imported::complete(request).await?)
}

/// An answer in pieces.
///
/// # Errors
/// As [`complete`].
pub async fn stream(request: ChatRequest) -> Result<Answer, Error> {
    Ok(Answer { pieces: imported::stream(request).await?, ended: false })
}

/// A vector for each text.
///
/// # Errors
/// As [`complete`].
pub async fn embed(model: impl Into<String>, texts: Vec<String>) -> Result<Vec<Vec<f32>>, Error> {
    Ok(imported::embed(model.into(), texts).await?)
}

/// An answer that comes in pieces.
#[derive(Debug)]
pub struct Answer {
    pieces: wit_bindgen::StreamReader<Chunk>,
    ended: bool,
}

impl Answer {
    /// The next piece; `None` after the last.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the answer was cut: it ended without `finish` or `failed`.
    pub async fn next(&mut self) -> Result<Option<Chunk>, Error> {
        let next = self.pieces.next().await;
        match &next {
            Some(Chunk::Finish(_) | Chunk::Failed(_)) => self.ended = true,
            None if !self.ended => return Err(Error::cut("the answer")),
            _ => {}
        }
        Ok(next)
    }

    /// The text of the whole answer.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the answer was cut or failed.
    pub async fn text(mut self) -> Result<String, Error> {
        let mut text = String::new();
        while let Some(chunk) = self.next().await? {
            if let Chunk::Failed(message) = chunk {
                return Err(Error::Unavailable(Failure { message, ..Failure::default() }));
            }
            text.push_str(chunk.text().unwrap_or_default());
        }
        Ok(text)
    }

    /// Passes the pieces on as they come, the last one included.
    ///
    /// # Errors
    /// As [`Answer::next`], and where nobody reads the reply any longer.
    pub async fn forward(mut self, sender: &mut Sender) -> Result<(), PluginError> {
        while let Some(chunk) = self.next().await? {
            sender.send(chunk).await?;
        }
        Ok(())
    }
}
