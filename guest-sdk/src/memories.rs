//! What is remembered about the person. Permissions `memories.read` and `memories.write`.

use crate::bindings::innkeeper::plugin::memories as imported;
pub use crate::bindings::innkeeper::types::memories::{Memory, MemoryPage};
use crate::{Error, Page};

/// One memory; `None` where there is none that the plugin may see.
///
/// # Errors
/// [`Error::Denied`].
pub async fn get(id: impl Into<String>) -> Result<Option<Memory>, Error> {
    Ok(imported::get(id.into()).await?)
}

/// Memories of the person for whom the plugin acts.
///
/// # Errors
/// [`Error::Denied`], [`Error::Invalid`].
pub async fn list(page: Page) -> Result<MemoryPage, Error> {
    Ok(imported::list(page).await?)
}

/// Adds one, 1 byte to 64 KiB.
///
/// # Errors
/// [`Error::Denied`], [`Error::Invalid`], [`Error::Unavailable`].
pub async fn add(content: impl Into<String>) -> Result<Memory, Error> {
    Ok(imported::add(content.into()).await?)
}

/// Changes one if it still is as it was read.
///
/// # Errors
/// [`Error::Denied`], [`Error::Invalid`], [`Error::Conflict`], [`Error::Unavailable`].
pub async fn update(memory: &Memory, content: impl Into<String>) -> Result<Memory, Error> {
    Ok(imported::update(memory.id.clone(), content.into(), memory.version.clone()).await?)
}

/// Deletes one; false where there is none that the plugin may delete.
///
/// # Errors
/// [`Error::Denied`], [`Error::Unavailable`].
pub async fn delete(id: impl Into<String>) -> Result<bool, Error> {
    Ok(imported::delete(id.into()).await?)
}
