//! Notices what other servers change. One cheap statement at a time; what it finds is read as if it had changed here.

use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::error::RegistryError;
use crate::registry::Registry;

/// How often the generation is looked at: often enough that a change elsewhere has ended calls here well within two seconds.
const EVERY: Duration = Duration::from_millis(500);
/// After how many looks loading is tried again where it failed for reasons that may have passed.
const TRY_AGAIN: u64 = 20;

impl Registry {
    /// Follows changes that other servers make, until `cancel`. Where the database does not answer, what was known last holds.
    pub async fn watch(&self, cancel: CancellationToken) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looks = 0_u64;
        let mut failing = false;
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = ticks.tick() => {}
            }
            looks = looks.wrapping_add(1);
            let looked = tokio::select! {
                () = cancel.cancelled() => return,
                looked = self.look(looks.is_multiple_of(TRY_AGAIN)) => looked,
            };
            match (&looked, failing) {
                (Ok(()), true) => tracing::info!("changes of plugins elsewhere are noticed again"),
                (Err(error), false) => {
                    tracing::warn!(%error, "changes of plugins elsewhere are not noticed for now")
                }
                _ => {}
            }
            failing = looked.is_err();
        }
    }

    /// Takes over what has changed elsewhere. What is to be loaded is loaded beside.
    async fn look(&self, try_again: bool) -> Result<(), RegistryError> {
        let generation = self.0.store.plugins().generation().await?;
        let mut again = false;
        if try_again {
            again = self.0.book.lock().await.forget_passing();
        }
        if again || generation != self.snapshot().generation {
            let mut book = self.0.book.lock().await;
            self.0.refresh(&mut book, None).await?;
        }
        Ok(())
    }
}
