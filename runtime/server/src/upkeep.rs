//! What has to be done now and then while a server runs: expired entries and old receipts go.

use innkeeper_store::{Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::options::ServerOptions;

/// Does it until it is cancelled.
pub(crate) async fn run(store: Store, options: ServerOptions, cancel: CancellationToken) {
    while cancel.run_until_cancelled(tokio::time::sleep(options.upkeep)).await.is_some() {
        // Cut in the middle where the server stops; each piece of it is a transaction.
        let done = cancel.run_until_cancelled(once(&store, &options)).await;
        if let Some(Err(error)) = done {
            tracing::warn!(%error, "expired data cannot be removed at present");
        }
    }
    if let Err(error) = store.invocations().release().await {
        tracing::debug!(%error, "numbers of receipts stay taken");
    }
}

async fn once(store: &Store, options: &ServerOptions) -> Result<(), StoreError> {
    let expired = store.kv().sweep().await?;
    let age = i64::try_from(options.receipts_age.as_secs()).unwrap_or(i64::MAX);
    let receipts = store.invocations().prune(age, options.receipts_rows).await?;
    tracing::debug!(expired, receipts, "removed what is out of date");
    Ok(())
}
