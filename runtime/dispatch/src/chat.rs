//! A chat turn: inlet filters → request filters → model → stream filters on each piece → outlet filters → stored, if this chat is ours.

use std::sync::Arc;
use std::time::Duration;

use innkeeper_host::turn::TurnContext;
use innkeeper_model::authority::Authority;
use innkeeper_model::chat_message::{MessageUpdate, NewMessage, StoredMessage};
use innkeeper_model::chat_request::{ChatRequest, Content, ContentPart, Message};
use innkeeper_model::chunk::{Chunk, Collector};
use innkeeper_model::event::WireEvent;
use innkeeper_model::{ChatId, MessageId, Principal};
use innkeeper_registry::Plugin;
use innkeeper_sandbox::Permit;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::answer::ask;
use crate::dispatch::{Dispatch, NewTurn, cut_short};
use crate::error::DispatchError;
use crate::events::Kept;
use crate::filters::Chain;
use crate::models::Target;
use crate::scope::Scope;

/// What a client asks for. Fields named after parts of the context hold JSON text.
#[derive(Clone, Debug)]
pub struct ChatTurn {
    /// For whom.
    pub principal: Principal,
    /// The request.
    pub request: ChatRequest,
    /// The chat that it belongs to.
    pub chat: Option<ChatId>,
    /// The message that the answer is for.
    pub message: Option<MessageId>,
    /// The client's connection for events.
    pub session: Option<String>,
    /// Id of the turn, where the client has one.
    pub turn_id: Option<String>,
    /// BCP 47 tag.
    pub locale: Option<String>,
    /// Toggle filters that the request turns on.
    pub filter_ids: Vec<String>,
    /// Whether to store the turn in the chat.
    pub store_turn: bool,
    /// Object.
    pub metadata: Option<String>,
    /// Array.
    pub files: Option<String>,
    /// Object.
    pub features: Option<String>,
    /// Object.
    pub variables: Option<String>,
    /// Size of the request's body.
    pub body_bytes: u64,
}

/// A piece of a turn on its way to the client.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// A piece of the answer, or an event that was checked.
    Chunk(Chunk),
    /// The end.
    End(TurnEnd),
}

/// How a turn ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnEnd {
    /// Why it has no answer, or only part of one.
    pub error: Option<DispatchError>,
    /// Ids of its calls, for their receipts.
    pub receipts: Vec<String>,
}

/// A turn that runs. Dropping it ends the turn and everything that plugins were doing for it.
pub struct TurnHandle {
    /// Id of the turn.
    pub id: String,
    /// When it began, in seconds since 1970.
    pub created: i64,
    /// The model that was asked.
    pub model: String,
    /// Its pieces; `Frame::End` is the last.
    pub frames: mpsc::Receiver<Frame>,
    pub(crate) _client: tokio_util::sync::DropGuard,
}

/// Pieces that may wait for a slow client.
const FRAMES: usize = 32;
/// How often events are written to a stored message.
const FLUSH: Duration = Duration::from_millis(250);

impl Dispatch {
    /// Begins a chat turn. What is wrong with the request itself is an error here; what goes wrong later is in `Frame::End`.
    pub async fn chat(&self, turn: ChatTurn) -> Result<TurnHandle, DispatchError> {
        self.admit_turn(&turn.principal)?;
        check_turn_id(turn.turn_id.as_deref())?;
        self.check_chat(&turn.principal, turn.chat.as_ref(), turn.store_turn).await?;
        let target = self.target(&turn.request.model).await?;
        let model = turn.request.model.clone();
        let filters = self.registry().snapshot().filters_for(&model, &turn.filter_ids)?;
        let stored = if turn.store_turn { Some(self.begin_stored(&turn).await?) } else { None };

        let id = turn.turn_id.clone().unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
        let (sender, frames) = mpsc::channel(FRAMES);
        let kept = stored.as_ref().map(|stored| Arc::clone(&stored.kept));
        let new = NewTurn {
            id: id.clone(),
            principal: turn.principal.clone(),
            chat: turn.chat.clone(),
            message: stored
                .as_ref()
                .map(|stored| stored.kept.message.clone())
                .or_else(|| turn.message.clone()),
            locale: turn.locale.clone(),
            context: context(&turn, &model),
            frames: Some(sender.clone()),
            kept,
            toggles: turn.filter_ids.clone(),
        };
        let created = self.store().clock().seconds();
        let client = CancellationToken::new();
        let guard = client.clone().drop_guard();
        self.launch(new, client, move |scope| async move {
            let work = Work {
                scope: &scope,
                target,
                filters,
                sender: &sender,
                stored,
                collected: Collector::default(),
            };
            let error = work.run(turn.request, turn.body_bytes).await.err();
            let end = TurnEnd { error, receipts: scope.calls() };
            // Nobody listens where the client has gone.
            let _ = sender.send(Frame::End(end)).await;
        });
        Ok(TurnHandle { id, created, model, frames, _client: guard })
    }

    /// Makes the messages of a stored turn: the person's, if it is not there yet, and the answer's, still empty.
    async fn begin_stored(&self, turn: &ChatTurn) -> Result<Stored, DispatchError> {
        let (Some(chat), Some(user)) = (&turn.chat, turn.principal.user()) else {
            return Err(DispatchError::Body("`store` needs the id of a chat of yours".to_owned()));
        };
        let authority = Authority::Own(user.clone());
        let messages = self.store().chat_messages();
        let last = turn.request.messages.last().filter(|message| message.role == "user");
        let branch = messages.branch(&authority, chat, None).await?;
        let parent = match last {
            Some(last) => {
                let text = text_of(last);
                let there = branch.last().filter(|stored| stored.role == "user" && stored.content == text);
                match there {
                    Some(stored) => Some(stored.id.clone()),
                    None => {
                        let new = NewMessage {
                            role: "user".to_owned(),
                            content: text,
                            done: true,
                            ..NewMessage::default()
                        };
                        Some(messages.append(&authority, chat, new).await?.id)
                    }
                }
            }
            None => None,
        };
        let answer = NewMessage {
            id: turn.message.clone(),
            role: "assistant".to_owned(),
            parent,
            model: Some(turn.request.model.clone().into()),
            ..NewMessage::default()
        };
        let answer = messages.append(&authority, chat, answer).await?;
        let kept = Kept::new(self.store().clone(), authority, chat.clone(), answer.id);
        Ok(Stored { kept: Arc::new(kept) })
    }
}

/// A turn whose messages are stored here.
struct Stored {
    kept: Arc<Kept>,
}

struct Work<'a> {
    scope: &'a Arc<Scope>,
    target: Target,
    filters: Vec<Arc<Plugin>>,
    sender: &'a mpsc::Sender<Frame>,
    stored: Option<Stored>,
    collected: Collector,
}

impl Work<'_> {
    async fn run(mut self, request: ChatRequest, body_bytes: u64) -> Result<(), DispatchError> {
        let kept = self.stored.as_ref().map(|stored| Arc::clone(&stored.kept));
        let scope = self.scope;
        let over = CancellationToken::new();
        let turn = async {
            let result = tokio::select! {
                biased;
                result = self.turn(request, body_bytes) => result,
                () = cut_short(&scope.turn.cancel) => Err(DispatchError::Cancelled),
            };
            over.cancel();
            result
        };
        let flushes = async {
            // Ends between two writes and never in one, which would lose what it was to write.
            while let Some(kept) = &kept
                && tokio::time::timeout(FLUSH, over.cancelled()).await.is_err()
            {
                kept.flush().await;
            }
        };
        let (result, ()) = tokio::join!(turn, flushes);
        if let Some(kept) = &kept {
            kept.flush().await;
            if let Err(error) = &result {
                self.store_failure(kept, error).await;
            }
            // What plugins show from here on belongs after the text.
            kept.end().await;
        }
        result
    }

    async fn turn(&mut self, mut request: ChatRequest, body_bytes: u64) -> Result<(), DispatchError> {
        let (mut chain, pipe) = self.admit(body_bytes).await?;
        crate::request::keep_blobs(&self.scope.turn.blobs, &mut request);
        self.through(&mut chain, pipe, request, body_bytes).await
    }

    async fn through(
        &mut self,
        chain: &mut Chain,
        pipe: Option<Permit>,
        request: ChatRequest,
        body_bytes: u64,
    ) -> Result<(), DispatchError> {
        let scope = self.scope;
        let request = chain.inlet(scope, request).await?;
        let request = chain.request(scope, request).await?;
        let target = self.retarget(&request).await?;
        let pipe = self.repermit(&target, pipe).await?;
        chain.release(scope);
        let messages = if chain.filters_messages() { stored_messages(scope, &request) } else { Vec::new() };
        let mut answering = ask(scope, &target, request, None, pipe, body_bytes).await?;
        while let Some(chunk) = answering.next().await? {
            let chunks =
                if chain.filters_pieces() { chain.stream(scope, vec![chunk]).await? } else { vec![chunk] };
            for chunk in chunks {
                match chunk {
                    // `emit` sends it on as a frame, in its place.
                    Chunk::Event(event) => drop(scope.turn.events.emit(event).await),
                    chunk => self.send(chunk).await?,
                }
            }
        }
        self.outlet(chain, messages).await
    }

    /// Slots for the whole chain, at once.
    async fn admit(&mut self, body_bytes: u64) -> Result<(Chain, Option<Permit>), DispatchError> {
        let mut plugins: Vec<_> =
            self.filters.iter().map(|plugin| (plugin.id.clone(), Arc::clone(&plugin.limits))).collect();
        if let Target::Pipe { plugin, .. } = &self.target {
            plugins.push((plugin.id.clone(), Arc::clone(&plugin.limits)));
        }
        let Some((first, _)) = plugins.first().cloned() else {
            return Ok((Chain::new(self.scope, Vec::new(), body_bytes, None), None));
        };
        let permits = self.scope.dispatch.sandbox().admit(&plugins, self.scope.user()).await;
        let mut permits = permits.map_err(|error| DispatchError::call(&first, error))?;
        let pipe = if matches!(self.target, Target::Pipe { .. }) { permits.pop() } else { None };
        let filters = std::mem::take(&mut self.filters).into_iter().zip(permits).collect();
        Ok((Chain::new(self.scope, filters, body_bytes, None), pipe))
    }

    /// A filter may have chosen another model.
    async fn retarget(&self, request: &ChatRequest) -> Result<Target, DispatchError> {
        let same = match &self.target {
            Target::Provider { model, .. } => *model == request.model,
            Target::Pipe { plugin, model } => {
                let rest = request.model.strip_prefix(plugin.id.as_str());
                rest.is_some_and(|rest| rest.strip_prefix('.').unwrap_or(rest) == model)
            }
        };
        if same { Ok(self.target.clone()) } else { self.scope.dispatch.target(&request.model).await }
    }

    /// The pipe's slot; where a filter chose another pipe, one from the reserve.
    async fn repermit(
        &self,
        target: &Target,
        permit: Option<Permit>,
    ) -> Result<Option<Permit>, DispatchError> {
        match (target, &self.target) {
            (Target::Pipe { plugin, .. }, Target::Pipe { plugin: before, .. }) if plugin.id == before.id => {
                Ok(permit)
            }
            (Target::Pipe { plugin, .. }, _) => {
                let permit =
                    self.scope.dispatch.sandbox().admit_child(&plugin.id, self.scope.user(), &plugin.limits);
                permit.map(Some).map_err(|error| DispatchError::call(&plugin.id, error))
            }
            (Target::Provider { .. }, _) => Ok(None),
        }
    }

    async fn send(&mut self, chunk: Chunk) -> Result<(), DispatchError> {
        // What cannot be collected was refused when it came from the guest.
        let _ = self.collected.add(&chunk);
        if let Some(stored) = &self.stored {
            stored.kept.shown_so_far(self.collected.text(0));
        }
        self.sender.send(Frame::Chunk(chunk)).await.map_err(|_| DispatchError::Cancelled)
    }

    async fn outlet(
        &mut self,
        chain: &mut Chain,
        mut messages: Vec<StoredMessage>,
    ) -> Result<(), DispatchError> {
        let text = self.text();
        let mut shown = text.clone();
        if chain.filters_messages() {
            chain.readmit(self.scope).await?;
            messages.push(self.answer_message(&text));
            let before = messages.clone();
            let after = chain.outlet(self.scope, messages).await;
            let changed: Vec<_> =
                before.iter().zip(&after).filter(|(before, after)| before.content != after.content).collect();
            if let Some(answer) = after.last() {
                shown.clone_from(&answer.content);
            }
            if !changed.is_empty() {
                let messages: Vec<_> = changed
                    .iter()
                    .map(|(_, after)| json!({ "id": after.id, "content": after.content }))
                    .collect();
                // For clients that show the stored text; whoever reads only the answer has had the filtered pieces.
                drop(
                    self.scope
                        .turn
                        .events
                        .emit(WireEvent::new("chat:outlet", json!({ "messages": messages })))
                        .await,
                );
            }
        }
        let Some(stored) = &self.stored else { return Ok(()) };
        let kept = &stored.kept;
        kept.flush().await;
        let change = MessageUpdate {
            original_content: (shown != text).then_some(text),
            content: Some(shown),
            done: Some(true),
            usage: self.collected.usage().cloned(),
            ..MessageUpdate::default()
        };
        kept.store.chat_messages().set(&kept.authority, &kept.chat, &kept.message, &change).await?;
        Ok(())
    }

    /// What the person sees: the answer's text, and in stored chats what events added to it.
    fn text(&self) -> String {
        match &self.stored {
            Some(stored) => stored.kept.text(),
            None => self.collected.text(0).to_owned(),
        }
    }

    fn answer_message(&self, text: &str) -> StoredMessage {
        let turn = &self.scope.turn;
        let id = turn.message.clone().unwrap_or_else(|| format!("{}-answer", turn.id).into());
        let mut message = plain(&self.scope.turn, id, "assistant", text.to_owned());
        message.usage = self.collected.usage().cloned();
        message
    }

    async fn store_failure(&self, kept: &Kept, error: &DispatchError) {
        let text = self.text();
        let change = MessageUpdate {
            content: (!text.is_empty()).then_some(text),
            done: Some(true),
            error: Some(json!({ "content": error.to_string() }).to_string()),
            ..MessageUpdate::default()
        };
        if let Err(error) =
            kept.store.chat_messages().set(&kept.authority, &kept.chat, &kept.message, &change).await
        {
            tracing::warn!(%error, "the failure of a turn could not be stored");
        }
    }
}

/// Longest id that a client may choose for a turn, in bytes.
const TURN_ID_MAX: usize = 128;

/// Ids of turns stand in receipts, logs and headers.
fn check_turn_id(id: Option<&str>) -> Result<(), DispatchError> {
    let fits = |id: &str| {
        (1..=TURN_ID_MAX).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
    };
    if id.is_none_or(fits) {
        return Ok(());
    }
    let problem = format!("a turn's id has 1 to {TURN_ID_MAX} letters, digits, `-`, `_`, `.` or `:`");
    Err(DispatchError::Body(problem))
}

/// Sends events among pieces where events go; the other pieces remain.
pub(crate) async fn emit_events(scope: &Scope, chunks: Vec<Chunk>) -> Vec<Chunk> {
    let mut rest = Vec::with_capacity(chunks.len());
    for chunk in chunks {
        match chunk {
            Chunk::Event(event) => drop(scope.turn.events.emit(event).await),
            chunk => rest.push(chunk),
        }
    }
    rest
}

fn context(turn: &ChatTurn, model: &str) -> TurnContext {
    let default = TurnContext::default();
    TurnContext {
        messages: Arc::new(turn.request.messages.clone()),
        model: Some(json!({ "id": model }).to_string()),
        files: turn.files.clone().unwrap_or(default.files),
        features: turn.features.clone().unwrap_or(default.features),
        variables: turn.variables.clone().unwrap_or(default.variables),
        metadata: turn.metadata.clone().unwrap_or(default.metadata),
        task: turn.metadata.as_deref().and_then(task_of),
    }
}

/// What the call is for, where the client says that it is no chat: `task` and `task_body` of the metadata.
fn task_of(metadata: &str) -> Option<(String, Option<String>)> {
    let metadata = innkeeper_model::json::object(metadata).ok()?;
    let name = innkeeper_model::json::string(metadata.get("task")?)?;
    let body = metadata.get("task_body").filter(|body| *body != "null");
    Some((name.into_owned(), body.map(str::to_owned)))
}

/// The conversation as outlet filters see it.
fn stored_messages(scope: &Scope, request: &ChatRequest) -> Vec<StoredMessage> {
    let message = |(index, message): (usize, &Message)| {
        let id = MessageId::from(format!("{}-{index}", scope.turn.id));
        plain(&scope.turn, id, &message.role, text_of(message))
    };
    request.messages.iter().enumerate().map(message).collect()
}

fn plain(turn: &innkeeper_host::Turn, id: MessageId, role: &str, content: String) -> StoredMessage {
    StoredMessage {
        id,
        chat: turn.chat.clone().unwrap_or_else(|| ChatId::from("temporary:")),
        user: turn.principal.user().cloned(),
        role: role.to_owned(),
        parent: None,
        content,
        model: None,
        done: true,
        usage: None,
        files: None,
        sources: None,
        embeds: None,
        status_history: None,
        error: None,
        created_at: 0,
        updated_at: 0,
        version: String::new(),
        extra: None,
    }
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
