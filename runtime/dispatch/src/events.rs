//! Where a turn's events go: to the person's subscribers, into the answer's frames, and, in chats that this server stores, into the message.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use innkeeper_host::turn::Events;
use innkeeper_model::authority::Authority;
use innkeeper_model::chat_message::MessageUpdate;
use innkeeper_model::chunk::Chunk;
use innkeeper_model::event::{WireEvent, is_persisted};
use innkeeper_model::{ChatId, Error, MessageId, UserId};
use innkeeper_store::{Store, StoreError};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::chat::{Frame, hand_over};
use crate::hub::{About, Hub, Patience};

/// The events of one turn.
pub(crate) struct TurnEvents {
    pub(crate) hub: Hub,
    pub(crate) user: Option<UserId>,
    pub(crate) about: About,
    pub(crate) patience: Patience,
    pub(crate) cancel: CancellationToken,
    pub(crate) frames: Option<mpsc::Sender<Frame>>,
    /// How long a client may read nothing of them.
    pub(crate) stall: Duration,
    pub(crate) kept: Option<std::sync::Arc<Kept>>,
}

impl Events for TurnEvents {
    fn emit(&self, event: WireEvent) -> BoxFuture<'_, Result<(), Error>> {
        if let Some(kept) = &self.kept {
            kept.keep(&event);
        }
        if let Some(user) = &self.user {
            self.hub.publish(user, &self.about, event.clone());
        }
        Box::pin(async move {
            if let Some(kept) = self.kept.clone().filter(|kept| kept.has_ended()) {
                // Background work of a plugin, which may keep its own futures from moving: not so this one, which holds a transaction.
                let _ = tokio::spawn(async move { kept.flush().await }).await;
            }
            if let Some(frames) = &self.frames {
                // Nobody listens where the client has gone; the turn is about to end then.
                let frame = Frame::Chunk(Chunk::Event(event));
                let _ = hand_over(frames, frame, self.stall, &self.cancel).await;
            }
            Ok(())
        })
    }

    fn call(&self, event: WireEvent) -> BoxFuture<'_, Result<Value, Error>> {
        Box::pin(async move {
            let Some(user) = &self.user else {
                return Err(Error::unavailable("there is no person behind this call to ask", None));
            };
            self.hub.ask(user, &self.about, event, self.patience, &self.cancel).await
        })
    }
}

/// Events of a stored message that are not in the database yet. They are written together, so that a long answer is not rewritten for each.
pub(crate) struct Kept {
    pub(crate) store: Store,
    pub(crate) authority: Authority,
    pub(crate) chat: ChatId,
    pub(crate) message: MessageId,
    waiting: Mutex<Vec<WireEvent>>,
    shown: Mutex<Shown>,
    /// One writer at a time, or events would change places.
    writing: tokio::sync::Mutex<()>,
}

/// The text of a message as a client shows it, which events add to and replace while the answer comes.
#[derive(Default)]
struct Shown {
    text: String,
    /// How much of the answer is in it.
    answered: usize,
    /// The answer has been given; what events say from here on is written at once.
    ended: bool,
}

impl Kept {
    pub(crate) fn new(store: Store, authority: Authority, chat: ChatId, message: MessageId) -> Self {
        Self {
            store,
            authority,
            chat,
            message,
            waiting: Mutex::default(),
            shown: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
        }
    }

    /// Takes in how far the answer has come.
    pub(crate) fn shown_so_far(&self, answer: &str) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(new) = answer.get(shown.answered..) {
            shown.text.push_str(new);
            shown.answered = answer.len();
        }
    }

    /// The text as it is shown now.
    pub(crate) fn text(&self) -> String {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).text.clone()
    }

    /// Stores what an action made of messages of the chat, all or none, each as long as it has the version given with it.
    ///
    /// Where it gave this message another text, that is the last word on it: what events said of its text until then is passed over.
    pub(crate) async fn change(
        &self,
        changes: &[(MessageId, String, MessageUpdate)],
    ) -> Result<(), StoreError> {
        // Before the events, which make another version of the message.
        let _writing = self.writing.lock().await;
        let before = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).len();
        self.store.chat_messages().update_all(&self.authority, &self.chat, changes).await?;
        if changes.iter().any(|(id, ..)| *id == self.message) {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let mut place = 0;
            waiting.retain(|event| {
                place += 1;
                place > before || !matches!(event.kind.as_str(), "message" | "replace")
            });
        }
        Ok(())
    }

    /// Writes what waits; from here on events are written when they come.
    pub(crate) async fn end(&self) {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
        self.flush().await;
    }

    /// Whether the last flush of the turn is over, so that each event is written when it comes.
    fn has_ended(&self) -> bool {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).ended
    }

    fn keep(&self, event: &WireEvent) {
        let text = || event.data.get("content").and_then(Value::as_str).unwrap_or_default();
        match event.kind.as_str() {
            "message" => self.shown.lock().unwrap_or_else(PoisonError::into_inner).text.push_str(text()),
            "replace" => {
                text().clone_into(&mut self.shown.lock().unwrap_or_else(PoisonError::into_inner).text)
            }
            _ => {}
        }
        if is_persisted(&event.kind) {
            self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(event.clone());
        }
    }

    /// Writes what waits. What cannot be written at present waits on.
    pub(crate) async fn flush(&self) {
        let _writing = self.writing.lock().await;
        let events = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        if events.is_empty() {
            return;
        }
        let written = self
            .store
            .chat_messages()
            .apply_events(&self.authority, &self.chat, &self.message, &events)
            .await;
        if let Err(error) = written {
            tracing::warn!(%error, "events of a message cannot be stored at present");
            if error.is_transient() {
                self.waiting.lock().unwrap_or_else(PoisonError::into_inner).splice(0..0, events);
            }
        }
    }
}
