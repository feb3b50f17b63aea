//! An action that a client runs on a message.

use innkeeper_model::authority::Authority;
use innkeeper_model::chat_message::{MessageUpdate, StoredMessage};
use innkeeper_model::tool::ActionResult;
use innkeeper_model::{ChatId, MessageId, PluginId, Principal};
use innkeeper_sandbox::{Answer, Ask};

use crate::dispatch::{Dispatch, NewTurn};
use crate::error::DispatchError;
use crate::tools::one_call;

/// What a client asks for.
#[derive(Clone, Debug)]
pub struct ActionTurn {
    /// For whom.
    pub principal: Principal,
    /// Whose action.
    pub plugin: PluginId,
    /// Which action.
    pub action: String,
    /// The chat.
    pub chat: Option<ChatId>,
    /// Its messages, where the client sends them; else those that are stored.
    pub messages: Option<Vec<StoredMessage>>,
    /// The message that the action is for; the last one where there is none.
    pub message: Option<MessageId>,
    /// BCP 47 tag.
    pub locale: Option<String>,
    /// Size of the request's body.
    pub body_bytes: u64,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ActionOutcome {
    /// The result, where the action gave one.
    pub result: Option<ActionResult>,
    /// Id of the call, for its receipt.
    pub call: String,
    /// Id of the turn.
    pub turn: String,
}

impl Dispatch {
    /// Runs an action. In chats that are stored here its events are kept in the message that it is for, and changes of messages that it
    /// returns are stored, unless the client sent the messages. Dropping the future ends the call.
    pub async fn run_action(&self, turn: ActionTurn) -> Result<ActionOutcome, DispatchError> {
        self.admit_turn(&turn.principal)?;
        self.check_chat(&turn.principal, turn.chat.as_ref(), turn.message.as_ref(), false).await?;
        let plugin = self.registry().resolve(&turn.plugin)?;
        if !plugin.manifest.actions.iter().any(|known| known.id == turn.action) {
            let action = crate::error::shown(&turn.action);
            return Err(DispatchError::UnknownAction { plugin: turn.plugin, action });
        }
        let authority = turn.principal.user().map_or(Authority::Nothing, |user| Authority::Own(user.clone()));
        let from_client = turn.messages.is_some();
        let messages = match (turn.messages, &turn.chat) {
            (Some(messages), _) => messages,
            (None, Some(chat)) => {
                self.store().chat_messages().branch(&authority, chat, turn.message.as_ref()).await?
            }
            (None, None) => {
                return Err(DispatchError::Body("an action needs `chat_id` or `messages`".to_owned()));
            }
        };
        let last = || messages.last().filter(|_| !from_client).map(|last| last.id.clone());
        let message = turn.message.or_else(last);
        let kept = self.keeps(&turn.principal, turn.chat.as_ref(), message.as_ref()).await?;
        let chat = turn.chat.clone();
        let new = NewTurn {
            chat: turn.chat,
            message,
            locale: turn.locale,
            kept: kept.clone(),
            ..NewTurn::of(turn.principal)
        };
        let id = new.id.clone();
        let ask = Ask::Action { id: turn.action, messages: messages.clone() };
        let dispatch = self.clone();
        let work = move |scope| async move {
            let (answer, call) = one_call(scope, plugin, ask, turn.body_bytes).await?;
            let Answer::Action(result) = answer else { return Err(DispatchError::Internal) };
            if let (Some(result), Some(chat), false) = (&result, chat, from_client) {
                let (store, changes) = (dispatch.store().clone(), changes(&messages, result));
                // All or none, and not half-way where the client leaves. What somebody changed since the action was given it is theirs.
                match kept {
                    Some(kept) => kept.change(changes).await?,
                    None => {
                        let stored = async move {
                            store.chat_messages().update_all(&authority, &chat, &changes).await?;
                            Ok(())
                        };
                        dispatch.to_its_end(stored).await?;
                    }
                }
            }
            Ok((result, call))
        };
        let (result, call) = self.run(new, work).await?;
        Ok(ActionOutcome { result, call, turn: id })
    }
}

/// New texts for messages that the action was given, with the version that each had; it cannot name others. Its last word on each counts.
fn changes(given: &[StoredMessage], result: &ActionResult) -> Vec<(MessageId, String, MessageUpdate)> {
    let change = |before: &StoredMessage| {
        let change = result.messages.iter().rfind(|change| change.message == before.id)?;
        let update = MessageUpdate {
            content: Some(change.content.clone()),
            original_content: Some(before.content.clone()),
            ..MessageUpdate::default()
        };
        let changes = change.content != before.content;
        changes.then(|| (before.id.clone(), before.version.clone(), update))
    };
    given.iter().filter_map(change).collect()
}
