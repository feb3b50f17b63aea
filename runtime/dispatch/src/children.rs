//! What plugins ask of each other and of models. Runs in the turn's task, beside the call that asks.
//!
//! A child runs for the same principal, under its own grants, within what is left of its caller's budget.

use std::sync::Arc;

use innkeeper_host::CallHandle;
use innkeeper_host::fuel::share;
use innkeeper_host::turn::{ChildAsk, ChildRequest, Lent, OfferedModel, OfferedTool};
use innkeeper_model::chat_request::{ChatRequest, Completion};
use innkeeper_model::chunk::{Chunk, Collector};
use innkeeper_model::tool::ToolResult;
use innkeeper_model::{Error, ErrorCode, PluginId};
use innkeeper_sandbox::{Answer, Ask, Budget};
use tokio::sync::{mpsc, oneshot};

use crate::answer::{Answering, ask};
use crate::error::DispatchError;
use crate::filters::Chain;
use crate::models::{ModelKind, Target};
use crate::scope::{Scope, answered};

/// Serves one request, and drops it where the one who asked has gone.
pub(crate) async fn serve(scope: Arc<Scope>, request: ChildRequest) {
    let ChildRequest { caller, lent, ask } = request;
    match ask {
        ChildAsk::Tools(reply) => answer(reply, async { Ok(tools(&scope)) }).await,
        ChildAsk::Models(reply) => answer(reply, models(&scope, &caller)).await,
        ChildAsk::Tool { plugin, name, arguments, reply } => {
            answer(reply, call_tool(&scope, &caller, lent, plugin, name, arguments)).await;
        }
        ChildAsk::Complete(request, reply) => answer(reply, complete(&scope, &caller, lent, request)).await,
        ChildAsk::Stream(request, reply) => stream(&scope, &caller, lent, request, reply).await,
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
    let left = budget(caller, None)?;
    let kind = |kind| match kind {
        ModelKind::Pipe => "pipe".to_owned(),
        ModelKind::Provider => "provider".to_owned(),
    };
    let models = scope.dispatch.models_within(scope, caller, &left).await;
    Ok(models
        .into_iter()
        .map(|model| OfferedModel { id: model.id, name: model.name, kind: kind(model.kind) })
        .collect())
}

/// What is left of a caller's budget; an error where it is nested too deep.
fn budget(caller: &CallHandle, lent: Option<Lent>) -> Result<Budget, Error> {
    let depth = caller.setup().depth + 1;
    if depth > caller.limits().nesting {
        let message = format!("plugins may call plugins {} levels deep", caller.limits().nesting);
        return Err(Error::quota("nesting", message));
    }
    // The caller is on its waiting clock meanwhile, so both of the child's clocks are bounded by that.
    let (_, waiting) = caller.clock().left();
    let fuel = lent.as_ref().map_or(u64::MAX, Lent::left);
    Ok(Budget { fuel, active: waiting, waiting, lent })
}

async fn call_tool(
    scope: &Arc<Scope>,
    caller: &CallHandle,
    lent: Lent,
    plugin: PluginId,
    name: String,
    arguments: String,
) -> Result<ToolResult, Error> {
    let left = budget(caller, Some(lent))?;
    let called = async {
        let found = scope.dispatch.tool(&plugin, &name, &arguments).await?;
        let permit = scope.admit_child(&found)?;
        let budget = Budget::new(&found.limits, arguments.len() as u64).within(&left);
        let started =
            scope.start(&found, Some(caller), budget, permit, Ask::Tool { name, arguments }).await?;
        let call = started.call.clone();
        let answered = answered(&found, started).await;
        // What it has left of the fuel is back then, but for what its background work has.
        call.settled().await;
        let (answer, cut) = answered?;
        cut.disarm();
        match answer {
            Answer::Tool(result) => Ok(result),
            _ => Err(DispatchError::Internal),
        }
    };
    called.await.map_err(|error| error.for_guest())
}

/// An answer of a model that a plugin asked, with the guards that watch over such requests.
struct Watched {
    answering: Answering,
    guards: Chain,
}

async fn watched(
    scope: &Arc<Scope>,
    caller: &CallHandle,
    lent: Lent,
    request: ChatRequest,
) -> Result<Watched, Error> {
    let left = budget(caller, Some(lent.clone()))?;
    let mut guards = None;
    let begun = async {
        crate::request::check(scope, &request)?;
        let asked_for = request.model.clone();
        let target = scope.dispatch.target(&asked_for).await?;
        let watching = scope.dispatch.registry().snapshot().guards_for(&asked_for, &scope.toggles)?;
        let mut admitted = Vec::new();
        // A guard is not set to watch its own requests.
        for guard in watching.into_iter().filter(|guard| guard.id != *caller.plugin()) {
            let permit = scope.admit_child(&guard)?;
            admitted.push((guard, permit));
        }
        let guards = guards.insert(Chain::new(scope, admitted, 0, Some((caller, &left))));
        let request = guards.inlet(request).await?;
        let request = guards.request(request).await?;
        if request.model != asked_for {
            // Another model may have guards that have not seen it.
            let problem = format!(
                "a guard chose the model `{}`, which a plugin's request cannot be sent to",
                crate::error::shown(&request.model)
            );
            return Err(DispatchError::NotAllowed(problem));
        }
        let permit = match &target {
            Target::Pipe { plugin, .. } => Some(scope.admit_child(plugin)?),
            Target::Provider { .. } => None,
        };
        // Guards that look at the pieces need some beside the pipe.
        let fuel = if guards.filters_pieces() { share(lent.left()) } else { lent.left() };
        let left = Budget { fuel, ..left.clone() };
        ask(scope, &target, request, Some((caller, &left)), permit, 0).await
    };
    match (begun.await, guards) {
        (Ok(answering), Some(guards)) => Ok(Watched { answering, guards }),
        (Err(error), guards) => {
            guards.into_iter().for_each(Chain::end);
            Err(error.for_guest())
        }
        (Ok(_), None) => Err(DispatchError::Internal.for_guest()),
    }
}

impl Watched {
    /// Returns when the fuel that they were lent is back, but for what background work has. An answer that has not ended is cut.
    async fn end(self) {
        self.guards.end();
        self.answering.end().await;
    }

    /// The next pieces; events go where the turn's events go.
    async fn next(&mut self, scope: &Arc<Scope>) -> Result<Option<Vec<Chunk>>, DispatchError> {
        let Some(chunk) = self.answering.next().await? else { return Ok(None) };
        let chunks = self.guards.stream(vec![chunk]).await?;
        Ok(Some(emit_events(scope, chunks).await))
    }
}

/// Sends events among pieces where events go; the other pieces remain.
async fn emit_events(scope: &Scope, chunks: Vec<Chunk>) -> Vec<Chunk> {
    let mut rest = Vec::with_capacity(chunks.len());
    for chunk in chunks {
        match chunk {
            Chunk::Event(event) => drop(scope.turn.events.emit(event).await),
            chunk => rest.push(chunk),
        }
    }
    rest
}

async fn complete(
    scope: &Arc<Scope>,
    caller: &CallHandle,
    lent: Lent,
    mut request: ChatRequest,
) -> Result<Completion, Error> {
    request.stream = None;
    let model = request.model.clone();
    let mut watched = watched(scope, caller, lent, request).await?;
    let completion = collected(scope, &mut watched, &model).await;
    watched.end().await;
    completion
}

/// The whole answer.
async fn collected(scope: &Arc<Scope>, watched: &mut Watched, model: &str) -> Result<Completion, Error> {
    let failed = |message: String| Error::new(ErrorCode::Other("failed".to_owned()), message);
    let mut collected = Collector::default();
    while let Some(chunks) = watched.next(scope).await.map_err(|error| error.for_guest())? {
        for chunk in chunks {
            if let Chunk::Failed(message) = &chunk {
                return Err(failed(message.clone()));
            }
            collected.add(&chunk).map_err(|error| failed(error.to_string()))?;
        }
    }
    let id = format!("chatcmpl-{}", uuid::Uuid::now_v7().simple());
    let created = scope.dispatch.store().clock().seconds();
    let completion =
        collected.completion_json(&id, created, model).and_then(|text| Completion::from_json(&text));
    completion.map_err(|error| DispatchError::Body(error.to_string()).for_guest())
}

async fn stream(
    scope: &Arc<Scope>,
    caller: &CallHandle,
    lent: Lent,
    mut request: ChatRequest,
    mut reply: oneshot::Sender<Result<mpsc::Receiver<Chunk>, Error>>,
) {
    request.stream = Some(true);
    let begun = tokio::select! {
        begun = watched(scope, caller, lent, request) => begun,
        () = reply.closed() => return,
    };
    let mut watched = match begun {
        Ok(watched) => watched,
        Err(error) => {
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
    watched.end().await;
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
