//! Which pages may open a WebSocket: browsers let any page open one to any server, so the server has to look.

use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header::{HOST, ORIGIN};

use crate::failure::Failure;

/// Lets programs (which send no origin), this server's own pages and listed origins in.
pub(super) fn check(headers: &HeaderMap, allowed: &[String]) -> Result<(), Failure> {
    let mut origins = headers.get_all(ORIGIN).iter();
    let origin = match (origins.next(), origins.next()) {
        (None, _) => return Ok(()),
        (Some(origin), None) => origin.to_str().unwrap_or_default(),
        (Some(_), Some(_)) => "",
    };
    let own = headers.get(HOST).and_then(|host| host.to_str().ok());
    let same_host = || {
        let (scheme, host) = origin.split_once("://")?;
        Some(matches!(scheme, "http" | "https") && own?.eq_ignore_ascii_case(host))
    };
    let listed = || allowed.iter().any(|allowed| allowed.trim_end_matches('/').eq_ignore_ascii_case(origin));
    if !origin.is_empty() && (listed() || same_host().unwrap_or_default()) {
        return Ok(());
    }
    let message = format!(
        "pages of the origin `{}` may not connect; the operator lists such origins in `allowed_origins`",
        innkeeper_host::log::escape(origin)
    );
    Err(Failure::new(StatusCode::FORBIDDEN, "origin-not-allowed", message))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn only_own_and_listed_origins_may_connect() {
        let allowed = ["https://chat.example.org".to_owned()];
        let check = |origins: &[&str], expected: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, "127.0.0.1:8080".parse().unwrap());
            for origin in origins {
                headers.append(ORIGIN, origin.parse().unwrap());
            }
            assert_eq!(super::check(&headers, &allowed).is_ok(), expected, "{origins:?}");
        };
        check(&[], true);
        check(&["http://127.0.0.1:8080"], true);
        check(&["https://chat.example.org"], true);
        check(&["HTTPS://CHAT.example.org"], true);
        for bad in [
            "null",
            "",
            "http://127.0.0.1",
            "http://127.0.0.1:8081",
            "https://chat.example.org.evil.test",
            "file://127.0.0.1:8080",
        ] {
            check(&[bad], false);
        }
        check(&["http://127.0.0.1:8080", "http://evil.test"], false);
    }
}
