//! Loading of one plugin's code, away from the book's lock: a component that takes long to compile holds nobody up.

use std::sync::Arc;

use innkeeper_model::plugin::InstalledPlugin;
use innkeeper_sandbox::{CallError, LoadError, LoadedPlugin};
use innkeeper_store::StoreError;

use super::Inner;
use super::book::Failure;

/// Loads a plugin's code and enters the outcome.
pub(super) async fn run(inner: Arc<Inner>, installed: Arc<InstalledPlugin>) {
    let task = tokio::spawn({
        let (inner, installed) = (Arc::clone(&inner), Arc::clone(&installed));
        async move { load(&inner, &installed).await }
    });
    let outcome = task.await.unwrap_or_else(|_| {
        Err(Failure { problem: "it could not be loaded; the log says why".to_owned(), passing: false })
    });
    let mut book = inner.book.lock().await;
    book.loaded(&installed, outcome);
    inner.publish(&mut book);
}

async fn load(inner: &Inner, installed: &InstalledPlugin) -> Result<Arc<LoadedPlugin>, Failure> {
    // The semaphore is never closed.
    let _permit = inner.loading.acquire().await;
    // It was inspected when it was installed, and the digest that names its machine code is our own record.
    if let Some(loaded) = inner.sandbox.load_cached(&installed.digest, installed.manifest.kinds).await {
        return Ok(loaded);
    }
    let component =
        inner.store.plugins().component(&installed.id, installed.revision).await.map_err(of_store)?;
    let component =
        component.ok_or_else(|| lasting("its component is not in the database; install it again"))?;
    let loaded = inner.sandbox.load(&component).await.map_err(of_load)?;
    if loaded.digest != installed.digest || loaded.kinds != installed.manifest.kinds {
        return Err(lasting("its component is not the one that was installed; install it again"));
    }
    Ok(loaded)
}

fn lasting(problem: &str) -> Failure {
    Failure { problem: problem.to_owned(), passing: false }
}

fn of_store(error: StoreError) -> Failure {
    let passing = !matches!(error, StoreError::Corrupt { .. });
    Failure { problem: error.to_string(), passing }
}

fn of_load(error: LoadError) -> Failure {
    let passing = matches!(error, LoadError::Cache(_) | LoadError::Describe(CallError::Unavailable { .. }));
    Failure { problem: error.to_string(), passing }
}
