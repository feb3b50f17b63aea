//! Listens, and stops in order: readiness off, running turns end until a deadline, open streams end, connections close.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use crate::stall::Unstalled;
use crate::{Server, upkeep};

/// How long connections may take to close after everything that ran has ended.
const CLOSE: Duration = Duration::from_secs(5);
/// How long turns that were cut at the deadline may take to end and leave their receipts.
const CUT: Duration = Duration::from_secs(8);
/// The same after the word to stop at once.
const AT_ONCE: Duration = Duration::from_secs(1);
/// How long what runs in the background may take for a last statement, which a database that does not answer would hold up.
const WIND_DOWN: Duration = Duration::from_secs(2);
/// How long to wait after a connection could not be taken, mostly because file descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Tells a server to stop.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// Stop in order.
    pub drain: CancellationToken,
    /// Stop at once.
    pub now: CancellationToken,
}

/// One of the connections that may be open at once. A WebSocket keeps it, since it outlives what HTTP knows of its connection.
#[derive(Clone)]
pub(crate) struct Place {
    _permit: Arc<OwnedSemaphorePermit>,
}

impl Place {
    fn of(permit: OwnedSemaphorePermit) -> Self {
        Self { _permit: Arc::new(permit) }
    }
}

impl Server {
    /// Serves until it is told to stop.
    pub async fn serve(self, listener: TcpListener, stop: Stop) {
        let app = self.app.clone();
        let background = CancellationToken::new();
        let watching = [
            tokio::spawn(upkeep::run(app.store().clone(), app.options().clone(), background.clone())),
            tokio::spawn(Arc::clone(app.access()).watch(background.clone())),
            tokio::spawn({
                let (registry, cancel) = (app.registry().clone(), background.clone());
                async move { registry.watch(cancel).await }
            }),
        ];
        let connections = TaskTracker::new();
        // Connections that do not close are cut; what else there is to do is done in order all the same.
        let cut = stop.now.child_token();
        tokio::select! {
            () = self.accept(listener, &connections, &cut) => {}
            () = self.drain(&stop) => {}
        }
        app.closing().cancel();
        connections.close();
        app.sockets().close();
        tokio::select! {
            ((), ()) = async { tokio::join!(connections.wait(), app.sockets().wait()) } => {}
            () = tokio::time::sleep(CLOSE) => cut.cancel(),
            () = stop.now.cancelled() => {}
        }
        // Cut connections drop what they were doing, which takes a moment.
        let _ = timeout(CLOSE, connections.wait()).await;
        background.cancel();
        let ended = async {
            for task in watching {
                let _ = task.await;
            }
        };
        tokio::select! {
            ended = timeout(WIND_DOWN, ended) => {
                if ended.is_err() {
                    tracing::warn!("stopping without the database, which does not answer");
                }
            }
            () = stop.now.cancelled() => {}
        }
    }

    /// Waits for the word to stop, and then for what runs.
    async fn drain(&self, stop: &Stop) {
        tokio::select! {
            () = stop.drain.cancelled() => {}
            () = stop.now.cancelled() => {}
        }
        self.app.health().drain();
        tracing::info!("stopping: no new turns, running ones may end");
        let (dispatch, deadline) = (self.app.dispatch(), self.app.options().drain_deadline);
        tokio::select! {
            drained = timeout(deadline.saturating_add(CUT), dispatch.drain(deadline)) => {
                if drained.is_err() {
                    tracing::warn!("stopping without the last receipts, which cannot be written");
                }
            }
            () = stop.now.cancelled() => {
                tracing::warn!("stopping at once");
                let _ = timeout(AT_ONCE, dispatch.drain(Duration::ZERO)).await;
            }
        }
    }

    /// Takes connections for ever.
    async fn accept(&self, listener: TcpListener, connections: &TaskTracker, cut: &CancellationToken) {
        let free = Arc::new(Semaphore::new(self.app.options().connections));
        let router = self.router();
        loop {
            let Ok(permit) = Arc::clone(&free).acquire_owned().await else { return };
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot take a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let (router, server, cut) = (router.clone(), self.clone(), cut.clone());
            connections.spawn(async move {
                tokio::select! {
                    () = server.connection(stream, router, Place::of(permit)) => {}
                    () = cut.cancelled() => {}
                }
            });
        }
    }

    async fn connection(self, stream: TcpStream, router: axum::Router, place: Place) {
        // Pieces of a stream are small and should go at once.
        let _ = stream.set_nodelay(true);
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(self.app.options().head_timeout);
        let stream = TokioIo::new(Unstalled::new(stream, self.app.options().write_timeout));
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(place.clone());
            router.clone().call(request)
        });
        let connection = builder.serve_connection(stream, service);
        let mut connection = std::pin::pin!(connection.with_upgrades());
        let closing = self.app.closing().clone();
        let outcome = tokio::select! {
            outcome = connection.as_mut() => outcome,
            () = closing.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}
