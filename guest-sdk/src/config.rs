//! Settings: the plugin's own, the person's, and those of the server that plugins may read.

use serde::de::DeserializeOwned;

use crate::bindings::innkeeper::plugin::config as imported;
use crate::{Error, PluginError};

/// The plugin's settings as the operator set them. `T` is the struct that `#[plugin(valves = …)]` names.
///
/// # Errors
/// [`PluginError::Failed`] where they do not fit `T`.
pub fn valves<T: DeserializeOwned>() -> Result<T, PluginError> {
    read("valves", &imported::valves())
}

/// The person's settings for this plugin. `T` is the struct that `#[plugin(user_valves = …)]` names.
///
/// # Errors
/// [`PluginError::Failed`] where they do not fit `T`.
pub fn user_valves<T: DeserializeOwned>() -> Result<T, PluginError> {
    read("user valves", &imported::user_valves())
}

/// A setting of the server by its dotted key; `None` where it is not set. Permission `config.read`.
///
/// # Errors
/// [`Error::Denied`], also for keys that are not on the list of readable ones; [`Error::Invalid`] if it is no `T`.
pub async fn get<T: DeserializeOwned>(key: &str) -> Result<Option<T>, Error> {
    let json = imported::get(key.to_owned()).await?;
    json.map(|json| serde_json::from_str(&json).map_err(|error| Error::invalid(key, error))).transpose()
}

fn read<T: DeserializeOwned>(what: &str, json: &str) -> Result<T, PluginError> {
    serde_json::from_str(json).map_err(|error| PluginError::Failed(format!("{what}: {error}")))
}
