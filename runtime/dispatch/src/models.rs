//! The models that clients and plugins can name: pipes of plugins, and those of upstream providers.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures::StreamExt;
use innkeeper_host::CallHandle;
use innkeeper_model::{PluginId, Principal, UserId};
use innkeeper_registry::{Plugin, RegistryError};
use innkeeper_sandbox::{Answer, Ask, Budget, ModelList, PipeModel};
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::dispatch::{Dispatch, NewTurn};
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

/// Lists of manifolds, for as long as they said, and failures for a moment. Each person has their own, in each role and with each settings:
/// a plugin may list what only they may know of.
#[derive(Default)]
pub(crate) struct ModelCache(Mutex<HashMap<(PluginId, Option<UserId>), CachedList>>);

struct CachedList {
    until: Instant,
    /// The plugin as it was asked: any change of its code, grants, limits or settings makes another.
    plugin: Weak<Plugin>,
    principal: Principal,
    /// The person's settings as it was asked with.
    user_valves: Option<Arc<str>>,
    /// None where it could not list them.
    list: Option<Arc<ModelList>>,
}

/// What a list depends on besides the plugin.
struct Asker<'a> {
    principal: &'a Principal,
    user_valves: Option<Arc<str>>,
}

impl<'a> Asker<'a> {
    /// Settings that cannot be read are none here; the call itself says what is wrong.
    async fn of(dispatch: &Dispatch, principal: &'a Principal, plugin: &Arc<Plugin>) -> Self {
        let user_valves = match principal.user() {
            Some(user) => dispatch.user_valves(plugin, user).await.ok(),
            None => None,
        };
        Self { principal, user_valves }
    }
}

impl ModelCache {
    /// What is known of a list, if anything is.
    fn get(&self, plugin: &Arc<Plugin>, asker: &Asker<'_>) -> Option<Option<Arc<ModelList>>> {
        let cache = self.lock();
        let cached = cache.get(&(plugin.id.clone(), asker.principal.user().cloned()))?;
        let counts = cached.until > Instant::now()
            && std::ptr::eq(cached.plugin.as_ptr(), Arc::as_ptr(plugin))
            && cached.principal == *asker.principal
            && cached.user_valves == asker.user_valves;
        counts.then(|| cached.list.clone())
    }

    fn put(&self, plugin: &Arc<Plugin>, asker: Asker<'_>, list: Option<Arc<ModelList>>) {
        let seconds = list.as_ref().map_or(FAILED_FOR, |list| u64::from(list.cache_seconds));
        let now = Instant::now();
        let mut cache = self.lock();
        cache.retain(|_, cached| cached.until > now && cached.plugin.strong_count() > 0);
        if cache.values().map(CachedList::weight).sum::<usize>() > CACHE_MAX {
            cache.clear();
        }
        if seconds > 0 {
            let until = now + Duration::from_secs(seconds);
            let Asker { principal, user_valves } = asker;
            let cached = CachedList {
                until,
                plugin: Arc::downgrade(plugin),
                principal: principal.clone(),
                user_valves,
                list,
            };
            cache.insert((plugin.id.clone(), principal.user().cloned()), cached);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(PluginId, Option<UserId>), CachedList>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CachedList {
    /// Bytes that it takes, about.
    fn weight(&self) -> usize {
        let model = |model: &PipeModel| {
            let texts =
                [Some(&model.id), Some(&model.name), model.description.as_ref(), model.extra.as_ref()];
            texts.into_iter().flatten().map(String::len).sum::<usize>() + size_of::<PipeModel>()
        };
        let models = self.list.iter().flat_map(|list| &list.models);
        models.map(model).sum::<usize>() + size_of::<Self>()
    }
}

/// What a turn knows of a pipe's list: nothing while it is being asked, else the list, if there is one.
pub(crate) type KnownList = Option<Option<Arc<ModelList>>>;

/// How long a pipe may take to list its models, and how many are asked at once.
const LIST_WAIT: Duration = Duration::from_secs(5);
const LISTS_AT_ONCE: usize = 16;
/// Seconds for which a pipe is left alone that could not.
const FAILED_FOR: u64 = 10;
/// Bytes of lists that are kept, about; beyond that all are asked for anew.
const CACHE_MAX: usize = 16 << 20;
/// Longest list that one plugin may give, and longest id, name, description and further fields in it, in bytes.
const MODELS_MAX: usize = 1_000;
const TEXT_MAX: usize = 256;
const DESCRIPTION_MAX: usize = 4 * 1024;
const EXTRA_MAX: usize = 64 * 1024;

impl Dispatch {
    /// Finds who answers for a model: the plugin whose id it is or begins with, else a provider that has it.
    /// Each model has one name, so that what was set for it cannot be passed by under another.
    pub(crate) async fn target(&self, id: &str) -> Result<Target, DispatchError> {
        let unknown = || DispatchError::UnknownModel(crate::error::shown(id));
        let mut problem = None;
        let (head, rest) = id.split_once('.').map_or((id, None), |(head, rest)| (head, Some(rest)));
        if let Ok(plugin) = PluginId::parse(head) {
            match self.registry().resolve(&plugin) {
                Ok(plugin) if plugin.manifest.kinds.pipe => {
                    let model = match rest {
                        Some("") => return Err(unknown()),
                        rest => rest.unwrap_or_default().to_owned(),
                    };
                    return Ok(Target::Pipe { plugin, model });
                }
                Err(error @ RegistryError::NotReady { .. }) => problem = Some(error.into()),
                Ok(_) | Err(_) => {}
            }
        }
        for provider in self.providers() {
            match provider.models(self).await {
                Ok(models) if models.iter().any(|known| known == id) => {
                    return Ok(Target::Provider { provider: Arc::clone(provider), model: id.to_owned() });
                }
                Ok(_) => {}
                // It may have the model: nobody can say that there is none.
                Err(error) => problem = problem.or(Some(error)),
            }
        }
        Err(problem.unwrap_or_else(unknown))
    }

    /// The models that a principal may use. A plugin or provider that cannot say, or not soon, is left out, and the log says why.
    pub async fn models(&self, principal: &Principal) -> Vec<ModelEntry> {
        if !principal.is_admitted() {
            return Vec::new();
        }
        let created = self.store().clock().seconds();
        let pipes = self.registry().snapshot().pipes().to_vec();
        let lists = pipes.into_iter().map(|plugin| async move {
            let list = self.pipe_models(principal, &plugin).await;
            pipe_entries(&plugin, list.as_deref(), created)
        });
        let lists = futures::stream::iter(lists).buffered(LISTS_AT_ONCE).collect::<Vec<_>>();
        let (lists, provided) = tokio::join!(lists, self.provided());
        lists.into_iter().flatten().chain(provided).collect()
    }

    /// The same for a plugin in a turn. Each pipe is asked once in a turn, and not while it is being asked: pipes that offer the models of others
    /// would go round in circles.
    pub(crate) async fn models_within(
        &self,
        scope: &Arc<Scope>,
        caller: &CallHandle,
        left: &Budget,
    ) -> Vec<ModelEntry> {
        if !scope.turn.principal.is_admitted() {
            return Vec::new();
        }
        let created = self.store().clock().seconds();
        let mut entries = Vec::new();
        for plugin in self.registry().snapshot().pipes() {
            let asker = Asker::of(self, &scope.turn.principal, plugin).await;
            let list = match self.model_cache().get(plugin, &asker) {
                Some(list) => list,
                None => scope.list_once(plugin, asker, caller, left).await,
            };
            entries.extend(pipe_entries(plugin, list.as_deref(), created));
        }
        entries.extend(self.provided().await);
        entries
    }

    /// The models of all providers, which are asked at once.
    async fn provided(&self) -> Vec<ModelEntry> {
        let created = self.store().clock().seconds();
        let lists = self.providers().iter().map(|provider| async move {
            // Why it cannot say is in the log already.
            let models = provider.models(self).await.unwrap_or_default();
            models.iter().map(|id| provider_entry(provider, id, created)).collect::<Vec<_>>()
        });
        futures::future::join_all(lists).await.into_iter().flatten().collect()
    }

    async fn pipe_models(&self, principal: &Principal, plugin: &Arc<Plugin>) -> Option<Arc<ModelList>> {
        let asker = Asker::of(self, principal, plugin).await;
        if let Some(known) = self.model_cache().get(plugin, &asker) {
            return known;
        }
        let work = {
            let plugin = Arc::clone(plugin);
            move |scope: Arc<Scope>| async move {
                let permit = scope.admit(&plugin).await?;
                // It hears nothing of itself.
                drop(scope.begin_list(&plugin));
                let budget = Budget::new(&plugin.limits, 0);
                list_models(&scope, &plugin, None, budget, permit).await
            }
        };
        let list = in_time(plugin, self.run(NewTurn::of(principal.clone()), work)).await;
        self.model_cache().put(plugin, asker, list.clone());
        list
    }
}

impl Scope {
    /// Notes that a pipe is being asked for its list; an error is what is or will be known of it already.
    fn begin_list(&self, plugin: &Plugin) -> Result<watch::Sender<KnownList>, watch::Receiver<KnownList>> {
        match self.lists.lock().unwrap_or_else(PoisonError::into_inner).entry(plugin.id.clone()) {
            Entry::Occupied(known) => Err(known.get().clone()),
            Entry::Vacant(unknown) => {
                let (sender, known) = watch::channel(None);
                unknown.insert(known);
                Ok(sender)
            }
        }
    }

    /// A pipe's list, asked for at most once in this turn. Who comes while it is being asked waits for the same answer, but for calls that
    /// are part of listing models themselves: they go without, or pipes that list each other's models would wait for each other.
    async fn list_once(
        self: &Arc<Self>,
        plugin: &Arc<Plugin>,
        asker: Asker<'_>,
        caller: &CallHandle,
        left: &Budget,
    ) -> Option<Arc<ModelList>> {
        let sender = match self.begin_list(plugin) {
            Ok(sender) => sender,
            Err(known) if self.is_listing(caller.id()) => return known.borrow().clone().flatten(),
            Err(mut known) => return known.wait_for(Option::is_some).await.ok()?.clone().flatten(),
        };
        let asked = async {
            let permit = self.admit_child(plugin)?;
            let budget = Budget::new(&plugin.limits, 0).within(left);
            list_models(self, plugin, Some(caller), budget, permit).await
        };
        let list = in_time(plugin, asked).await;
        if list.is_none() && !self.turn.cancel.is_cancelled() {
            // One that it gave within a turn may be shorter than what it would give to the person.
            self.dispatch.model_cache().put(plugin, asker, None);
        }
        sender.send_replace(Some(list.clone()));
        list
    }
}

/// A list that came in time, if there is one; the log says why there is none.
async fn in_time(
    plugin: &Plugin,
    asked: impl Future<Output = Result<ModelList, DispatchError>>,
) -> Option<Arc<ModelList>> {
    let asked = tokio::time::timeout(LIST_WAIT, asked).await;
    let list = asked.unwrap_or_else(|_| Err(too_late(plugin)));
    let failed = |error: &DispatchError| tracing::warn!(plugin = %plugin.id, %error, "a pipe could not list its models");
    list.inspect_err(failed).ok().map(Arc::new)
}

fn too_late(plugin: &Plugin) -> DispatchError {
    let message = format!("it took more than {} seconds", LIST_WAIT.as_secs());
    DispatchError::PluginFailed { plugin: plugin.id.clone(), message }
}

async fn list_models(
    scope: &Arc<Scope>,
    plugin: &Arc<Plugin>,
    caller: Option<&CallHandle>,
    budget: Budget,
    permit: innkeeper_sandbox::Permit,
) -> Result<ModelList, DispatchError> {
    let started = scope.start(plugin, caller, budget, permit, Ask::Models).await?;
    let (answer, cut) = answered(plugin, started).await?;
    cut.disarm();
    let Answer::Models(list) = answer else { return Err(DispatchError::Internal) };
    check(plugin, &list)?;
    Ok(list)
}

fn check(plugin: &Plugin, list: &ModelList) -> Result<(), DispatchError> {
    let problem = if list.models.len() > MODELS_MAX {
        Some(format!("it lists {} models; at most {MODELS_MAX} are allowed", list.models.len()))
    } else {
        let text_is_wrong = |text: &String| text.len() > TEXT_MAX || text.chars().any(char::is_control);
        let description_is_wrong = |text: &String| {
            text.len() > DESCRIPTION_MAX || text.chars().any(|letter| letter.is_control() && letter != '\n')
        };
        let extra_is_wrong =
            |extra: &String| extra.len() > EXTRA_MAX || innkeeper_model::json::object(extra).is_err();
        let wrong = |model: &PipeModel| {
            [&model.id, &model.name].into_iter().any(text_is_wrong)
                || model.description.as_ref().is_some_and(description_is_wrong)
                || model.extra.as_ref().is_some_and(extra_is_wrong)
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

fn pipe_entries(plugin: &Plugin, list: Option<&ModelList>, created: i64) -> Vec<ModelEntry> {
    let entry = |model: &PipeModel| ModelEntry {
        id: if model.id.is_empty() { plugin.id.to_string() } else { format!("{}.{}", plugin.id, model.id) },
        name: model.name.clone(),
        description: model.description.clone(),
        kind: ModelKind::Pipe,
        created,
        owned_by: plugin.id.to_string(),
        extra: model.extra.clone(),
    };
    list.iter().flat_map(|list| &list.models).map(entry).collect()
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
