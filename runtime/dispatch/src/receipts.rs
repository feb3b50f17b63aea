//! Receipts on their way to the database, in groups: at most 200 ms apart.

use std::sync::Arc;
use std::time::Duration;

use innkeeper_model::receipt::Receipt;
use innkeeper_store::Store;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::metrics::Metrics;

/// Longest time between groups.
const INTERVAL: Duration = Duration::from_millis(200);
/// Time until receipts that could not be written are tried again, unless somebody waits for them.
const RETRY: Duration = Duration::from_secs(1);
/// How often the last ones are tried again.
const LAST_TRIES: usize = 3;
/// Most receipts of a group.
const GROUP: usize = 500;
/// Receipts that may wait; beyond that they are dropped and counted in `receipts_lost`.
const BACKLOG: usize = 20_000;

/// Takes receipts; counts them, and writes them behind the callers' backs.
#[derive(Clone)]
pub struct ReceiptLog {
    items: mpsc::Sender<Item>,
    metrics: Arc<Metrics>,
}

enum Item {
    Receipt(Box<Receipt>),
    Flush(oneshot::Sender<()>),
}

impl ReceiptLog {
    /// Starts the writer on the present runtime. It ends when the last log is dropped.
    pub fn start(store: Store) -> Self {
        let (sender, items) = mpsc::channel(BACKLOG);
        let metrics = Arc::new(Metrics::new());
        tokio::spawn(write(store, items, Arc::clone(&metrics)));
        Self { items: sender, metrics }
    }

    /// The sums of all receipts since the start.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Takes a receipt.
    pub fn record(&self, receipt: Receipt) {
        tracing::debug!(
            plugin = %receipt.plugin, call = receipt.id, export = receipt.export,
            outcome = receipt.outcome.as_str(), fuel = receipt.delivered.fuel, "call ended"
        );
        self.metrics.count(&receipt);
        if let Err(error) = self.items.try_send(Item::Receipt(Box::new(receipt))) {
            self.metrics.lost.inc();
            tracing::error!(%error, "a receipt is lost: more wait than can be written");
        }
    }

    /// Waits until everything recorded so far is in the database, or could not be written.
    pub async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.items.send(Item::Flush(done)).await.is_ok() {
            // The writer has ended where this fails: there is nothing left to wait for.
            let _ = written.await;
        }
    }
}

async fn write(store: Store, mut items: mpsc::Receiver<Item>, metrics: Arc<Metrics>) {
    let mut waiting = Vec::new();
    let mut flushes = Vec::new();
    // Nothing is written before.
    let mut not_before = Instant::now();
    loop {
        // What could not be written is tried again even where nothing more comes.
        let next = if waiting.is_empty() { None } else { Some(not_before) };
        match until(next, items.recv()).await {
            Some(Some(first)) => take(first, &mut waiting, &mut flushes),
            Some(None) => break,
            None => {}
        }
        let deadline = not_before.max(Instant::now() + INTERVAL);
        while flushes.is_empty() && (waiting.len() < GROUP || Instant::now() < not_before) {
            match tokio::time::timeout_at(deadline, items.recv()).await {
                Ok(Some(item)) => take(item, &mut waiting, &mut flushes),
                Ok(None) | Err(_) => break,
            }
            lose(&mut waiting, BACKLOG, &metrics);
        }
        if (!flushes.is_empty() || Instant::now() >= not_before)
            && !record(&store, &mut waiting, &metrics).await
        {
            not_before = Instant::now() + RETRY;
        }
        for done in flushes.drain(..) {
            let _: Result<(), ()> = done.send(());
        }
    }
    for _ in 0..LAST_TRIES {
        if waiting.is_empty() {
            return;
        }
        tokio::time::sleep(RETRY).await;
        record(&store, &mut waiting, &metrics).await;
    }
    lose(&mut waiting, 0, &metrics);
}

/// What a future gives, unless a moment comes first.
async fn until<T>(moment: Option<Instant>, future: impl Future<Output = T>) -> Option<T> {
    match moment {
        Some(moment) => tokio::time::timeout_at(moment, future).await.ok(),
        None => Some(future.await),
    }
}

fn take(item: Item, waiting: &mut Vec<Receipt>, flushes: &mut Vec<oneshot::Sender<()>>) {
    match item {
        Item::Receipt(receipt) => waiting.push(*receipt),
        Item::Flush(done) => flushes.push(done),
    }
}

/// Keeps so many of those that wait, and counts the others, which are the newest.
fn lose(waiting: &mut Vec<Receipt>, keep: usize, metrics: &Metrics) {
    let lost = waiting.len().saturating_sub(keep);
    if lost > 0 {
        waiting.truncate(keep);
        metrics.lost.inc_by(lost as u64);
        tracing::error!(lost, "receipts are lost: they cannot be written");
    }
}

/// Writes what waits, in groups; false where the database cannot take it at present.
async fn record(store: &Store, waiting: &mut Vec<Receipt>, metrics: &Metrics) -> bool {
    while let Some(group) = waiting.chunks(GROUP).next() {
        let count = group.len();
        match store.invocations().record(group).await {
            Ok(()) => drop(waiting.drain(..count)),
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, waiting = waiting.len(), "receipts cannot be written at present");
                return false;
            }
            Err(error) => {
                waiting.drain(..count);
                metrics.lost.inc_by(count as u64);
                tracing::error!(%error, lost = count, "receipts cannot be written");
            }
        }
    }
    true
}
