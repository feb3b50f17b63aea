//! The server's own OpenAPI document. It is kept in `openapi.json`, and a test finds where it is out of date.

use axum::http::StatusCode;
use utoipa::OpenApi as _;
use utoipa::openapi::path::Operation;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{OpenApi, PathItem, RefOr};

/// What goes before the routes.
pub(crate) fn document() -> OpenApi {
    #[derive(utoipa::OpenApi)]
    #[openapi(
        info(title = "Innkeeper", description = "Runs sandboxed chat plugins."),
        components(schemas(crate::failure::ErrorBody)),
        tags(
            (name = "openai", description = "OpenAI's protocol"),
            (name = "events", description = "What plugins show and ask"),
            (name = "tools", description = "Tools of plugins"),
            (name = "actions", description = "Actions of plugins"),
            (name = "plugins", description = "Installed plugins"),
            (name = "receipts", description = "What calls cost"),
            (name = "chats", description = "Chats that this server stores"),
            (name = "users", description = "People"),
            (name = "keys", description = "API keys"),
            (name = "health", description = "Whether the server can do its work")
        )
    )]
    struct Document;

    Document::openapi()
}

/// What comes after the routes: every one needs a key unless it says otherwise, has a name of its own, and says what its answers are.
pub(crate) fn finish(mut document: OpenApi) -> OpenApi {
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("`ik_…`")).build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("key", SecurityScheme::Http(bearer));
    document.security = Some(vec![SecurityRequirement::new("key", Vec::<String>::new())]);
    for (path, item) in &mut document.paths.paths {
        let PathItem { get, put, post, delete, .. } = item;
        for (method, operation) in [("get", get), ("put", put), ("post", post), ("delete", delete)] {
            if let Some(operation) = operation {
                complete(method, path, operation);
            }
        }
    }
    document
}

fn complete(method: &str, path: &str, operation: &mut Operation) {
    let words = path.split(['/', '{', '}', '.', '_']).filter(|word| !word.is_empty());
    operation.operation_id = Some(std::iter::once(method).chain(words).collect::<Vec<_>>().join("_"));
    let responses = &mut operation.responses.responses;
    if operation.security.is_none() {
        let refused = ResponseBuilder::new().description("No valid key").build();
        responses.entry("401".to_owned()).or_insert(refused.into());
    }
    for (status, response) in responses {
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            let status = StatusCode::from_bytes(status.as_bytes()).ok();
            response.description =
                status.and_then(|status| status.canonical_reason()).unwrap_or("Answer").to_owned();
        }
    }
}

/// The document as it is kept.
///
/// # Errors
/// Where it cannot be written as JSON.
pub fn openapi_json(server: &crate::Server) -> serde_json::Result<String> {
    let document = crate::routes::documented(&server.app).into_openapi();
    let mut text = serde_json::to_string_pretty(&finish(document))?;
    text.push('\n');
    Ok(text)
}
