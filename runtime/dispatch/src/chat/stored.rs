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
        Ok(Arc::new(Kept::new(self.store().clone(), authority, chat.clone(), answer.id)))
    }
}

impl Kept {
    /// Stores the answer as people see it; `text` is what it was before outlet filters.
    pub(super) async fn complete(
        &self,
        text: String,
        shown: String,
        usage: Option<Usage>,
    ) -> Result<(), DispatchError> {
        self.flush().await;
        let change = MessageUpdate {
            original_content: (shown != text).then_some(text),
            content: Some(shown),
            done: Some(true),
            usage,
            ..MessageUpdate::default()
        };
        self.store.chat_messages().set(&self.authority, &self.chat, &self.message, &change).await?;
        Ok(())
    }

    /// Stores why there is no answer, or only part of one. Of a text that is `withheld` nothing stays.
    pub(super) async fn fail(&self, error: &DispatchError, withheld: bool) {
        let text = self.text();
        let change = MessageUpdate {
            content: if withheld { Some(String::new()) } else { Some(text).filter(|text| !text.is_empty()) },
            done: Some(true),
            error: Some(json!({ "content": error.to_string() }).to_string()),
            ..MessageUpdate::default()
        };
        let messages = self.store.chat_messages();
        if let Err(error) = messages.set(&self.authority, &self.chat, &self.message, &change).await {
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
