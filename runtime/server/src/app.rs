//! What every endpoint has at hand.

use std::sync::Arc;

use innkeeper_dispatch::Dispatch;
use innkeeper_registry::Registry;
use innkeeper_store::Store;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::Access;
use crate::failure::Failure;
use crate::health::Health;
use crate::options::ServerOptions;

/// What the server is made of.
pub struct ServerState {
    /// Runs turns, tool calls and actions.
    pub dispatch: Dispatch,
    /// Installed plugins.
    pub registry: Registry,
    /// The database.
    pub store: Store,
    /// Settings.
    pub options: ServerOptions,
}

/// What every endpoint has at hand. Cheap to clone.
#[derive(Clone)]
pub(crate) struct App(Arc<Parts>);

struct Parts {
    state: ServerState,
    access: Arc<Access>,
    health: Health,
    closing: CancellationToken,
    sockets: TaskTracker,
}

impl App {
    /// Of a server's parts.
    pub(crate) fn new(state: ServerState) -> Self {
        let access = Arc::new(Access::new(state.store.clone(), state.dispatch.clone()));
        let health = Health::new(state.store.clone(), state.options.data_dir.clone());
        Self(Arc::new(Parts {
            state,
            access,
            health,
            closing: CancellationToken::new(),
            sockets: TaskTracker::new(),
        }))
    }

    /// Runs turns, tool calls and actions.
    pub(crate) fn dispatch(&self) -> &Dispatch {
        &self.0.state.dispatch
    }

    /// Installed plugins.
    pub(crate) fn registry(&self) -> &Registry {
        &self.0.state.registry
    }

    /// The database.
    pub(crate) fn store(&self) -> &Store {
        &self.0.state.store
    }

    /// Settings.
    pub(crate) fn options(&self) -> &ServerOptions {
        &self.0.state.options
    }

    /// Who holds which key.
    pub(crate) fn access(&self) -> &Arc<Access> {
        &self.0.access
    }

    /// Whether the server can do its work.
    pub(crate) fn health(&self) -> &Health {
        &self.0.health
    }

    /// Cancelled once open connections are to end.
    pub(crate) fn closing(&self) -> &CancellationToken {
        &self.0.closing
    }

    /// Counts open WebSockets, which outlive the connections that they came by.
    pub(crate) fn sockets(&self) -> &TaskTracker {
        &self.0.sockets
    }

    /// Refuses new work of plugins while the server stops.
    pub(crate) fn admit(&self) -> Result<(), Failure> {
        if self.health().is_draining() {
            return Err(Failure::stopping());
        }
        Ok(())
    }
}
