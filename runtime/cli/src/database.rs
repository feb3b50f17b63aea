//! Opens the database that the settings name and brings its schema up to date.

use std::sync::Arc;

use anyhow::Context;
use innkeeper_model::time::Clock;
use innkeeper_store::migrate::{self, Target};
use innkeeper_store::{LocalFiles, Options, Pool, Store, StoreError, connect, redact};

use crate::config::Settings;

/// Connections, without a look at the schema. `create` makes a missing SQLite file.
pub(crate) async fn open(settings: &Settings, create: bool) -> anyhow::Result<Pool> {
    let options = Options {
        max_connections: settings.database_connections,
        create,
        ..Options::new(settings.database_url.value.clone())
    };
    match connect(&options).await {
        Err(StoreError::Url(problem)) => Err(settings.database_url.wrong(problem).into()),
        connected => connected.with_context(|| named(settings)),
    }
}

/// A store whose schema is up to date.
pub(crate) async fn store(settings: &Settings) -> anyhow::Result<Store> {
    let pool = open(settings, true).await?;
    let report =
        migrate::upgrade(&pool, &Clock::System, Target::Latest).await.with_context(|| named(settings))?;
    for warning in &report.warnings {
        tracing::warn!("{warning}");
    }
    for step in &report.done {
        tracing::info!(migration = step.label(), "migrated the database");
    }
    migrate::ensure_supported(&pool).await.with_context(|| named(settings))?;
    let path = settings.data_dir.value.join("files");
    let files =
        LocalFiles::new(&path).with_context(|| format!("files cannot be kept in `{}`", path.display()))?;
    let store = Store::new(pool, Clock::System, Arc::new(files));
    // Open WebUI may have moved on; then its tables are only read.
    store.refresh_shape().await.with_context(|| named(settings))?;
    Ok(store)
}

fn named(settings: &Settings) -> String {
    format!("cannot use the database `{}`", redact(&settings.database_url.value))
}

/// Whether an error says that the name is taken.
pub(crate) fn is_conflict(error: &StoreError) -> bool {
    matches!(error, StoreError::Conflict(_))
}
