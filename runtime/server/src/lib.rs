//! The HTTP server: one folder per protocol, one file per endpoint.
//! Everything that runs plugins is left to `dispatch`, everything about installed plugins to `registry`.

mod access;
mod actions;
mod app;
mod body;
mod caller;
mod chats;
mod events;
mod failure;
mod files;
mod health;
mod keys;
mod metrics;
mod openai;
mod openapi;
mod options;
mod params;
mod people;
mod plugins;
mod receipts;
mod routes;
mod serve;
mod stall;
mod tools;
mod trace;
mod upkeep;

pub use app::ServerState;
pub use openapi::openapi_json;
pub use options::ServerOptions;
pub use plugins::view::PluginBody;
pub use receipts::ReceiptView;
pub use serve::Stop;

use app::App;

/// The server. Cheap to clone.
#[derive(Clone)]
pub struct Server {
    pub(crate) app: App,
}

impl Server {
    /// Of its parts.
    pub fn new(state: ServerState) -> Self {
        Self { app: App::new(state) }
    }

    /// Its routes, ready to be called.
    pub fn router(&self) -> axum::Router {
        routes::router(self.app.clone())
    }
}
