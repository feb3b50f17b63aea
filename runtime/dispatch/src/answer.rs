//! Asks a model: a pipe or an upstream provider. Whatever it answers comes as chunks, with `finish` or `failed` last.

use std::sync::Arc;

use innkeeper_host::CallHandle;
use innkeeper_host::events::admit_streamed;
use innkeeper_model::chat_request::{ChatRequest, restore_blobs};
use innkeeper_model::chunk::Chunk;
use innkeeper_model::event::{Direction, WireEvent, check};
use innkeeper_model::permission::Grants;
use innkeeper_model::{Permission, json};
use innkeeper_registry::Plugin;
use innkeeper_sandbox::{Answer, Ask, Budget, Permit, Reply};
use tokio::sync::mpsc;
use tokio_util::sync::DropGuard;

use crate::error::DispatchError;
use crate::models::Target;
use crate::provider::Relayed;
use crate::scope::{Scope, answered, outcome_error};

/// An answer on its way.
pub(crate) struct Answering {
    source: Source,
    /// Chunks that are there already.
    ready: std::collections::VecDeque<Chunk>,
    ended: bool,
}

enum Source {
    Pipe {
        plugin: Arc<Plugin>,
        call: CallHandle,
        chunks: Option<mpsc::Receiver<Chunk>>,
        cut: Option<DropGuard>,
    },
    Provider {
        id: String,
        answer: Relayed,
        /// An event of it was dropped, and the log says so.
        warned: bool,
    },
}

/// Asks a model. Returns once it has begun to answer, or has given back what fuel it was lent.
pub(crate) async fn ask(
    scope: &Arc<Scope>,
    target: &Target,
    request: ChatRequest,
    caller: Option<(&CallHandle, &Budget)>,
    permit: Option<Permit>,
    body_bytes: u64,
) -> Result<Answering, DispatchError> {
    match target {
        Target::Provider { provider, model } => {
            let mut request = request;
            request.model.clone_from(model);
            restore_blobs(&mut request, &|id| scope.turn.blobs.get(id))?;
            let answer = provider.chat(&scope.dispatch, request).await?;
            let source = Source::Provider { id: provider.id().to_owned(), answer, warned: false };
            Ok(Answering { source, ready: Default::default(), ended: false })
        }
        Target::Pipe { plugin, model } => {
            let mut request = request;
            request.model.clone_from(model);
            let budget = Budget::new(&plugin.limits, body_bytes);
            let budget = match caller {
                Some((_, left)) => budget.within(left),
                None => budget,
            };
            let permit = permit.ok_or(DispatchError::Internal)?;
            let parent = caller.map(|(caller, _)| caller);
            let started = scope.start(plugin, parent, budget, permit, Ask::Run(request)).await?;
            let call = started.call.clone();
            let begun = match answered(plugin, started).await {
                Ok((Answer::Reply(Reply::Text(text)), cut)) => {
                    Ok((vec![Chunk::Text(text), stop()], None, cut))
                }
                Ok((Answer::Reply(Reply::Json(text)), cut)) => {
                    pieces(plugin, &text).map(|pieces| (pieces, None, cut))
                }
                Ok((Answer::Reply(Reply::Chunks(chunks)), cut)) => Ok((Vec::new(), Some(chunks), cut)),
                Ok(_) => Err(DispatchError::Internal),
                Err(error) => Err(error),
            };
            let (ready, chunks, cut) = match begun {
                Ok(begun) => begun,
                Err(error) => {
                    call.settled().await;
                    return Err(error);
                }
            };
            let source = Source::Pipe { plugin: Arc::clone(plugin), call, chunks, cut: Some(cut) };
            Ok(Answering { source, ready: ready.into(), ended: false })
        }
    }
}

fn stop() -> Chunk {
    Chunk::Finish { choice: 0, reason: "stop".to_owned(), usage: None, extra: None }
}

impl Answering {
    /// The next piece; `None` after the last. Events among the pieces have been checked. An answer that breaks off is an error.
    pub(crate) async fn next(&mut self) -> Result<Option<Chunk>, DispatchError> {
        loop {
            let Some(chunk) = self.next_chunk().await? else {
                if !self.ended {
                    return Err(self.broken().await);
                }
                self.let_go();
                return Ok(None);
            };
            match chunk {
                Chunk::Raw(raw) => {
                    // What a frame holds is typed and checked here, so that nothing passes as a raw frame that would not pass by its name.
                    let typed = Chunk::from_frame(&raw).map_err(|error| self.contract(error.to_string()))?;
                    match typed.as_slice() {
                        [Chunk::Raw(_)] => return Ok(Some(Chunk::Raw(raw))),
                        _ => typed.into_iter().rev().for_each(|chunk| self.ready.push_front(chunk)),
                    }
                }
                Chunk::Event(event) => {
                    if self.admit(&event)? {
                        return Ok(Some(Chunk::Event(event)));
                    }
                }
                chunk => {
                    self.ended |= chunk.is_end();
                    return Ok(Some(chunk));
                }
            }
        }
    }

    /// What the pipe does after its answer is background work, which outlives the interest in the answer.
    fn let_go(&mut self) {
        if let Source::Pipe { cut, .. } = &mut self.source
            && let Some(cut) = cut.take()
        {
            cut.disarm();
        }
    }

    async fn next_chunk(&mut self) -> Result<Option<Chunk>, DispatchError> {
        if let Some(chunk) = self.ready.pop_front() {
            return Ok(Some(chunk));
        }
        match &mut self.source {
            Source::Pipe { chunks: Some(chunks), .. } => Ok(chunks.recv().await),
            Source::Pipe { chunks: None, .. } => Ok(None),
            Source::Provider { answer, .. } => answer.chunks.recv().await.transpose(),
        }
    }

    /// Whether an event inside the answer may pass; one that may not is dropped, and the log says so.
    fn admit(&mut self, event: &WireEvent) -> Result<bool, DispatchError> {
        match &mut self.source {
            Source::Pipe { call, .. } => {
                admit_streamed(call, event).map_err(|stop| DispatchError::stopped(call.plugin(), stop))
            }
            // A provider is no plugin and has no grants: it may show progress and name its sources, and no more.
            Source::Provider { id, warned, .. } => {
                let grants = Grants::default().with(Permission::EventsEmit);
                let harmless = matches!(event.kind.as_str(), "status" | "source" | "citation");
                let admitted = harmless && check(event, Direction::Emit, &grants).is_ok();
                // Once for an answer, which may hold any number of them.
                if !admitted && !std::mem::replace(warned, true) {
                    tracing::warn!(
                        provider = id,
                        kind = innkeeper_host::log::escape(&event.kind),
                        "an event of a provider was dropped"
                    );
                }
                Ok(admitted)
            }
        }
    }

    /// Returns when the fuel that it was lent is back, but for what background work has. An answer that has not ended is cut.
    pub(crate) async fn end(self) {
        if let Source::Pipe { call, cut, .. } = self.source {
            drop(cut);
            call.settled().await;
        }
    }

    async fn broken(&self) -> DispatchError {
        match &self.source {
            Source::Pipe { plugin, call, .. } => {
                let (outcome, _) = call.settled().await;
                outcome_error(plugin, outcome).unwrap_or_else(|| DispatchError::Contract {
                    plugin: plugin.id.clone(),
                    problem: "the answer ended without `finish` or `failed`".to_owned(),
                })
            }
            Source::Provider { id, .. } => DispatchError::Provider {
                provider: id.clone(),
                status: None,
                message: "the answer broke off".to_owned(),
            },
        }
    }

    fn contract(&self, problem: String) -> DispatchError {
        match &self.source {
            Source::Pipe { plugin, .. } => {
                DispatchError::Contract { plugin: plugin.id.clone(), problem: crate::error::shown(&problem) }
            }
            Source::Provider { id, .. } => DispatchError::Provider {
                provider: id.clone(),
                status: None,
                message: crate::error::shown(&problem),
            },
        }
    }
}

/// A whole chat completion in pieces.
fn pieces(plugin: &Plugin, text: &str) -> Result<Vec<Chunk>, DispatchError> {
    let wrong = |problem: String| DispatchError::Contract {
        plugin: plugin.id.clone(),
        problem: crate::error::shown(&problem),
    };
    completion_pieces(text).map_err(wrong)
}

/// The choices of a chat completion as if they had been streamed, then its usage.
pub(crate) fn completion_pieces(text: &str) -> Result<Vec<Chunk>, String> {
    let body = json::object(text).map_err(|error| format!("it is not a chat completion: {error}"))?;
    if body.get("error").is_some_and(|error| error != "null") {
        return Chunk::from_frame(text).map_err(|error| error.to_string());
    }
    let choices = body.get("choices").ok_or("it is not a chat completion: `choices` is missing")?;
    let mut frame_choices = Vec::new();
    for choice in json::array(choices).map_err(|error| format!("`choices` is not a list: {error}"))? {
        let choice = json::object(choice).map_err(|error| format!("a choice is not an object: {error}"))?;
        let fields = choice.entries().iter().map(|entry| {
            let key = if entry.key == "message" { "\"delta\"".to_owned() } else { entry.raw_key.to_string() };
            format!("{key}:{}", entry.value)
        });
        frame_choices.push(format!("{{{}}}", fields.collect::<Vec<_>>().join(",")));
    }
    let usage = body
        .get("usage")
        .filter(|usage| *usage != "null")
        .map_or(String::new(), |usage| format!(",\"usage\":{usage}"));
    let frame =
        format!("{{\"object\":\"chat.completion.chunk\",\"choices\":[{}]{usage}}}", frame_choices.join(","));
    let mut chunks = Chunk::from_frame(&frame).map_err(|error| error.to_string())?;
    if !chunks.iter().any(Chunk::is_end) {
        chunks.push(stop());
    }
    Ok(chunks)
}
