//! Installed plugins, for operators.

pub(crate) mod enable;
pub(crate) mod grants;
pub(crate) mod install;
pub(crate) mod list;
pub(crate) mod remove;
pub(crate) mod settings;
pub(crate) mod show;
pub(crate) mod user_valves;
pub(crate) mod valves;
pub(crate) mod view;

use innkeeper_model::PluginId;
use innkeeper_registry::{PluginView, RegistryError};

use crate::app::App;
use crate::failure::Failure;

/// A plugin as it is now.
fn found(app: &App, id: &PluginId) -> Result<PluginView, Failure> {
    app.registry().show(id).ok_or_else(|| RegistryError::NotFound(id.clone()).into())
}
