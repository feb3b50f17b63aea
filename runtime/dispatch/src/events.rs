//! Where a turn's events go: to the person's subscribers, into the answer's frames, and, in chats that this server stores, into the message.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use innkeeper_host::turn::Events;
use innkeeper_model::authority::Authority;
use innkeeper_model::chat_message::MessageUpdate;
use innkeeper_model::chunk::Chunk;
use innkeeper_model::event::{WireEvent, is_persisted};
use innkeeper_model::{ChatId, Error, MessageId, UserId};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::chat::{Frame, hand_over};
use crate::dispatch::Dispatch;
use crate::error::DispatchError;
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
    pub(crate) kept: Option<Arc<Kept>>,
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
                kept.flush().await;
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

/// A stored message while its answer comes. Events are written together, so that a long answer is not rewritten for each.
pub(crate) struct Kept {
    dispatch: Dispatch,
    authority: Authority,
    chat: ChatId,
    pub(crate) message: MessageId,
    state: Mutex<State>,
    /// One writer at a time, or events would change places.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    /// Events that are not in the database yet.
    waiting: Vec<WireEvent>,
    /// The message's text as a client shows it, which events add to and replace while the answer comes.
    text: String,
    /// How much of the answer is in it.
    answered: usize,
    /// A guard has yet to see the text, so that what events say of it is shown and not written.
    guarded: bool,
    /// The answer has been given; what events say from here on is written at once.
    ended: bool,
}

impl Kept {
    pub(crate) fn new(dispatch: Dispatch, authority: Authority, chat: ChatId, message: MessageId) -> Self {
        Self {
            dispatch,
            authority,
            chat,
            message,
            state: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
        }
    }

    pub(crate) fn dispatch(&self) -> &Dispatch {
        &self.dispatch
    }

    /// Text is written from here on only where it is given to `settle`: a guard of the turn looks at the whole of it.
    pub(crate) fn guard(&self) {
        self.lock().guarded = true;
    }

    /// Takes in how far the answer has come.
    pub(crate) fn shown_so_far(&self, answer: &str) {
        let mut state = self.lock();
        if let Some(new) = answer.get(state.answered..) {
            state.text.push_str(new);
            state.answered = answer.len();
        }
    }

    /// The text as it is shown now.
    pub(crate) fn text(&self) -> String {
        self.lock().text.clone()
    }

    /// Stores what an action made of messages of the chat, all or none, each as long as it has the version given with it.
    ///
    /// Where it gave this message another text, that is the last word on it: what events said of its text until then is passed over.
    pub(crate) async fn change(
        self: &Arc<Self>,
        changes: Vec<(MessageId, String, MessageUpdate)>,
    ) -> Result<(), DispatchError> {
        let kept = Arc::clone(self);
        self.alone(async move {
            // Before the events, which make another version of the message.
            let before = kept.lock().waiting.len();
            let messages = kept.dispatch.store().chat_messages();
            messages.update_all(&kept.authority, &kept.chat, &changes).await?;
            if changes.iter().any(|(id, ..)| *id == kept.message) {
                let mut place = 0;
                kept.lock().waiting.retain(|event| {
                    place += 1;
                    place > before || !is_text(event)
                });
            }
            Ok(())
        })
        .await
    }

    /// Stores what became of the answer. `update` is made of the text as it is shown at that moment, with all that events said of it.
    pub(crate) async fn settle(
        self: &Arc<Self>,
        update: impl FnOnce(&str) -> MessageUpdate + Send + 'static,
    ) -> Result<(), DispatchError> {
        let kept = Arc::clone(self);
        self.alone(async move {
            let (update, mut events) = {
                let mut state = kept.lock();
                let update = update(&state.text);
                (update, std::mem::take(&mut state.waiting))
            };
            if update.content.is_some() {
                events.retain(|event| !is_text(event));
            }
            kept.apply(events).await;
            let messages = kept.dispatch.store().chat_messages();
            messages.set(&kept.authority, &kept.chat, &kept.message, &update).await?;
            Ok(())
        })
        .await
    }

    /// Writes what waits; from here on events are written when they come.
    pub(crate) async fn end(self: &Arc<Self>) {
        self.lock().ended = true;
        self.flush().await;
    }

    /// Writes what waits.
    pub(crate) async fn flush(self: &Arc<Self>) {
        if self.lock().waiting.is_empty() {
            return;
        }
        let kept = Arc::clone(self);
        let written = self.alone(async move {
            let events = std::mem::take(&mut kept.lock().waiting);
            kept.apply(events).await;
            Ok(())
        });
        // What went wrong is in the log.
        let _ = written.await;
    }

    /// Whether the last flush of the turn is over, so that each event is written when it comes.
    fn has_ended(&self) -> bool {
        self.lock().ended
    }

    fn keep(&self, event: &WireEvent) {
        let mut state = self.lock();
        let text = event.data.get("content").and_then(Value::as_str).unwrap_or_default();
        match event.kind.as_str() {
            "message" => state.text.push_str(text),
            "replace" => text.clone_into(&mut state.text),
            _ => {}
        }
        if is_persisted(&event.kind) && !(state.guarded && is_text(event)) {
            state.waiting.push(event.clone());
        }
    }

    /// Writes events. What cannot be written at present waits on.
    async fn apply(&self, events: Vec<WireEvent>) {
        if events.is_empty() {
            return;
        }
        let messages = self.dispatch.store().chat_messages();
        match messages.apply_events(&self.authority, &self.chat, &self.message, &events).await {
            Ok(_) => {}
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, events = events.len(), "events of a message cannot be stored at present");
                self.lock().waiting.splice(0..0, events);
            }
            Err(error) => {
                tracing::error!(%error, lost = events.len(), "events of a message cannot be stored");
            }
        }
    }

    /// Runs a write when no other one runs, in a task of its own: in the turn's it would wait, and hold a transaction, while guests compute.
    async fn alone<T: Send + 'static>(
        self: &Arc<Self>,
        write: impl Future<Output = Result<T, DispatchError>> + Send + 'static,
    ) -> Result<T, DispatchError> {
        let kept = Arc::clone(self);
        let write = async move {
            let _writing = kept.writing.lock().await;
            write.await
        };
        self.dispatch.to_its_end(write).await
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an event is about the message's text.
fn is_text(event: &WireEvent) -> bool {
    matches!(event.kind.as_str(), "message" | "replace")
}
