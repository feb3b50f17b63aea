//! Receipts on their way to the database, in groups: at most 200 ms apart.

use std::sync::Arc;
use std::time::Duration;

use innkeeper_model::receipt::Receipt;
use innkeeper_store::Store;
use tokio::sync::{mpsc, oneshot};

use crate::metrics::Metrics;

/// Longest time between groups.
const INTERVAL: Duration = Duration::from_millis(200);
/// Time until a group that could not be written is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How often the last group is tried again.
const LAST_TRIES: usize = 3;
/// Most receipts of a group.
const GROUP: usize = 500;
/// Receipts that may wait; beyond that they are dropped and counted in the log.
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
    let mut group = Vec::new();
    let mut flushes = Vec::new();
    loop {
        // What could not be written is tried again even where nothing more comes.
        let patience = if group.is_empty() { Duration::MAX } else { RETRY };
        match tokio::time::timeout(patience, items.recv()).await {
            Ok(Some(first)) => take(first, &mut group, &mut flushes),
            Ok(None) => break,
            Err(_) => {}
        }
        let deadline = tokio::time::Instant::now() + INTERVAL;
        while flushes.is_empty() && group.len() < GROUP {
            match tokio::time::timeout_at(deadline, items.recv()).await {
                Ok(Some(item)) => take(item, &mut group, &mut flushes),
                Ok(None) | Err(_) => break,
            }
        }
        record(&store, &mut group, &metrics).await;
        for done in flushes.drain(..) {
            let _: Result<(), ()> = done.send(());
        }
    }
    for _ in 0..LAST_TRIES {
        if group.is_empty() {
            return;
        }
        tokio::time::sleep(RETRY).await;
        record(&store, &mut group, &metrics).await;
    }
    if !group.is_empty() {
        metrics.lost.inc_by(group.len() as u64);
        tracing::error!(lost = group.len(), "receipts could not be written before the end");
    }
}

fn take(item: Item, group: &mut Vec<Receipt>, flushes: &mut Vec<oneshot::Sender<()>>) {
    match item {
        Item::Receipt(receipt) => group.push(*receipt),
        Item::Flush(done) => flushes.push(done),
    }
}

/// Writes a group; one that cannot be written at present is tried again with the next.
async fn record(store: &Store, group: &mut Vec<Receipt>, metrics: &Metrics) {
    if group.is_empty() {
        return;
    }
    match store.invocations().record(group).await {
        Ok(()) => group.clear(),
        Err(error) if error.is_transient() && group.len() < BACKLOG => {
            tracing::warn!(%error, waiting = group.len(), "receipts cannot be written at present");
        }
        Err(error) => {
            metrics.lost.inc_by(group.len() as u64);
            tracing::error!(%error, lost = group.len(), "receipts cannot be written");
            group.clear();
        }
    }
}
