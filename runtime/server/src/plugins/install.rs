//! `POST /api/plugins`: installs a component that is sent as the body or as a file of a form.

use axum::Json;
use axum::extract::multipart::{Multipart, MultipartError};
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use innkeeper_registry::{InstallOptions, RegistryError};
use serde::Deserialize;
use utoipa::IntoParams;

use super::view::PluginBody;
use crate::app::App;
use crate::body::{BodyFailure, check_still, read};
use crate::caller::Admin;
use crate::failure::{ErrorBody, Failure, answers};
use crate::params::InQuery;

/// How to install.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct How {
    /// Grants what the manifest asks for, but for permissions that act on people.
    #[serde(default)]
    grant_requested: bool,
    /// Makes the component the next revision of the plugin that has its id. Settings, valves and the grants that it still asks for are kept.
    #[serde(default)]
    replace: bool,
}

/// Why nothing was installed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The body.
    #[error(transparent)]
    Body(#[from] BodyFailure),
    /// A body of another sort.
    #[error(
        "a body of the type `{0}` cannot be installed; send the component as `application/wasm`, or as a file of a form"
    )]
    Type(String),
    /// A form that cannot be read.
    #[error("the form cannot be read: {0}")]
    Form(String),
    /// A form without a file.
    #[error("the form has no file; send the component as a file")]
    NoFile,
    /// The component.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Body(error) => error.into(),
            Error::Type(_) => {
                Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-type", error.to_string())
            }
            Error::Form(_) | Error::NoFile => Self::bad_request("invalid-form", error.to_string()),
            Error::Registry(error) => error.into(),
        }
    }
}

answers!(Error);

/// Installs a component as a new plugin, or with `replace` as the next revision of one that is there.
#[utoipa::path(
    post, path = "/api/plugins", tag = "plugins", params(How),
    request_body(
        description = "The component",
        content((String = "application/wasm"), (Object = "multipart/form-data"))
    ),
    responses(
        (status = CREATED, body = PluginBody),
        (status = BAD_REQUEST, description = "Not a plugin", body = ErrorBody),
        (status = CONFLICT, description = "A plugin has its id already", body = ErrorBody),
        (status = PAYLOAD_TOO_LARGE, body = ErrorBody), (status = FORBIDDEN, body = ErrorBody)
    )
)]
pub(crate) async fn install(
    State(app): State<App>,
    Admin(caller): Admin,
    InQuery(how): InQuery<How>,
    request: Request,
) -> Result<(StatusCode, Json<PluginBody>), Error> {
    let bytes = component(&app, request).await?;
    check_still(&app, &caller).await?;
    let options = InstallOptions { grant_requested: how.grant_requested, replace: how.replace };
    let plugin = app.registry().install(bytes, options).await?;
    Ok((StatusCode::CREATED, Json(plugin.into())))
}

async fn component(app: &App, request: Request) -> Result<Vec<u8>, Error> {
    let options = app.options();
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match kind.as_str() {
        "" | "application/wasm" | "application/octet-stream" => {
            Ok(read(request, options.component_max, options.body_timeout).await?.into())
        }
        "multipart/form-data" => {
            let reading = form_file(request, options.component_max);
            let seconds = options.body_timeout.as_secs();
            tokio::time::timeout(options.body_timeout, reading)
                .await
                .unwrap_or(Err(BodyFailure::TooSlow(seconds).into()))
        }
        _ => Err(Error::Type(innkeeper_host::log::escape(&kind))),
    }
}

/// The first file of a form.
async fn form_file(mut request: Request, max: usize) -> Result<Vec<u8>, Error> {
    let unreadable = |error: MultipartError| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Error::Body(BodyFailure::TooLarge(max)),
        _ => Error::Form(innkeeper_host::log::escape(&error.body_text())),
    };
    // The form's own lines come on top of the file.
    let whole = max.saturating_add(64 << 10);
    DefaultBodyLimit::max(whole).apply(&mut request);
    let form = Multipart::from_request(request, &()).await;
    let mut form = form.map_err(|error| Error::Form(innkeeper_host::log::escape(&error.body_text())))?;
    while let Some(mut field) = form.next_field().await.map_err(unreadable)? {
        if field.file_name().is_none() {
            continue;
        }
        let mut bytes = Vec::new();
        while let Some(piece) = field.chunk().await.map_err(unreadable)? {
            if bytes.len().saturating_add(piece.len()) > max {
                return Err(BodyFailure::TooLarge(max).into());
            }
            bytes.extend_from_slice(&piece);
        }
        return Ok(bytes);
    }
    Err(Error::NoFile)
}
