//! People's own values, kept for as long as the generation stands still.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use innkeeper_model::time::Clock;
use innkeeper_model::{PluginId, UserId};
use innkeeper_store::Store;
use serde_json::{Map, Value};

use crate::error::{RegistryError, shown};
use crate::plugin::Plugin;

/// Most bytes that are kept.
const KEPT_MAX: usize = 16 << 20;
/// What an entry takes besides its text, about.
const ENTRY: usize = 256;

/// Reads people's values from the store and keeps them.
pub(crate) struct UserValves {
    store: Store,
    generation: AtomicI64,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    generation: i64,
    bytes: usize,
    /// With the revision whose defaults are filled in.
    values: HashMap<(PluginId, UserId), (i64, Arc<str>)>,
}

impl UserValves {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, generation: AtomicI64::new(i64::MIN), kept: Mutex::default() }
    }

    pub(crate) fn clock(&self) -> &Clock {
        self.store.clock()
    }

    /// What was read before is read again.
    pub(crate) fn set_generation(&self, generation: i64) {
        self.generation.store(generation, Ordering::Release);
    }

    /// A person's values for a plugin.
    pub(crate) async fn get(&self, plugin: &Plugin, user: &UserId) -> Result<Arc<str>, RegistryError> {
        let Some(schema) = plugin.schemas.user_valves()? else { return Ok("{}".into()) };
        let generation = self.generation.load(Ordering::Acquire);
        let key = (plugin.id.clone(), user.clone());
        if let Some(text) = self.kept(generation).known(&key, plugin.revision) {
            return Ok(text);
        }
        let stored = self.store.valves().get_user(&plugin.id, user).await?;
        let values = schema.complete(stored.unwrap_or_else(|| Value::Object(Map::new())));
        let values =
            values.map_err(|problems| RegistryError::Valves { plugin: plugin.id.clone(), problems })?;
        let text: Arc<str> = values.to_string().into();
        // What was read before a change may not be kept as if it were read after it.
        if self.generation.load(Ordering::Acquire) == generation {
            self.kept(generation).keep(key, plugin.revision, Arc::clone(&text));
        } else {
            tracing::trace!(user = shown(user.as_str()), "values changed while they were read");
        }
        Ok(text)
    }

    fn kept(&self, generation: i64) -> std::sync::MutexGuard<'_, Kept> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.generation != generation {
            *kept = Kept { generation, ..Kept::default() };
        }
        kept
    }
}

impl Kept {
    fn known(&self, key: &(PluginId, UserId), revision: i64) -> Option<Arc<str>> {
        self.values.get(key).filter(|(of, _)| *of == revision).map(|(_, text)| Arc::clone(text))
    }

    fn keep(&mut self, key: (PluginId, UserId), revision: i64, text: Arc<str>) {
        let size = text.len().saturating_add(ENTRY);
        if self.bytes.saturating_add(size) > KEPT_MAX {
            self.values.clear();
            self.bytes = 0;
        }
        self.bytes = self.bytes.saturating_add(size);
        self.values.insert(key, (revision, text));
    }
}
