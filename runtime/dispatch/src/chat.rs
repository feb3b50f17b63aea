//! A chat turn: inlet filters → request filters → model → stream filters on each piece → outlet filters → stored, if this chat is ours.

mod stored;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use innkeeper_host::turn::TurnContext;
use innkeeper_model::chat_message::StoredMessage;
use innkeeper_model::chat_request::ChatRequest;
use innkeeper_model::chunk::{Chunk, Collector};
use innkeeper_model::event::WireEvent;
use innkeeper_model::{ChatId, MessageId, Principal};
use innkeeper_registry::Plugin;
use innkeeper_sandbox::Permit;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::stored::{Answered, Partial, answer_message, stored_messages};
use crate::answer::ask;
use crate::dispatch::{Dispatch, NewTurn};
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
/// How long a cancelled turn's work has to notice.
const LAST_WORDS: Duration = Duration::from_millis(250);

impl Dispatch {
    /// Begins a chat turn. What is wrong with the request itself is an error here; what goes wrong later is in `Frame::End`.
    pub async fn chat(&self, turn: ChatTurn) -> Result<TurnHandle, DispatchError> {
        self.admit_turn(&turn.principal)?;
        check_turn_id(turn.turn_id.as_deref())?;
        // The message of a turn that is stored is yet to be made.
        let message = turn.message.as_ref().filter(|_| !turn.store_turn);
        self.check_chat(&turn.principal, turn.chat.as_ref(), message, turn.store_turn).await?;
        let target = self.target(&turn.request.model).await?;
        let filters = self.registry().snapshot().filters_for(&turn.request.model, &turn.filter_ids)?;
        if !turn.store_turn {
            return Ok(self.begin(turn, target, filters, None));
        }
        let dispatch = self.clone();
        // Also where the client leaves meanwhile: somebody has to say then that no answer will come.
        self.to_its_end(async move {
            let kept = dispatch.begin_stored(&turn).await?;
            Ok(dispatch.begin(turn, target, filters, Some(kept)))
        })
        .await
    }

    fn begin(
        &self,
        mut turn: ChatTurn,
        target: Target,
        filters: Vec<Arc<Plugin>>,
        kept: Option<Arc<Kept>>,
    ) -> TurnHandle {
        let model = turn.request.model.clone();
        let (sender, frames) = mpsc::channel(FRAMES);
        let mut new = NewTurn::of(turn.principal.clone());
        if let Some(id) = turn.turn_id.take() {
            new.id = id;
        }
        crate::request::keep_blobs(&new.blobs, &mut turn.request);
        let new = NewTurn {
            chat: turn.chat.clone(),
            message: kept.as_ref().map(|kept| kept.message.clone()).or_else(|| turn.message.clone()),
            locale: turn.locale.clone(),
            context: context(&turn, &model),
            frames: Some(sender.clone()),
            kept: kept.clone(),
            toggles: turn.filter_ids.clone(),
            ..new
        };
        let id = new.id.clone();
        let created = self.store().clock().seconds();
        let client = CancellationToken::new();
        let guard = client.clone().drop_guard();
        self.launch(new, client, move |scope| async move {
            let work = Work {
                scope: &scope,
                target,
                filters,
                sender: &sender,
                kept,
                collected: Collector::default(),
                failed: None,
                guarded: false,
                withheld: false,
            };
            let error = work.run(turn.request, turn.body_bytes).await.err();
            let end = TurnEnd { error, receipts: scope.calls() };
            // Nobody listens where the client has gone.
            let stall = scope.dispatch.stall_timeout();
            let _ = hand_over(&sender, Frame::End(end), stall, &scope.turn.cancel).await;
        });
        TurnHandle { id, created, model, frames, _client: guard }
    }
}

struct Work<'a> {
    scope: &'a Arc<Scope>,
    target: Target,
    filters: Vec<Arc<Plugin>>,
    sender: &'a mpsc::Sender<Frame>,
    /// The message of the answer, where the turn is stored.
    kept: Option<Arc<Kept>>,
    collected: Collector,
    /// Why the answer ended early, in the words of whoever ended it.
    failed: Option<String>,
    /// A guard looks at the whole text, so that nothing is stored of it that it has not seen.
    guarded: bool,
    /// No guard has seen the answer's pieces, or one has refused the whole.
    withheld: bool,
}

impl Work<'_> {
    async fn run(mut self, request: ChatRequest, body_bytes: u64) -> Result<(), DispatchError> {
        let (kept, scope) = (self.kept.clone(), self.scope);
        let turn = Box::pin(self.turn(request, body_bytes));
        let result = attended(&scope.turn.cancel, kept.as_ref(), turn).await;
        let Some(kept) = kept else { return result.map(drop) };
        let partial = match (self.withheld, self.guarded) {
            (true, _) => Partial::Nothing,
            (false, true) => Partial::Own(self.collected.text(0).to_owned()),
            (false, false) => Partial::Shown,
        };
        kept.ends(result, self.guarded, partial).await
    }

    async fn turn(&mut self, request: ChatRequest, body_bytes: u64) -> Result<Answered, DispatchError> {
        let (mut chain, pipe) = self.admit(body_bytes).await?;
        (self.guarded, self.withheld) = (chain.guards_text(), chain.guards_text_alone());
        if let Some(kept) = self.kept.as_ref().filter(|_| self.guarded) {
            kept.guard();
        }
        let answered = self.through(&mut chain, pipe, request, body_bytes).await?;
        chain.succeeded();
        Ok(answered)
    }

    async fn through(
        &mut self,
        chain: &mut Chain,
        pipe: Option<Permit>,
        request: ChatRequest,
        body_bytes: u64,
    ) -> Result<Answered, DispatchError> {
        let scope = self.scope;
        let asked_for = request.model.clone();
        let request = chain.inlet(request).await?;
        let request = chain.request(request).await?;
        let target = self.retarget(&asked_for, &request).await?;
        if request.model != asked_for {
            self.check_guards(chain, &request.model)?;
        }
        let pipe = self.repermit(&target, pipe).await?;
        chain.release();
        let messages = if chain.filters_messages() { stored_messages(scope, &request) } else { Vec::new() };
        let mut answering = ask(scope, &target, request, None, pipe, body_bytes).await?;
        while let Some(chunk) = answering.next().await? {
            let chunks = if chain.filters_pieces() { chain.stream(vec![chunk]).await? } else { vec![chunk] };
            for chunk in chunks {
                match chunk {
                    // `emit` sends it on as a frame, in its place.
                    Chunk::Event(event) => drop(scope.turn.events.emit(event).await),
                    chunk => self.send(chunk).await?,
                }
            }
        }
        if let Some(failed) = self.failed.take() {
            return Err(DispatchError::AnswerFailed(crate::error::shown(&failed)));
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
    async fn retarget(&self, asked_for: &str, request: &ChatRequest) -> Result<Target, DispatchError> {
        if request.model == asked_for {
            return Ok(self.target.clone());
        }
        self.scope.dispatch.target(&request.model).await
    }

    /// Refuses a model that a filter chose where a guard of it has not seen the request.
    fn check_guards(&self, chain: &Chain, model: &str) -> Result<(), DispatchError> {
        let snapshot = self.scope.dispatch.registry().snapshot();
        let guards = snapshot.guards_for(model, &self.scope.toggles)?;
        match guards.into_iter().find(|guard| !chain.holds(&guard.id)) {
            None => Ok(()),
            Some(guard) => Err(DispatchError::NotAllowed(format!(
                "a filter chose the model `{}`, which the filter `{}` guards and which has to be asked for by its name",
                crate::error::shown(model),
                guard.id
            ))),
        }
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
            (Target::Pipe { plugin, .. }, _) => self.scope.admit_child(plugin).map(Some),
            (Target::Provider { .. }, _) => Ok(None),
        }
    }

    async fn send(&mut self, chunk: Chunk) -> Result<(), DispatchError> {
        // What cannot be collected was refused when it came from the guest.
        let _ = self.collected.add(&chunk);
        if let Chunk::Failed(message) = &chunk {
            self.failed = Some(message.clone());
        }
        if let Some(kept) = &self.kept {
            kept.shown_so_far(self.collected.text(0));
        }
        let stall = self.scope.dispatch.stall_timeout();
        hand_over(self.sender, Frame::Chunk(chunk), stall, &self.scope.turn.cancel).await
    }

    async fn outlet(
        &mut self,
        chain: &mut Chain,
        messages: Vec<StoredMessage>,
    ) -> Result<Answered, DispatchError> {
        let text = self.text();
        let shown = if chain.filters_messages() {
            let filtered = self.filtered(chain, messages, &text).await;
            // A guard that was cut with the turn has said nothing against what its hook on pieces let through.
            self.withheld |= filtered.is_err() && !self.scope.turn.cancel.is_cancelled();
            filtered?
        } else {
            text.clone()
        };
        Ok(Answered { text, shown, usage: self.collected.usage().cloned() })
    }

    /// The answer's text after the outlet filters; an error where a guard among them has not let it through.
    async fn filtered(
        &self,
        chain: &mut Chain,
        mut before: Vec<StoredMessage>,
        text: &str,
    ) -> Result<String, DispatchError> {
        if let Err(error) = chain.readmit().await {
            if chain.lacks_guard() {
                return Err(error);
            }
            // The person has had the answer already.
            tracing::warn!(turn = self.scope.turn.id, %error, "outlet filters are passed over");
            return Ok(text.to_owned());
        }
        before.push(answer_message(self.scope, text, self.collected.usage().cloned()));
        let after = chain.outlet(before.clone()).await?;
        let changed = before.iter().zip(&after).filter(|(before, after)| before.content != after.content);
        let changed: Vec<_> =
            changed.map(|(_, after)| json!({ "id": after.id, "content": after.content })).collect();
        if !changed.is_empty() {
            // For clients that show the stored text; whoever reads only the answer has had the filtered pieces.
            let event = WireEvent::new("chat:outlet", json!({ "messages": changed }));
            drop(self.scope.turn.events.emit(event).await);
        }
        Ok(after.last().map_or_else(|| text.to_owned(), |answer| answer.content.clone()))
    }

    /// What the person sees: the answer's text, and in stored chats what events added to it.
    fn text(&self) -> String {
        match &self.kept {
            Some(kept) => kept.text(),
            None => self.collected.text(0).to_owned(),
        }
    }
}

/// Runs the work of a turn until it ends, or a moment after it was cancelled, and writes now and then what events left to keep.
pub(crate) async fn attended<T>(
    cancel: &CancellationToken,
    kept: Option<&Arc<Kept>>,
    work: Pin<Box<impl Future<Output = Result<T, DispatchError>>>>,
) -> Result<T, DispatchError> {
    let over = CancellationToken::new();
    let work = async {
        let result = tokio::select! {
            biased;
            result = work => result,
            () = cut_short(cancel) => Err(DispatchError::Cancelled),
        };
        over.cancel();
        result
    };
    let flushes = async {
        while let Some(kept) = kept
            && tokio::time::timeout(FLUSH, over.cancelled()).await.is_err()
        {
            kept.flush().await;
        }
    };
    tokio::join!(work, flushes).0
}

/// Resolves a moment after a turn was cancelled: its calls have ended then, and work that still waits, for a slot or a provider, waits in vain.
async fn cut_short(cancel: &CancellationToken) {
    cancel.cancelled().await;
    tokio::time::sleep(LAST_WORDS).await;
}

/// Hands a piece to the client. One that reads nothing for so long counts as gone: others wait for what its turn holds.
pub(crate) async fn hand_over(
    frames: &mpsc::Sender<Frame>,
    frame: Frame,
    stall: Duration,
    cancel: &CancellationToken,
) -> Result<(), DispatchError> {
    match tokio::time::timeout(stall, frames.send(frame)).await {
        Ok(sent) => sent.map_err(|_| DispatchError::Cancelled),
        Err(_) => {
            tracing::info!(seconds = stall.as_secs(), "a client does not read its answer; its turn ends");
            cancel.cancel();
            Err(DispatchError::Cancelled)
        }
    }
}

/// Longest id that a client may choose for a turn, in bytes.
const TURN_ID_MAX: usize = 128;

/// Ids of turns stand in receipts, logs and headers.
pub(crate) fn check_turn_id(id: Option<&str>) -> Result<(), DispatchError> {
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
