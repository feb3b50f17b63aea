//! The server's own OpenAPI document. It is kept in `openapi.json`, and a test finds where it is out of date.

use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};

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

/// What comes after the routes: every one needs a key unless it says otherwise.
pub(crate) fn finish(mut document: OpenApi) -> OpenApi {
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("`ik_…`")).build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("key", SecurityScheme::Http(bearer));
    document.security = Some(vec![SecurityRequirement::new("key", Vec::<String>::new())]);
    document
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
