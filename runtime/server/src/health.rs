//! Whether the server can do its work, and why not.

pub(crate) mod healthz;
pub(crate) mod readyz;

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use innkeeper_store::{Store, StoreError, migrate};
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use utoipa::ToSchema;

/// How long a check may take, and how long its answer holds.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
const FRESH: Duration = Duration::from_secs(1);
/// How long a database without space is spoken of after the last write that failed.
const FULL: Duration = Duration::from_secs(5);
/// Where bytes of files are, in the data directory.
const FILES: &str = "files";
/// What the check of the disk writes.
const PROBE: &[u8] = &[0; 4096];

/// What was looked at. Each is `ok`, or says what is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Checks {
    /// Whether the database answers.
    pub(crate) database: String,
    /// Whether its tables are those that this program needs.
    pub(crate) schema: String,
    /// Whether the data directory can be written.
    pub(crate) disk: String,
    /// Whether the server is stopping.
    pub(crate) draining: bool,
}

impl Checks {
    /// The first thing that is wrong.
    pub(crate) fn reason(&self) -> Option<String> {
        if self.draining {
            return Some("draining".to_owned());
        }
        let named = [("database", &self.database), ("schema", &self.schema), ("disk", &self.disk)];
        named.into_iter().find(|(_, state)| *state != "ok").map(|(name, state)| format!("{name}: {state}"))
    }
}

/// Looks whether the server can do its work.
pub(crate) struct Health {
    store: Store,
    data_dir: Option<PathBuf>,
    draining: AtomicBool,
    last: Mutex<Option<(Instant, Checks)>>,
    /// The look at the disk that has not come back yet.
    looking: Mutex<Option<JoinHandle<String>>>,
    /// Name of the file that is written. Another server may look at the same directory at the same moment.
    probe: String,
}

impl Health {
    /// Of a server.
    pub(crate) fn new(store: Store, data_dir: Option<PathBuf>) -> Self {
        Self {
            store,
            data_dir,
            draining: AtomicBool::new(false),
            last: Mutex::default(),
            looking: Mutex::default(),
            probe: format!(".readyz-{}", uuid::Uuid::new_v4().simple()),
        }
    }

    /// From now on the server is stopping.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the server is stopping.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Looks, at most once a second.
    pub(crate) async fn check(&self) -> Checks {
        let mut last = self.last.lock().await;
        let fresh = last.as_ref().filter(|(at, _)| at.elapsed() < FRESH).map(|(_, checks)| checks.clone());
        let mut checks = match fresh {
            Some(checks) => checks,
            None => {
                let checks = self.look().await;
                *last = Some((Instant::now(), checks.clone()));
                checks
            }
        };
        checks.draining = self.is_draining();
        // The database's disk may be another machine's, so nothing but a write can tell; whichever it was, the store noted it.
        let full = self.store.last_full().is_some_and(|at| at.elapsed() < FULL);
        if checks.disk == "ok" && full {
            checks.disk = "the database has no space left; reading still works".to_owned();
        }
        checks
    }

    async fn look(&self) -> Checks {
        let database = shown(
            timeout(CHECK_TIMEOUT, self.store.plugins().generation()).await.map(|result| result.map(drop)),
        );
        let schema = if database == "ok" {
            shown(timeout(CHECK_TIMEOUT, migrate::ensure_supported(self.store.pool())).await)
        } else {
            "unknown while the database does not answer".to_owned()
        };
        let disk = match &self.data_dir {
            Some(directory) => self.disk(directory).await,
            None => "ok".to_owned(),
        };
        Checks { database, schema, disk, draining: false }
    }

    /// Looks at the data directory, and at the files in it. A disk that hangs holds one thread, however often somebody looks.
    async fn disk(&self, directory: &Path) -> String {
        let mut looking = self.looking.lock().await;
        let look = looking.get_or_insert_with(|| {
            let (directory, probe) = (directory.to_owned(), self.probe.clone());
            tokio::task::spawn_blocking(move || write_probes(&directory, &probe))
        });
        let Ok(looked) = timeout(CHECK_TIMEOUT, look).await else {
            return "the data directory did not answer in time".to_owned();
        };
        *looking = None;
        looked.unwrap_or_else(|_| "the data directory could not be looked at".to_owned())
    }
}

/// Anybody may ask, so an answer names no hosts, paths or logins.
fn shown(result: Result<Result<(), StoreError>, tokio::time::error::Elapsed>) -> String {
    match result {
        Ok(Ok(())) => "ok".to_owned(),
        Err(_) => "no answer in time".to_owned(),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the server is not ready");
            match error {
                StoreError::Unreachable { .. } => "unreachable".to_owned(),
                StoreError::ReadOnly(_) => "read-only".to_owned(),
                StoreError::TooNew { .. }
                | StoreError::SchemaMissing(_)
                | StoreError::Busy(_)
                | StoreError::Timeout
                | StoreError::Full => error.to_string(),
                _ => "failed; the log says why".to_owned(),
            }
        }
    }
}

/// `ok`, or what cannot be written. The files may be on a volume of their own.
fn write_probes(directory: &Path, probe: &str) -> String {
    let files = directory.join(FILES);
    for (folder, what) in [(directory, "the data directory"), (files.as_path(), "the folder of files")] {
        match write_probe(&folder.join(probe)) {
            Ok(()) => {}
            // Nobody has to keep files here.
            Err(error) if folder == files && error.kind() == ErrorKind::NotFound => {}
            Err(error) => return format!("{what} cannot be written: {}", error.kind()),
        }
    }
    "ok".to_owned()
}

fn write_probe(path: &Path) -> std::io::Result<()> {
    let mut file = std::fs::File::create(path)?;
    // Before anything is written, so that a server that is killed leaves nothing behind.
    std::fs::remove_file(path)?;
    file.write_all(PROBE)?;
    file.sync_all()
}
