//! Which address leads to which endpoint, and what is done to all of them.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::failure::{Failure, in_openai_envelope};
use crate::{
    actions, chats, events, files, health, keys, metrics, openai, openapi, people, plugins, receipts, tools,
    trace,
};

/// All routes of a server.
pub(crate) fn router(app: App) -> Router {
    let (router, document) = documented(&app).split_for_parts();
    let document = openapi::finish(document);
    router
        .route("/api/openapi.json", get(async move || Json(document)))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(middleware::from_fn(trace::no_keys_in_addresses))
        .layer(middleware::from_fn(trace::secure))
        .layer(middleware::from_fn(trace::trace))
        .with_state(app)
}

/// The routes that are in the OpenAPI document.
pub(crate) fn documented(app: &App) -> OpenApiRouter<App> {
    let timed = middleware::from_fn_with_state(app.clone(), in_time);
    let quick = OpenApiRouter::with_openapi(openapi::document())
        .merge(admin())
        .merge(own())
        .routes(routes!(health::healthz::healthz))
        .routes(routes!(health::readyz::readyz))
        .routes(routes!(metrics::metrics));
    let quick = quick.layer(timed.clone());
    let models = OpenApiRouter::default()
        .routes(routes!(openai::models::list))
        .routes(routes!(openai::models::show))
        .layer(timed);
    let openai = OpenApiRouter::default()
        .routes(routes!(openai::chat_completions::chat_completions))
        .routes(routes!(openai::chat_completions::in_chat))
        .merge(models)
        .layer(middleware::from_fn(in_openai_envelope));
    quick.merge(openai).merge(running())
}

/// What only admins may, but for some that look at who asks.
fn admin() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(plugins::show::show, plugins::remove::remove))
        .routes(routes!(plugins::enable::enable))
        .routes(routes!(plugins::enable::disable))
        .routes(routes!(plugins::grants::grant, plugins::grants::revoke))
        .routes(routes!(plugins::settings::set))
        .routes(routes!(plugins::valves::show, plugins::valves::set))
        .routes(routes!(receipts::list::of_plugin))
        .routes(routes!(people::list::list, people::add::add))
        .routes(routes!(people::show::show, people::remove::remove))
        .routes(routes!(people::set_role::set_role))
}

/// What people do with what is theirs.
fn own() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(events::answer::answer))
        .routes(routes!(tools::list::list))
        .routes(routes!(actions::list::list))
        .routes(routes!(plugins::user_valves::show, plugins::user_valves::set))
        .routes(routes!(receipts::list::list))
        .routes(routes!(receipts::show::show))
        .routes(routes!(people::show::me))
        .routes(routes!(keys::list::list, keys::create::create))
        .routes(routes!(keys::revoke::revoke))
        .routes(routes!(chats::list::list, chats::create::create))
        .routes(routes!(chats::show::show, chats::remove::remove))
        .routes(routes!(chats::messages::messages, chats::append::append))
        .routes(routes!(files::content::content))
}

/// What may take long: it runs plugins, compiles them, or waits for people.
fn running() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(events::subscribe::subscribe))
        .routes(routes!(events::socket::socket))
        .routes(routes!(tools::call::call))
        .routes(routes!(actions::run::run))
        .routes(routes!(plugins::list::list, plugins::install::install))
}

/// Ends requests that take too long.
async fn in_time(State(app): State<App>, request: Request, next: Next) -> Response {
    let limit = app.options().request_timeout;
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let message = format!("the server did not answer within {limit:?}; try again");
            Failure::new(StatusCode::GATEWAY_TIMEOUT, "timeout", message).into_response()
        }
    }
}

async fn not_found(request: Request) -> Response {
    let message = "there is nothing at this address; `GET /api/openapi.json` describes what there is";
    Failure::not_found("not-found", message).at(request.uri().path())
}

async fn method_not_allowed(request: Request) -> Response {
    let message = format!(
        "this address does not take {}; `GET /api/openapi.json` says what it takes",
        request.method()
    );
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", message).at(request.uri().path())
}
