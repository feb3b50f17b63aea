//! Turns in chats that are stored here: how their messages begin and end, and messages as outlet filters see them.

use std::sync::Arc;

use innkeeper_model::authority::Authority;
use innkeeper_model::chat_message::{MessageUpdate, NewMessage, StoredMessage};
use innkeeper_model::chat_request::{ChatRequest, Content, ContentPart, Message, Usage};
use innkeeper_model::{ChatId, MessageId};
use serde_json::json;

use super::ChatTurn;
use crate::dispatch::Dispatch;
use crate::error::DispatchError;
use crate::events::Kept;
use crate::scope::Scope;

impl Dispatch {
    /// Makes the messages of a stored turn: the person's, if it is not there yet, and the answer's, still empty.
    pub(super) async fn begin_stored(&self, turn: &ChatTurn) -> Result<Arc<Kept>, DispatchError> {
        let (Some(chat), Some(user)) = (&turn.chat, turn.principal.user()) else {
            return Err(DispatchError::Body("`store` needs the id of a chat of yours".to_owned()));
        };
        let question = turn.request.messages.last().filter(|message| message.role == "user");
        let question = question.map(|message| NewMessage {
            role: "user".to_owned(),
            content: text_of(message),
            done: true,
            ..NewMessage::default()
        });
        let answer = NewMessage {
            id: turn.message.clone(),
            role: "assistant".to_owned(),
            model: Some(turn.request.model.clone().into()),
            ..NewMessage::default()
        };
        let authority = Authority::Own(user.clone());
        let answer = self.store().chat_messages().append_turn(&authority, chat, question, answer).await?;
        Ok(Arc::new(Kept::new(self.clone(), authority, chat.clone(), answer.id)))
    }
}

/// An answer that is complete.
pub(super) struct Answered {
    /// As it was before outlet filters, with what events added to it.
    pub(super) text: String,
    /// As people are to see it.
    pub(super) shown: String,
    pub(super) usage: Option<Usage>,
}

/// What of an answer that failed may be stored.
pub(super) enum Partial {
    /// All that was shown.
    Shown,
    /// Its own text, as guards let it through; what events said of it they have not seen.
    Own(String),
    /// Nothing: a guard has not let it through.
    Nothing,
}

impl Kept {
    /// Stores how a turn ended, and from here on events as they come. In a task of its own, which goes on where the turn's is dropped:
    /// a message that waits for its answer needs somebody who says that none will come.
    pub(super) async fn ends(
        self: &Arc<Self>,
        result: Result<Answered, DispatchError>,
        guarded: bool,
        partial: Partial,
    ) -> Result<(), DispatchError> {
        let kept = Arc::clone(self);
        let ending = async move {
            let result = match result {
                Ok(answered) => kept.complete(answered, guarded).await,
                Err(error) => Err(error),
            };
            if let Err(error) = &result {
                kept.fail(error, partial).await;
            }
            // What plugins show from here on belongs after the text.
            kept.end().await;
            result
        };
        self.dispatch().to_its_end(ending).await
    }

    async fn complete(self: &Arc<Self>, answered: Answered, guarded: bool) -> Result<(), DispatchError> {
        let Answered { text, shown, usage } = answered;
        self.settle(move |now| {
            let original = (shown != text).then(|| text.clone());
            let content = match now.strip_prefix(&text) {
                // What events said since then no guard has seen.
                _ if guarded => shown,
                Some(since) => shown + since,
                None => now.to_owned(),
            };
            MessageUpdate {
                content: Some(content),
                original_content: original,
                done: Some(true),
                usage,
                ..MessageUpdate::default()
            }
        })
        .await
    }

    /// Stores why there is no answer, or only part of one.
    async fn fail(self: &Arc<Self>, error: &DispatchError, partial: Partial) {
        let ended = MessageUpdate {
            done: Some(true),
            error: Some(json!({ "content": error.to_string() }).to_string()),
            ..MessageUpdate::default()
        };
        let without_text = MessageUpdate { content: Some(String::new()), ..ended.clone() };
        let failed = self.settle(move |now| MessageUpdate {
            content: match partial {
                Partial::Shown => Some(now.to_owned()).filter(|text| !text.is_empty()),
                Partial::Own(text) => Some(text),
                Partial::Nothing => Some(String::new()),
            },
            ..ended
        });
        let Err(error) = failed.await else { return };
        tracing::warn!(%error, "the text of a turn that failed could not be stored");
        // The text may be what does not fit, and nobody is to wait for an answer that will not come.
        if let Err(error) = self.settle(move |_| without_text).await {
            tracing::warn!(%error, "the failure of a turn could not be stored");
        }
    }
}

/// The conversation as outlet filters see it.
pub(super) fn stored_messages(scope: &Scope, request: &ChatRequest) -> Vec<StoredMessage> {
    let message = |(index, message): (usize, &Message)| {
        let id = MessageId::from(format!("{}-{index}", scope.turn.id));
        plain(&scope.turn, id, &message.role, text_of(message))
    };
    request.messages.iter().enumerate().map(message).collect()
}

/// The answer as outlet filters see it.
pub(super) fn answer_message(scope: &Scope, text: &str, usage: Option<Usage>) -> StoredMessage {
    let turn = &scope.turn;
    let id = turn.message.clone().unwrap_or_else(|| format!("{}-answer", turn.id).into());
    StoredMessage { usage, ..plain(turn, id, "assistant", text.to_owned()) }
}

fn plain(turn: &innkeeper_host::Turn, id: MessageId, role: &str, content: String) -> StoredMessage {
    let chat = turn.chat.clone().unwrap_or_else(|| ChatId::from("temporary:"));
    StoredMessage { user: turn.principal.user().cloned(), ..StoredMessage::new(id, chat, role, content) }
}

/// The text of a message; parts of other kinds are left out.
fn text_of(message: &Message) -> String {
    match &message.content {
        Some(Content::Text(text)) => text.clone(),
        Some(Content::Parts(parts)) => {
            let text = |part: &ContentPart| {
                if let ContentPart::Text { text, .. } = part { Some(text.clone()) } else { None }
            };
            parts.iter().filter_map(text).collect::<Vec<_>>().join("\n")
        }
        Some(Content::Other(_)) | None => String::new(),
    }
}
