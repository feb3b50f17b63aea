//! `GET /api/v1/files/{file}/content`: the address that Open WebUI gives to the bytes of a file, and that plugins link to.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use innkeeper_model::FileId;
use innkeeper_model::authority::Authority;

use crate::app::App;
use crate::caller::Caller;
use crate::failure::{ErrorBody, Failure};
use crate::params::InPath;

/// The bytes of one of the caller's files.
///
/// A stranger may have written them: they come as a download, under the policy of all answers here that nothing in them runs.
#[utoipa::path(
    get, path = "/api/v1/files/{file}/content", tag = "files",
    params(("file" = String, Path, description = "Id of a file")),
    responses(
        (status = OK, content_type = "application/octet-stream", body = Vec<u8>),
        (status = NOT_FOUND, body = ErrorBody)
    )
)]
pub(crate) async fn content(
    State(app): State<App>,
    caller: Caller,
    InPath(file): InPath<String>,
) -> Result<Response, Failure> {
    let found = app.store().files().open(&Authority::Own(caller.user.id), &FileId::from(file)).await?;
    let unknown = || Failure::new(StatusCode::NOT_FOUND, "not-found", "you have no file of this id");
    let (file, bytes) = found.ok_or_else(unknown)?;
    let mut response = Body::from_stream(bytes).into_response();
    let kind = file.content_type.as_deref().and_then(|kind| HeaderValue::from_str(kind).ok());
    let headers = response.headers_mut();
    headers
        .insert(CONTENT_TYPE, kind.unwrap_or_else(|| HeaderValue::from_static("application/octet-stream")));
    if let Ok(disposition) = HeaderValue::from_str(&attachment(&file.name)) {
        headers.insert(CONTENT_DISPOSITION, disposition);
    }
    if let Some(size) = file.size {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(size));
    }
    Ok(response)
}

/// A download of this name, whatever characters it has (RFC 6266, RFC 8187).
fn attachment(name: &str) -> String {
    let mut encoded = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("attachment; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_cannot_forge_headers() {
        assert_eq!(attachment("a b\"\r\nX: y.md"), "attachment; filename*=UTF-8''a%20b%22%0D%0AX%3A%20y.md");
    }
}
