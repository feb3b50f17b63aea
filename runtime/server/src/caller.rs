//! Who sends a request: the bearer key of its `Authorization` header, and nothing else.
//! Only where a page opens a WebSocket, and can set no header, the key may stand among the names of its subprotocols.

use axum::extract::FromRequestParts;
use axum::http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};

pub(crate) use crate::access::Caller;
use crate::app::App;
use crate::failure::Failure;

/// Said whatever is wrong with a key, so that an answer tells nothing about keys.
const UNAUTHORIZED: &str = "no valid API key: send the header `Authorization: Bearer ik_…`; an operator makes keys with `innkeeper key create`";

/// The subprotocol of our WebSocket, which the server agrees to.
pub(crate) const SUBPROTOCOL: &str = "innkeeper";

/// What goes before the key in the name of another one, which it never agrees to: an answer must not repeat a key.
const SUBPROTOCOL_KEY: &str = "innkeeper-key.";

/// Somebody who opens a WebSocket.
pub(crate) struct SocketCaller(pub(crate) Caller);

/// Somebody who runs the server.
pub(crate) struct Admin(pub(crate) Caller);

impl FromRequestParts<App> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let caller = verify(app, bearer(&parts.headers)).await?;
        // For whoever reads the body, and has to look again when it is there.
        parts.extensions.insert(caller.clone());
        Ok(caller)
    }
}

impl FromRequestParts<App> for SocketCaller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        // Who shows two keys may mean either, so that is none.
        let secret = match (parts.headers.contains_key(AUTHORIZATION), offered(&parts.headers)) {
            (true, Offered::Nothing) => bearer(&parts.headers),
            (false, Offered::Key(secret)) => Some(secret),
            _ => None,
        };
        Ok(Self(verify(app, secret).await?))
    }
}

async fn verify(app: &App, secret: Option<&str>) -> Result<Caller, Failure> {
    let unauthorized = || Failure::new(StatusCode::UNAUTHORIZED, "unauthorized", UNAUTHORIZED);
    app.access().verify(secret.ok_or_else(unauthorized)?).await?.ok_or_else(unauthorized)
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

/// What the names of a WebSocket's subprotocols say of keys.
enum Offered<'a> {
    Nothing,
    Key(&'a str),
    /// More than one, or names that cannot be read.
    Unclear,
}

fn offered(headers: &HeaderMap) -> Offered<'_> {
    let mut found = Offered::Nothing;
    for value in headers.get_all(SEC_WEBSOCKET_PROTOCOL) {
        let Ok(names) = value.to_str() else { return Offered::Unclear };
        for key in names.split(',').filter_map(|name| name.trim().strip_prefix(SUBPROTOCOL_KEY)) {
            found = match found {
                Offered::Nothing => Offered::Key(key),
                _ => return Offered::Unclear,
            };
        }
    }
    found
}
