//! Listens, and stops in order: readiness off, running turns end until a deadline, open streams end, connections close.

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::{Server, upkeep};

/// How long connections may take to close after everything that ran has ended.
const CLOSE: Duration = Duration::from_secs(5);
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
        tokio::select! {
            () = self.accept(listener, &connections, &stop) => {}
            () = self.drain(&stop) => {}
        }
        app.closing().cancel();
        connections.close();
        app.sockets().close();
        tokio::select! {
            ((), ()) = async { tokio::join!(connections.wait(), app.sockets().wait()) } => {}
            () = tokio::time::sleep(CLOSE) => stop.now.cancel(),
            () = stop.now.cancelled() => {}
        }
        // Cut connections drop what they were doing, which takes a moment.
        let _ = tokio::time::timeout(CLOSE, connections.wait()).await;
        background.cancel();
        for task in watching {
            let _ = task.await;
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
        tokio::select! {
            () = self.app.dispatch().drain(self.app.options().drain_deadline) => {}
            () = stop.now.cancelled() => {
                tracing::warn!("stopping at once");
                self.app.dispatch().stop_now();
            }
        }
    }

    /// Takes connections for ever.
    async fn accept(&self, listener: TcpListener, connections: &TaskTracker, stop: &Stop) {
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
            let (router, server, now) = (router.clone(), self.clone(), stop.now.clone());
            connections.spawn(async move {
                tokio::select! {
                    () = server.connection(stream, router) => {}
                    () = now.cancelled() => {}
                }
                drop(permit);
            });
        }
    }

    async fn connection(self, stream: TcpStream, router: axum::Router) {
        // Pieces of a stream are small and should go at once.
        let _ = stream.set_nodelay(true);
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(self.app.options().head_timeout);
        let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
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
