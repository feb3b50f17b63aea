//! Parts of addresses: path segments and query strings, refused in the one envelope.

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use innkeeper_model::page::{MAX_LIMIT, Page, PageRequest};
use innkeeper_model::{Permission, PluginId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::failure::Failure;

/// Segments of the path.
pub(crate) struct InPath<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for InPath<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(segments)) => Ok(Self(segments)),
            Err(error) if error.status() == StatusCode::INTERNAL_SERVER_ERROR => Err(Failure::internal()),
            Err(error) => Err(Failure::bad_request("invalid-path", error.body_text())),
        }
    }
}

/// The query string.
pub(crate) struct InQuery<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for InQuery<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(query)) => Ok(Self(query)),
            Err(error) => {
                Err(Failure::bad_request("invalid-query", innkeeper_host::log::escape(&error.body_text())))
            }
        }
    }
}

/// Which part of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Paging {
    /// How many items at most; 50 where it is left out, at most 200.
    pub(crate) limit: Option<u32>,
    /// `next` of the part before.
    pub(crate) cursor: Option<String>,
}

impl Paging {
    /// The store's form of it.
    pub(crate) fn request(self) -> PageRequest {
        page_request(self.limit, self.cursor)
    }
}

/// The store's form of a part of a list.
pub(crate) fn page_request(limit: Option<u32>, cursor: Option<String>) -> PageRequest {
    PageRequest { cursor, limit: limit.unwrap_or_default().min(MAX_LIMIT) }
}

/// A list, or a part of one.
#[derive(Serialize, ToSchema)]
pub(crate) struct List<T> {
    /// The items.
    pub(crate) data: Vec<T>,
    /// Cursor of the next part; null at the end.
    pub(crate) next: Option<String>,
}

impl<T> List<T> {
    /// A list that is whole.
    pub(crate) fn whole(data: Vec<T>) -> Self {
        Self { data, next: None }
    }

    /// A part of a list.
    pub(crate) fn part<U>(page: Page<U>, show: impl FnMut(U) -> T) -> Self {
        let page = page.map(show);
        Self { data: page.items, next: page.next }
    }
}

/// Reads a plugin's id; no plugin has an id outside of the grammar.
pub(crate) fn plugin_id(text: &str) -> Result<PluginId, Failure> {
    PluginId::parse(text)
        .map_err(|error| Failure::not_found("unknown-plugin", format!("there is no such plugin: {error}")))
}

/// Reads a permission's name.
pub(crate) fn permission(name: &str) -> Result<Permission, Failure> {
    Permission::parse(name).ok_or_else(|| {
        let known =
            Permission::ALL.iter().map(|permission| format!("`{permission}`")).collect::<Vec<_>>().join(", ");
        let name = innkeeper_host::log::escape(name);
        Failure::bad_request(
            "unknown-permission",
            format!("unknown permission `{name}`; this server knows {known}"),
        )
        .about("permission")
    })
}
