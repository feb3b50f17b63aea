//! The tools of other plugins that the person may use. Permission `toolbox`.

use serde::Serialize;

use crate::bindings::innkeeper::plugin::toolbox as imported;
pub use crate::bindings::innkeeper::types::tools::AvailableTool;
use crate::{Error, ToolResult};

/// The tools offered.
///
/// # Errors
/// [`Error::Denied`].
pub async fn list() -> Result<Vec<AvailableTool>, Error> {
    Ok(imported::list().await?)
}

/// Calls one, under its own grants.
///
/// # Errors
/// [`Error::Denied`], [`Error::Invalid`], [`Error::QuotaExceeded`], [`Error::Unavailable`]; [`Error::Other`] with `rejected` or `failed` where the tool answered so.
pub async fn call(plugin: &str, name: &str, arguments: &impl Serialize) -> Result<ToolResult, Error> {
    let arguments = serde_json::to_string(arguments).map_err(|error| Error::invalid("arguments", error))?;
    Ok(imported::call(plugin.to_owned(), name.to_owned(), arguments).await?)
}
