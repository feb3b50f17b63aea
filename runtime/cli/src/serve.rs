//! `innkeeper serve`: starts the server, and stops it by signals.

use std::io;
use std::time::Duration;

use anyhow::{Context, bail};
use innkeeper_server::{Server, ServerOptions, ServerState, Stop};
use serde_json::json;
use tokio::net::TcpListener;

use crate::config::Settings;
use crate::data_dir;
use crate::output::Output;
use crate::stack::{Runtimes, Stack};

/// How long closing the connections to the database may take.
const CLOSE: Duration = Duration::from_secs(2);

/// Runs until a signal.
pub(crate) fn run(settings: &Settings, output: &Output) -> anyhow::Result<()> {
    data_dir::prepare(&settings.data_dir)?;
    let runtimes = Runtimes::start()?;
    let served = runtimes.main.block_on(serve(settings, output, runtimes.guests.handle().clone()));
    runtimes.stop();
    served
}

async fn serve(settings: &Settings, output: &Output, guests: tokio::runtime::Handle) -> anyhow::Result<()> {
    // The port first: a second server on it must not touch the database of the first.
    let listener = listen(settings).await?;
    let address = listener.local_addr().context("the address cannot be told")?;
    let stack = Stack::open(settings, true).await?;
    let dispatch = stack.dispatch(settings, guests)?;
    let (store, registry) = (stack.store.clone(), stack.registry.clone());
    let options = server_options(settings);
    let server = Server::new(ServerState { dispatch, registry, store, options });
    let stop = Stop::default();
    tokio::spawn(signals(Signals::listen().context("signals cannot be received")?, stop.clone()));
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "listening beyond this machine without TLS; put a proxy with TLS in front");
    }
    if stack.store.users().count().await? == 0 {
        output.aside(
            "Nobody can use this server yet: add somebody with `innkeeper user add --name … --email … --role admin`, \
             then make a key with `innkeeper key create --user …`.",
        );
    }
    output.say(&json!({ "listening": address.to_string() }), || format!("listening on http://{address}"))?;
    server.serve(listener, stop.clone()).await;
    // A statement that the database does not answer keeps its connection from being closed.
    tokio::select! {
        _ = tokio::time::timeout(CLOSE, stack.store.pool().close()) => {}
        () = stop.now.cancelled() => {}
    }
    tracing::info!("stopped");
    Ok(())
}

async fn listen(settings: &Settings) -> anyhow::Result<TcpListener> {
    let address = settings.listen;
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            bail!("the address {address} is taken by another program; stop it, or name another by `--listen`")
        }
        Err(error) => Err(error)
            .with_context(|| format!("cannot listen on {address}; name another address by `--listen`")),
    }
}

fn server_options(settings: &Settings) -> ServerOptions {
    let fits = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    ServerOptions {
        json_max: fits(settings.json_max),
        component_max: fits(settings.component_max),
        drain_deadline: settings.drain_deadline,
        connections: fits(settings.connections),
        allowed_origins: settings.allowed_origins.clone(),
        data_dir: Some(settings.data_dir.value.clone()),
        receipts_age: Duration::from_secs(settings.receipts_days.saturating_mul(24 * 3600)),
        receipts_rows: settings.receipts_rows,
        ..ServerOptions::default()
    }
}

/// The first signal stops in order, the second at once.
async fn signals(mut signals: Signals, stop: Stop) {
    signals.next().await;
    stop.drain.cancel();
    signals.next().await;
    stop.now.cancel();
}

/// Signals to stop. Listening begins once, so that one which comes while nobody waits is not lost.
#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
