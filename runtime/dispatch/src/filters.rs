//! The filters of a turn, in ascending order of priority and id, and what happens when one breaks.

use std::sync::Arc;

use innkeeper_host::CallHandle;
use innkeeper_host::events::admit_streamed;
use innkeeper_model::chat_message::StoredMessage;
use innkeeper_model::chat_request::ChatRequest;
use innkeeper_model::chunk::Chunk;
use innkeeper_model::event::{Direction, WireEvent, check};
use innkeeper_model::manifest::FilterDescription;
use innkeeper_model::plugin::OnFailure;
use innkeeper_model::{Permission, PluginId};
use innkeeper_registry::Plugin;
use innkeeper_sandbox::{Answer, Ask, Budget, CallError, Invocation, Permit};
use tokio::sync::oneshot;

use crate::error::DispatchError;
use crate::scope::Scope;

/// The filters of a turn, or the guards of a request that a plugin makes. Dropping it ends them.
pub(crate) struct Chain {
    scope: Arc<Scope>,
    links: Vec<Link>,
}

/// One filter in a turn.
struct Link {
    plugin: Arc<Plugin>,
    about: FilterDescription,
    /// For the next instance.
    permit: Option<Permit>,
    /// Gives the permit of the last instance, once its background work is over.
    gone: Option<oneshot::Receiver<Permit>>,
    kept: Option<Invocation>,
    /// The call whose hook ran last.
    call: Option<CallHandle>,
    budget: Budget,
    /// The call whose request it guards.
    parent: Option<CallHandle>,
    /// A hook of it has done its work.
    worked: bool,
    /// It broke.
    broken: bool,
    /// It broke, and the turn goes on without it.
    over: bool,
}

/// Which hook.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hook {
    Inlet,
    Request,
    Stream,
    Outlet,
}

impl Chain {
    /// A chain of plugins, each with the slot that it was admitted with. `caller` is whose request they guard, and what it has left.
    pub(crate) fn new(
        scope: &Arc<Scope>,
        filters: Vec<(Arc<Plugin>, Permit)>,
        body_bytes: u64,
        caller: Option<(&CallHandle, &Budget)>,
    ) -> Self {
        let link = |(plugin, permit): (Arc<Plugin>, Permit)| {
            let about = plugin.manifest.filter.clone()?;
            let budget = Budget::new(&plugin.limits, body_bytes);
            let budget = match caller {
                Some((_, left)) => budget.within(left),
                None => budget,
            };
            let parent = caller.map(|(caller, _)| caller.clone());
            Some(Link {
                plugin,
                about,
                permit: Some(permit),
                gone: None,
                kept: None,
                call: None,
                budget,
                parent,
                worked: false,
                broken: false,
                over: false,
            })
        };
        Self { scope: Arc::clone(scope), links: filters.into_iter().filter_map(link).collect() }
    }

    /// Whether a filter is one of them.
    pub(crate) fn holds(&self, filter: &PluginId) -> bool {
        self.links.iter().any(|link| link.plugin.id == *filter)
    }

    /// Ends kept instances, which give back what fuel they were lent, but for what background work has.
    pub(crate) fn end(mut self) {
        self.links.drain(..).filter_map(|link| link.kept).for_each(|kept| drop(self.scope.end(kept)));
    }

    /// Runs `inlet` hooks. A refusal ends the turn.
    pub(crate) async fn inlet(&mut self, request: ChatRequest) -> Result<ChatRequest, DispatchError> {
        self.on_request(request, Hook::Inlet, Ask::Inlet).await
    }

    /// Runs `request` hooks. A refusal ends the turn.
    pub(crate) async fn request(&mut self, request: ChatRequest) -> Result<ChatRequest, DispatchError> {
        self.on_request(request, Hook::Request, Ask::Request).await
    }

    /// Runs `stream` hooks on pieces that are ready. What a filter adds is checked like a pipe's own pieces.
    /// Where one returns an error the pieces pass as they were, but not past a guard.
    pub(crate) async fn stream(&mut self, mut chunks: Vec<Chunk>) -> Result<Vec<Chunk>, DispatchError> {
        let scope = &self.scope;
        for link in self.links.iter_mut().filter(|link| link.has(Hook::Stream)) {
            if chunks.is_empty() {
                break;
            }
            let before = chunks.clone();
            let after = match link.ask(scope, Ask::Stream(chunks)).await {
                Ok(Answer::Chunks(after)) => link.admitted(&before, after),
                Ok(_) => Err(DispatchError::Internal),
                Err(error) => Err(error),
            };
            chunks = match after {
                Ok(after) => after,
                Err(error) if error.is_value() && !link.about.guard => {
                    tracing::warn!(plugin = %link.plugin.id, %error, "a stream filter failed on a piece");
                    before
                }
                Err(error) => {
                    link.broke(scope, error)?;
                    before
                }
            };
        }
        Ok(chunks)
    }

    /// Runs `outlet` hooks. Failures are recorded and change nothing, but for those of a guard, which are errors.
    pub(crate) async fn outlet(
        &mut self,
        mut messages: Vec<StoredMessage>,
    ) -> Result<Vec<StoredMessage>, DispatchError> {
        let scope = &self.scope;
        for link in self.links.iter_mut().filter(|link| link.has(Hook::Outlet)) {
            let error = match link.ask(scope, Ask::Outlet(messages.clone())).await {
                Ok(Answer::Messages(after)) => {
                    messages = merge(messages, after);
                    continue;
                }
                Ok(_) => DispatchError::Internal,
                Err(error) => error,
            };
            tracing::warn!(plugin = %link.plugin.id, %error, "an outlet filter failed");
            link.broken = true;
            if link.about.guard {
                return Err(error);
            }
        }
        Ok(messages)
    }

    /// Notes the filters that have done their work in this turn, which is over, and broke nowhere in it.
    pub(crate) fn succeeded(&self) {
        let sound = self.links.iter().filter(|link| link.worked && !link.broken);
        sound.for_each(|link| self.scope.dispatch.registry().report_success(&link.plugin.id));
    }

    /// Whether a guard looks at the whole text of the answer when it is complete.
    pub(crate) fn guards_text(&self) -> bool {
        self.links.iter().any(|link| link.about.guard && link.about.hooks.outlet)
    }

    /// Whether one does that has not seen its pieces.
    pub(crate) fn guards_text_alone(&self) -> bool {
        let hooks = |link: &Link| link.about.hooks.outlet && !link.about.hooks.stream;
        self.links.iter().any(|link| link.about.guard && hooks(link))
    }

    /// Whether a guard with a hook on stored messages has no slot.
    pub(crate) fn lacks_guard(&self) -> bool {
        self.links.iter().any(|link| link.about.guard && !link.has_slot() && link.has(Hook::Outlet))
    }

    /// Whether any filter has a hook on pieces.
    pub(crate) fn filters_pieces(&self) -> bool {
        self.links.iter().any(|link| link.has(Hook::Stream))
    }

    /// Whether any filter has a hook on stored messages.
    pub(crate) fn filters_messages(&self) -> bool {
        self.links.iter().any(|link| link.has(Hook::Outlet))
    }

    /// Gives back the slots of filters that keep nothing until `readmit`. Only where no filter of the turn keeps an instance:
    /// nothing waits for a slot while it holds another.
    pub(crate) fn release(&mut self) {
        let scope = &self.scope;
        let idle = |link: &Link| !link.keeps(scope) && !link.has(Hook::Stream);
        if self.links.iter().all(idle) {
            self.links.iter_mut().for_each(|link| (link.permit, link.gone) = (None, None));
        }
    }

    /// Takes the slots anew that `release` gave back.
    pub(crate) async fn readmit(&mut self) -> Result<(), DispatchError> {
        let scope = &self.scope;
        let missing: Vec<_> =
            self.links.iter_mut().filter(|link| !link.has_slot() && link.has(Hook::Outlet)).collect();
        let Some(first) = missing.first().map(|link| link.plugin.id.clone()) else { return Ok(()) };
        let plugins: Vec<_> =
            missing.iter().map(|link| (link.plugin.id.clone(), Arc::clone(&link.plugin.limits))).collect();
        let permits = scope.dispatch.sandbox().admit(&plugins, scope.user()).await;
        let permits = permits.map_err(|error| DispatchError::call(&first, error))?;
        missing.into_iter().zip(permits).for_each(|(link, permit)| link.permit = Some(permit));
        Ok(())
    }

    async fn on_request(
        &mut self,
        mut request: ChatRequest,
        hook: Hook,
        ask: fn(ChatRequest) -> Ask,
    ) -> Result<ChatRequest, DispatchError> {
        let scope = &self.scope;
        for link in self.links.iter_mut().filter(|link| link.has(hook)) {
            let before = request.clone();
            let after = match link.ask(scope, ask(request)).await {
                // What a guest wrote into JSON fields must be JSON before anybody else sees it.
                Ok(Answer::Request(after)) => match crate::request::check(scope, &after) {
                    Ok(()) => Ok(after),
                    Err(problem) => Err(link.contract(problem.to_string())),
                },
                Ok(_) => Err(DispatchError::Internal),
                // Its answer, and not a failure that the operator's setting is about.
                Err(error @ DispatchError::Rejected { .. }) => return Err(error),
                Err(error) => Err(error),
            };
            request = match after {
                Ok(after) => after,
                Err(error) => {
                    link.broke(scope, error)?;
                    before
                }
            };
        }
        Ok(request)
    }
}

impl Link {
    fn has(&self, hook: Hook) -> bool {
        let hooks = self.about.hooks;
        !self.over
            && match hook {
                Hook::Inlet => hooks.inlet,
                Hook::Request => hooks.request,
                Hook::Stream => hooks.stream,
                Hook::Outlet => hooks.outlet,
            }
    }

    fn keeps(&self, scope: &Scope) -> bool {
        self.about.keep_instance && scope.dispatch.keeps_instances()
    }

    fn has_slot(&self) -> bool {
        self.permit.is_some() || self.gone.is_some() || self.kept.is_some()
    }

    /// The right to a fresh instance. While the last one is at work in the background that is another slot, or its own once it is gone.
    async fn permit(&mut self, scope: &Scope) -> Result<Permit, DispatchError> {
        if let Some(permit) = self.permit.take() {
            return Ok(permit);
        }
        let mut gone = self.gone.take().ok_or(DispatchError::Internal)?;
        if let Ok(permit) = gone.try_recv() {
            return Ok(permit);
        }
        match scope.admit_child(&self.plugin) {
            Ok(permit) => Ok(permit),
            // The turn's task goes on with that work meanwhile, and `background` bounds it.
            Err(_) => gone.await.map_err(|_| DispatchError::Cancelled),
        }
    }

    /// Calls a hook, on the kept instance or on a fresh one.
    async fn ask(&mut self, scope: &Arc<Scope>, ask: Ask) -> Result<Answer, DispatchError> {
        let permit = if self.kept.is_none() { Some(self.permit(scope).await?) } else { None };
        let invocation = match (&mut self.kept, permit) {
            (Some(kept), _) => kept,
            (None, None) => return Err(DispatchError::Internal),
            (None, Some(permit)) => {
                let budget = self.budget.clone();
                let made = scope.instantiate(&self.plugin, self.parent.as_ref(), budget, permit).await?;
                // Kept from the start, so that it is finished and leaves a receipt where this future is dropped.
                self.kept.insert(made)
            }
        };
        self.call = Some(invocation.call().clone());
        let answer = invocation.hook(ask).await;
        let usable = invocation.is_usable();
        if !(self.keeps(scope) && usable)
            && let Some(invocation) = self.kept.take()
        {
            self.gone = Some(scope.end(invocation));
        }
        self.worked |= answer.is_ok();
        answer.map_err(|error| DispatchError::call(&self.plugin.id, error))
    }

    /// Decides what a broken filter means: the end of the turn, or of the filter for this turn.
    fn broke(&mut self, scope: &Scope, error: DispatchError) -> Result<(), DispatchError> {
        if scope.turn.cancel.is_cancelled() {
            return Err(error);
        }
        tracing::warn!(plugin = %self.plugin.id, turn = scope.turn.id, %error, "a filter broke");
        self.broken = true;
        let policy = if self.about.guard { OnFailure::Closed } else { self.plugin.settings.on_failure };
        // A filter that an operator turned off or changed meanwhile is at no fault.
        if policy == OnFailure::Quarantine && error != DispatchError::Cancelled {
            scope.dispatch.registry().report_failure(&self.plugin.id);
        }
        if policy == OnFailure::Closed {
            return Err(error);
        }
        self.over = true;
        Ok(())
    }

    /// What a filter gave back, typed and checked: events that it adds need its own grants.
    fn admitted(&self, before: &[Chunk], chunks: Vec<Chunk>) -> Result<Vec<Chunk>, DispatchError> {
        let mut passing: Vec<&WireEvent> = before
            .iter()
            .filter_map(|chunk| if let Chunk::Event(event) = chunk { Some(event) } else { None })
            .collect();
        let mut admitted = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            let typed = match &chunk {
                Chunk::Raw(raw) => {
                    Chunk::from_frame(raw).map_err(|error| self.contract(error.to_string()))?
                }
                _ => vec![chunk],
            };
            for chunk in typed {
                let passes = match &chunk {
                    Chunk::Event(event) => self.admits(&mut passing, event)?,
                    _ => true,
                };
                if passes {
                    admitted.push(chunk);
                }
            }
        }
        Ok(admitted)
    }

    fn contract(&self, problem: String) -> DispatchError {
        DispatchError::call(&self.plugin.id, CallError::Invalid(problem))
    }

    /// An event that the filter let through has been checked for whoever sent it. One that it changed is still that one's, but no more than
    /// text: a document or a script would be the filter's own.
    fn admits(&self, passing: &mut Vec<&WireEvent>, event: &WireEvent) -> Result<bool, DispatchError> {
        let unchanged = passing.iter().position(|before| *before == event);
        let changed = || {
            let place = passing.iter().position(|before| before.kind == event.kind)?;
            let grants = (*self.plugin.grants.get()).clone().with(Permission::EventsEmit);
            check(event, Direction::Emit, &grants).is_ok().then_some(place)
        };
        if let Some(place) = unchanged.or_else(changed) {
            passing.remove(place);
            return Ok(true);
        }
        let Some(call) = &self.call else { return Ok(false) };
        admit_streamed(call, event).map_err(|stop| DispatchError::stopped(&self.plugin.id, stop))
    }
}

impl Drop for Chain {
    /// Ends kept instances; background work of their hooks goes on behind the turn.
    fn drop(&mut self) {
        self.links.drain(..).filter_map(|link| link.kept).for_each(|kept| self.scope.finish(kept));
    }
}

/// What a filter may change in stored messages: the text of those that are there. It can neither add nor remove.
fn merge(before: Vec<StoredMessage>, after: Vec<StoredMessage>) -> Vec<StoredMessage> {
    let merged = before.into_iter().map(|mut message| {
        if let Some(changed) = after.iter().find(|changed| changed.id == message.id) {
            message.content.clone_from(&changed.content);
        }
        message
    });
    merged.collect()
}
