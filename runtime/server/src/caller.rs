//! Who sends a request: the bearer key of its `Authorization` header, and nothing else.

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};

pub(crate) use crate::access::Caller;
use crate::app::App;
use crate::failure::Failure;

/// Said whatever is wrong with a key, so that an answer tells nothing about keys.
const UNAUTHORIZED: &str = "no valid API key: send the header `Authorization: Bearer ik_…`; an operator makes keys with `innkeeper key create`";

/// Somebody who runs the server.
pub(crate) struct Admin(pub(crate) Caller);

impl FromRequestParts<App> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let unauthorized = || Failure::new(StatusCode::UNAUTHORIZED, "unauthorized", UNAUTHORIZED);
        let secret = bearer(&parts.headers).ok_or_else(unauthorized)?;
        let caller = app.access().verify(secret).await?.ok_or_else(unauthorized)?;
        // For whoever reads the body, and has to look again when it is there.
        parts.extensions.insert(caller.clone());
        Ok(caller)
    }
}

impl FromRequestParts<App> for Admin {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let caller = Caller::from_request_parts(parts, app).await?;
        if caller.is_admin() {
            return Ok(Self(caller));
        }
        Err(Failure::forbidden("only an admin may do this; use an admin's key"))
    }
}

/// The key of a request that has exactly one.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let (only, None) = (all.next()?, all.next()) else { return None };
    let (scheme, secret) = only.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(secret.trim_matches(' '))
}
