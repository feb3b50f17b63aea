//! People. Permission `users.read`; e-mail addresses need `email.read` as well.

use crate::bindings::innkeeper::plugin::users as imported;
pub use crate::bindings::innkeeper::types::users::{User, UserPage};
use crate::{Error, Page};

/// The person for whom the plugin acts; `None` in a job.
///
/// # Errors
/// [`Error::Denied`].
pub async fn me() -> Result<Option<User>, Error> {
    Ok(imported::me().await?)
}

/// One person; `None` where there is none that the plugin may see.
///
/// # Errors
/// [`Error::Denied`].
pub async fn get(id: impl Into<String>) -> Result<Option<User>, Error> {
    Ok(imported::get(id.into()).await?)
}

/// Those of up to 200 people who may be seen, in the order asked.
///
/// # Errors
/// [`Error::Denied`], [`Error::Invalid`].
pub async fn get_many(ids: Vec<String>) -> Result<Vec<User>, Error> {
    Ok(imported::get_many(ids).await?)
}

/// People whose name contains `name`.
///
/// # Errors
/// [`Error::Denied`], [`Error::Invalid`].
pub async fn list(name: Option<&str>, page: Page) -> Result<UserPage, Error> {
    Ok(imported::list(name.map(str::to_owned), page).await?)
}
