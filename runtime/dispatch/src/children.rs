//! What plugins ask of each other and of models. Runs in the turn's task, beside the call that asks.
//!
//! A child runs for the same principal, under its own grants, within what is left of its caller's budget.

use std::sync::Arc;

use innkeeper_host::CallHandle;
use innkeeper_host::fuel::Spent;
use innkeeper_host::turn::{ChildAsk, ChildRequest, OfferedModel, OfferedTool};
use innkeeper_model::chat_request::{ChatRequest, Completion};
use innkeeper_model::chunk::{Chunk, Collector};
use innkeeper_model::tool::ToolResult;
use innkeeper_model::{Error, PluginId};
use innkeeper_sandbox::{Answer, Ask, Budget};
use tokio::sync::{mpsc, oneshot};

use crate::answer::{Answering, Unanswered, ask};
use crate::error::DispatchError;
use crate::filters::Chain;
use crate::models::{ModelKind, Target};
use crate::scope::{Scope, answered};

/// Serves one request, and drops it where the one who asked has gone.
pub(crate) async fn serve(scope: Arc<Scope>, request: ChildRequest) {
    let ChildRequest { caller, fuel, spent, ask } = request;
    match ask {
        ChildAsk::Tools(reply) => answer(reply, async { Ok(tools(&scope)) }).await,
        ChildAsk::Models(reply) => answer(reply, models(&scope, &caller)).await,
        ChildAsk::Tool { plugin, name, arguments, reply } => {
            answer(reply, call_tool(&scope, &caller, fuel, plugin, name, arguments)).await;
        }
        ChildAsk::Complete(request, reply) => answer(reply, complete(&scope, &caller, fuel, request)).await,
        ChildAsk::Stream(request, reply) => stream(&scope, &caller, fuel, &spent, request, reply).await,
        ChildAsk::Embed { model, texts, reply } => answer(reply, embed(&scope, model, texts)).await,
    }
}

/// Sends the result of some work, unless the receiver goes first: the work is dropped then, and with it the child.
async fn answer<T>(mut reply: oneshot::Sender<T>, work: impl Future<Output = T>) {
    let result = tokio::select! {
        result = work => result,
        () = reply.closed() => return,
    };
    // The receiver may go between the two.
    let _ = reply.send(result);
}

fn tools(scope: &Scope) -> Vec<OfferedTool> {
    let snapshot = scope.dispatch.registry().snapshot();
    let offered = snapshot.tools().iter().flat_map(|plugin| {
        let tools = plugin.manifest.tools.iter().map(|tool| OfferedTool {
            plugin: plugin.id.clone(),
            name: tool.name.clone(),
            description: tool.description.clone(),
            parameters: tool.parameters.to_string(),
        });
        tools.collect::<Vec<_>>()
    });
    offered.collect()
}

async fn models(scope: &Arc<Scope>, caller: &CallHandle) -> Result<Vec<OfferedModel>, Error> {
    // Asking for lists takes no fuel of the caller's: each pipe is asked once in a turn, under its own limits.
    let left = budget(caller, u64::MAX)?;
    let kind = |kind| match kind {
        ModelKind::Pipe => "pipe".to_owned(),
        ModelKind::Provider => "provider".to_owned(),
    };
    let models = scope.dispatch.models_within(scope, caller, left).await;
    Ok(models
        .into_iter()
        .map(|model| OfferedModel { id: model.id, name: model.name, kind: kind(model.kind) })
        .collect())
}

/// What is left of a caller's budget; an error where it is nested too deep.
fn budget(caller: &CallHandle, fuel: u64) -> Result<Budget, Error> {
    let depth = caller.setup().depth + 1;
    if depth > caller.limits().nesting {
        let message = format!("plugins may call plugins {} levels deep", caller.limits().nesting);
        return Err(Error::quota("nesting", message));
    }
    // The caller is on its waiting clock meanwhile, so both of the child's clocks are bounded by that.
    let (_, waiting) = caller.clock().left();
    Ok(Budget { fuel, active: waiting, waiting })
}

async fn call_tool(
    scope: &Arc<Scope>,
    caller: &CallHandle,
    fuel: u64,
    plugin: PluginId,
    name: String,
    arguments: String,
) -> (Result<ToolResult, Error>, u64) {
    let begun = async {
        let left = budget(caller, fuel)?;
        let found =
            scope.dispatch.tool(&plugin, &name, &arguments).await.map_err(|error| error.for_guest())?;
        let permit = scope.dispatch.sandbox().admit_child(&found.id, scope.user(), &found.limits);
        let permit = permit.map_err(|error| DispatchError::call(&found.id, error).for_guest())?;
        let budget = Budget::new(&found.limits, arguments.len() as u64).within(left);
        Ok((found, permit, budget))
    };
    let (found, permit, budget) = match begun.await {
        Ok(begun) => begun,
        Err(error) => return (Err(error), 0),
    };
    let started = match scope.start(&found, Some(caller), budget, permit, Ask::Tool { name, arguments }).await
    {
        Ok(started) => started,
        // Code of it has run, and nobody says how much.
        Err(error) => return (Err(error.for_guest()), fuel),
    };
    match answered(&found, started).await {
        Ok((Answer::Tool(result), cut, fuel)) => {
            cut.disarm();
            (Ok(result), fuel)
        }
        Ok((_, _, fuel)) => (Err(DispatchError::Internal.for_guest()), fuel),
        Err((error, fuel)) => (Err(error.for_guest()), fuel),
    }
}

/// An answer of a model that a plugin asked, with the guards that watch over such requests.
struct Watched {
    answering: Answering,
    guards: Chain,
}

/// Fails with the fuel that counts as used: all of it where code of a plugin has run and nobody says how much that took.
async fn watched(
    scope: &Arc<Scope>,
    caller: &CallHandle,
    fuel: u64,
    request: ChatRequest,
) -> Result<Watched, (Error, u64)> {
    let left = budget(caller, fuel).map_err(|error| (error, 0))?;
    let mut guarded = 0;
    let begun = async {
        crate::request::check(scope, &request)?;
        let target = scope.dispatch.target(&request.model).await?;
        let guards = scope.dispatch.registry().snapshot().guards_for(&request.model, &scope.toggles)?;
        let mut admitted = Vec::new();
        // A guard is not set to watch its own requests.
        for guard in guards.into_iter().filter(|guard| guard.id != *caller.plugin()) {
            let permit = scope.dispatch.sandbox().admit_child(&guard.id, scope.user(), &guard.limits);
            let permit = permit.map_err(|error| DispatchError::call(&guard.id, error))?;
            admitted.push((guard, permit));
        }
        if !admitted.is_empty() {
            // Until they have let the request through and say what that took.
            guarded = fuel;
        }
        let mut guards = Chain::new(scope, admitted, 0, Some((caller, left)));
        let request = guards.inlet(scope, request).await?;
        let request = guards.request(scope, request).await?;
        let permit = match &target {
            Target::Pipe { plugin, .. } => {
                let permit = scope.dispatch.sandbox().admit_child(&plugin.id, scope.user(), &plugin.limits);
                Some(permit.map_err(|error| DispatchError::call(&plugin.id, error))?)
            }
            Target::Provider { .. } => None,
        };
        guarded = guards.fuel_used();
        let left = Budget { fuel: left.fuel.saturating_sub(guarded), ..left };
        let answering = ask(scope, &target, request, Some((caller, left)), permit, 0).await?;
        Ok::<_, Unanswered>(Watched { answering, guards })
    };
    let begun = begun.await;
    begun.map_err(|Unanswered { error, fuel: used }| {
        (error.for_guest(), guarded.saturating_add(used.unwrap_or(fuel)))
    })
}

impl Watched {
    /// What fuel the answer and its guards took. An answer that has not ended is cut.
    async fn fuel(self) -> u64 {
        let guards = self.guards.fuel_used();
        self.answering.fuel().await.saturating_add(guards)
    }

    /// The next pieces; events go where the turn's events go.
    async fn next(&mut self, scope: &Arc<Scope>) -> Result<Option<Vec<Chunk>>, DispatchError> {
        let Some(chunk) = self.answering.next().await? else { return Ok(None) };
        let chunks = self.guards.stream(scope, vec![chunk]).await?;
        Ok(Some(crate::chat::emit_events(scope, chunks).await))
    }
}

async fn complete(
    scope: &Arc<Scope>,
    caller: &CallHandle,
    fuel: u64,
    mut request: ChatRequest,
) -> (Result<Completion, Error>, u64) {
    request.stream = None;
    let model = request.model.clone();
    let mut watched = match watched(scope, caller, fuel, request).await {
        Ok(watched) => watched,
        Err((error, used)) => return (Err(error), used),
    };
    let mut collected = Collector::default();
    let result = loop {
        match watched.next(scope).await {
            Ok(Some(chunks)) => {
                let failed = chunks.iter().find_map(|chunk| {
                    if let Chunk::Failed(message) = chunk { Some(message.clone()) } else { None }
                });
                if let Some(message) = failed {
                    break Err(Error::new(innkeeper_model::ErrorCode::Other("failed".to_owned()), message));
                }
                if let Some(error) = chunks.iter().find_map(|chunk| collected.add(chunk).err()) {
                    break Err(Error::new(
                        innkeeper_model::ErrorCode::Other("failed".to_owned()),
                        error.to_string(),
                    ));
                }
            }
            Ok(None) => {
                let id = format!("chatcmpl-{}", uuid::Uuid::now_v7().simple());
                let created = scope.dispatch.store().clock().seconds();
                let completion = collected
                    .completion_json(&id, created, &model)
                    .and_then(|text| Completion::from_json(&text));
                break completion.map_err(|error| DispatchError::Body(error.to_string()).for_guest());
            }
            Err(error) => break Err(error.for_guest()),
        }
    };
    (result, watched.fuel().await)
}

async fn stream(
    scope: &Arc<Scope>,
    caller: &CallHandle,
    fuel: u64,
    spent: &Spent,
    mut request: ChatRequest,
    mut reply: oneshot::Sender<Result<mpsc::Receiver<Chunk>, Error>>,
) {
    request.stream = Some(true);
    let begun = tokio::select! {
        begun = watched(scope, caller, fuel, request) => begun,
        () = reply.closed() => return,
    };
    let mut watched = match begun {
        Ok(watched) => watched,
        Err((error, used)) => {
            spent.report(used);
            let _ = reply.send(Err(error));
            return;
        }
    };
    let (sender, chunks) = mpsc::channel(32);
    if reply.send(Ok(chunks)).is_err() {
        return;
    }
    loop {
        let next = tokio::select! {
            next = watched.next(scope) => next,
            () = sender.closed() => break,
        };
        let chunks = match next {
            Ok(Some(chunks)) => chunks,
            Ok(None) => break,
            Err(error) => vec![Chunk::Failed(error.to_string())],
        };
        let ended = chunks.iter().any(|chunk| matches!(chunk, Chunk::Failed(_)));
        for chunk in chunks {
            if sender.send(chunk).await.is_err() {
                break;
            }
        }
        if ended {
            break;
        }
    }
    // Before the guest sees the end of the stream, which is when it gets back what was left.
    spent.report(watched.fuel().await);
    drop(sender);
}

async fn embed(scope: &Arc<Scope>, model: String, texts: Vec<String>) -> Result<Vec<Vec<f32>>, Error> {
    match scope.dispatch.target(&model).await.map_err(|error| error.for_guest())? {
        Target::Provider { provider, model } => {
            provider.embed(&scope.dispatch, &model, &texts).await.map_err(|error| error.for_guest())
        }
        Target::Pipe { .. } => {
            Err(Error::invalid("model", "a pipe gives no vectors; name a provider's model"))
        }
    }
}
