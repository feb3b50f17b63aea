//! The models that clients and plugins can name: pipes of plugins, and those of upstream providers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use innkeeper_host::CallHandle;
use innkeeper_model::{PluginId, Principal, UserId};
use innkeeper_registry::Plugin;
use innkeeper_sandbox::{Answer, Ask, Budget, ModelList};
use serde::Serialize;
use tokio::time::Instant;

use crate::dispatch::Dispatch;
use crate::error::DispatchError;
use crate::provider::Provider;
use crate::scope::{Scope, answered};

/// Who answers for a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelKind {
    /// A plugin.
    Pipe,
    /// An upstream provider.
    Provider,
}

/// A model as clients see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelEntry {
    /// What to name it in a request.
    pub id: String,
    /// What to call it.
    pub name: String,
    /// What it is.
    pub description: Option<String>,
    /// Who answers.
    pub kind: ModelKind,
    /// When it came, in seconds since 1970.
    pub created: i64,
    /// The plugin or provider.
    pub owned_by: String,
    /// Further fields, a JSON object as text.
    pub extra: Option<String>,
}

/// Where a model's requests go.
#[derive(Clone)]
pub(crate) enum Target {
    Pipe { plugin: Arc<Plugin>, model: String },
    Provider { provider: Arc<Provider>, model: String },
}

/// Lists of manifolds, for as long as they said. Each person has their own: a plugin may list what only they may know of.
#[derive(Default)]
pub(crate) struct ModelCache(Mutex<HashMap<ListKey, CachedList>>);

/// Whose list: the plugin, its revision, and the person.
type ListKey = (PluginId, i64, Option<UserId>);
/// A list, and until when it counts.
type CachedList = (Instant, Arc<ModelList>);

impl ModelCache {
    fn get(&self, plugin: &Plugin, user: Option<&UserId>) -> Option<Arc<ModelList>> {
        let cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cache
            .get(&(plugin.id.clone(), plugin.revision, user.cloned()))
            .filter(|(until, _)| *until > Instant::now())
            .map(|(_, list)| Arc::clone(list))
    }

    fn put(&self, plugin: &Plugin, user: Option<&UserId>, list: &Arc<ModelList>) {
        let until = Instant::now() + Duration::from_secs(u64::from(list.cache_seconds));
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cache.retain(|(id, revision, _), (until, _)| {
            *until > Instant::now() && (*id != plugin.id || *revision == plugin.revision)
        });
        if list.cache_seconds > 0 {
            cache.insert((plugin.id.clone(), plugin.revision, user.cloned()), (until, Arc::clone(list)));
        }
    }
}

/// Longest list that one plugin may give, and longest id and name in it.
const MODELS_MAX: usize = 1_000;
const TEXT_MAX: usize = 256;

impl Dispatch {
    /// Finds who answers for a model: the plugin whose id it is or begins with, else a provider that has it.
    pub(crate) async fn target(&self, id: &str) -> Result<Target, DispatchError> {
        let snapshot = self.registry().snapshot();
        let (head, rest) = id.split_once('.').unwrap_or((id, ""));
        if let Ok(plugin) = PluginId::parse(head)
            && snapshot.pipes().iter().any(|pipe| pipe.id == plugin)
        {
            return Ok(Target::Pipe { plugin: self.registry().resolve(&plugin)?, model: rest.to_owned() });
        }
        for provider in self.providers() {
            if provider.has(self, id).await {
                return Ok(Target::Provider { provider: Arc::clone(provider), model: id.to_owned() });
            }
        }
        Err(DispatchError::UnknownModel(crate::error::shown(id)))
    }

    /// The models that a principal may use. A plugin or provider that cannot say is left out, and the log says why.
    pub async fn models(&self, principal: &Principal) -> Vec<ModelEntry> {
        if !principal.is_admitted() {
            return Vec::new();
        }
        let created = self.store().clock().seconds();
        let mut entries = Vec::new();
        for plugin in self.registry().snapshot().pipes() {
            match self.pipe_models(principal, plugin).await {
                Ok(list) => {
                    entries.extend(list.models.iter().map(|model| pipe_entry(plugin, model, created)))
                }
                Err(error) => tracing::warn!(plugin = %plugin.id, %error, "a pipe could not list its models"),
            }
        }
        self.add_providers(&mut entries).await;
        entries
    }

    /// The same for a plugin in a turn. Each pipe is asked once in a turn, and not while it is being asked: pipes that offer the models of others
    /// would go round in circles.
    pub(crate) async fn models_within(
        &self,
        scope: &Arc<Scope>,
        caller: &CallHandle,
        left: Budget,
    ) -> Vec<ModelEntry> {
        if !scope.turn.principal.is_admitted() {
            return Vec::new();
        }
        let created = self.store().clock().seconds();
        let mut entries = Vec::new();
        for plugin in self.registry().snapshot().pipes() {
            let list = match self.model_cache().get(plugin, scope.user()) {
                Some(list) => Some(list),
                None => scope.list_once(plugin, caller, left).await,
            };
            entries.extend(
                list.iter()
                    .flat_map(|list| list.models.iter())
                    .map(|model| pipe_entry(plugin, model, created)),
            );
        }
        self.add_providers(&mut entries).await;
        entries
    }

    async fn add_providers(&self, entries: &mut Vec<ModelEntry>) {
        let created = self.store().clock().seconds();
        for provider in self.providers() {
            match provider.models(self).await {
                Ok(models) => entries.extend(models.iter().map(|id| provider_entry(provider, id, created))),
                Err(error) => {
                    tracing::warn!(provider = provider.id(), %error, "a provider could not list its models")
                }
            }
        }
    }

    async fn pipe_models(
        &self,
        principal: &Principal,
        plugin: &Arc<Plugin>,
    ) -> Result<Arc<ModelList>, DispatchError> {
        if let Some(list) = self.model_cache().get(plugin, principal.user()) {
            return Ok(list);
        }
        let work = {
            let plugin = Arc::clone(plugin);
            move |scope: Arc<Scope>| async move {
                let chain = [(plugin.id.clone(), Arc::clone(&plugin.limits))];
                let permits = scope.dispatch.sandbox().admit(&chain, scope.user()).await;
                let permit =
                    permits.map_err(|error| DispatchError::call(&plugin.id, error))?.into_iter().next();
                scope.begin_list(&plugin);
                let budget = Budget::new(&plugin.limits, 0);
                list_models(&scope, &plugin, None, budget, permit.ok_or(DispatchError::Internal)?).await
            }
        };
        let list = Arc::new(self.run_alone(principal, work).await?);
        self.model_cache().put(plugin, principal.user(), &list);
        Ok(list)
    }
}

impl Scope {
    /// Notes that a pipe is being asked for its list; false where it is, or has been.
    fn begin_list(&self, plugin: &Plugin) -> bool {
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        let begins = !lists.contains_key(&plugin.id);
        lists.entry(plugin.id.clone()).or_default();
        begins
    }

    /// A pipe's list, asked for at most once in this turn.
    async fn list_once(
        self: &Arc<Self>,
        plugin: &Arc<Plugin>,
        caller: &CallHandle,
        left: Budget,
    ) -> Option<Arc<ModelList>> {
        if !self.begin_list(plugin) {
            return self
                .lists
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get(&plugin.id)
                .cloned()
                .flatten();
        }
        let asked = async {
            let permit = self.dispatch.sandbox().admit_child(&plugin.id, self.user(), &plugin.limits);
            let permit = permit.map_err(|error| DispatchError::call(&plugin.id, error))?;
            let budget = Budget::new(&plugin.limits, 0).within(left);
            list_models(self, plugin, Some(caller), budget, permit).await
        };
        let list = match asked.await {
            Ok(list) => Arc::new(list),
            Err(error) => {
                tracing::warn!(plugin = %plugin.id, %error, "a pipe could not list its models");
                return None;
            }
        };
        self.lists
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(plugin.id.clone(), Some(Arc::clone(&list)));
        Some(list)
    }
}

async fn list_models(
    scope: &Arc<Scope>,
    plugin: &Arc<Plugin>,
    caller: Option<&CallHandle>,
    budget: Budget,
    permit: innkeeper_sandbox::Permit,
) -> Result<ModelList, DispatchError> {
    let started = scope.start(plugin, caller, budget, permit, Ask::Models).await?;
    let (answer, cut, _) = answered(plugin, started).await.map_err(|(error, _)| error)?;
    cut.disarm();
    let Answer::Models(list) = answer else { return Err(DispatchError::Internal) };
    check(plugin, &list)?;
    Ok(list)
}

fn check(plugin: &Plugin, list: &ModelList) -> Result<(), DispatchError> {
    let problem = if list.models.len() > MODELS_MAX {
        Some(format!("it lists {} models; at most {MODELS_MAX} are allowed", list.models.len()))
    } else {
        let wrong = |model: &innkeeper_sandbox::PipeModel| {
            let texts = [&model.id, &model.name];
            let text_is_wrong = |text: &String| text.len() > TEXT_MAX || text.chars().any(char::is_control);
            let extra_is_wrong =
                |extra: &String| extra.len() > 64 * 1024 || innkeeper_model::json::object(extra).is_err();
            texts.into_iter().any(text_is_wrong) || model.extra.as_ref().is_some_and(extra_is_wrong)
        };
        let model = list.models.iter().find(|model| wrong(model));
        model.map(|model| {
            format!(
                "its model `{}` has a text that is too long, holds control characters, or is not JSON",
                crate::error::shown(&model.id)
            )
        })
    };
    problem.map_or(Ok(()), |problem| Err(DispatchError::Contract { plugin: plugin.id.clone(), problem }))
}

fn pipe_entry(plugin: &Plugin, model: &innkeeper_sandbox::PipeModel, created: i64) -> ModelEntry {
    let id = if model.id.is_empty() { plugin.id.to_string() } else { format!("{}.{}", plugin.id, model.id) };
    ModelEntry {
        id,
        name: model.name.clone(),
        description: model.description.clone(),
        kind: ModelKind::Pipe,
        created,
        owned_by: plugin.id.to_string(),
        extra: model.extra.clone(),
    }
}

fn provider_entry(provider: &Provider, id: &str, created: i64) -> ModelEntry {
    ModelEntry {
        id: id.to_owned(),
        name: id.to_owned(),
        description: None,
        kind: ModelKind::Provider,
        created,
        owned_by: provider.id().to_owned(),
        extra: None,
    }
}
