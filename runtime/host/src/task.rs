//! Work on the data, on a task of its own.
//!
//! The future of a host call moves only while somebody drives the guest's store, and a guest may spin, or keep its instance from one hook
//! to the next, with host calls under way. What such a call holds of the database (a place in the queue for a connection, the connection,
//! a transaction with its locks) would be held from everybody for as long, so all of it belongs to a task, which goes on by itself.

use innkeeper_model::Error;
use innkeeper_store::StoreError;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use crate::fault::{Fault, Stop, of_write};

/// Runs the part of a host call that reads data. Dropping the future ends the task at its next await.
pub(crate) async fn run<T: Send + 'static>(
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, Fault> {
    Ok(spawned(work).await??)
}

/// As `run`, for a part that writes: what it wrote without a commit is taken back where it is dropped.
pub(crate) async fn write<T: Send + 'static>(
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, Fault> {
    spawned(work).await.map_err(Fault::after_the_effect)?.map_err(of_write)
}

async fn spawned<T: Send + 'static>(
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<Result<T, StoreError>, Fault> {
    AbortOnDropHandle::new(tokio::spawn(work.in_current_span())).await.map_err(|error| {
        if error.is_panic() {
            tracing::error!("a host call panicked in the store");
            return Stop::Internal("a host call panicked in the store".to_owned()).into();
        }
        // Nobody but the runtime ends a task that is waited for.
        Error::unavailable("the server is shutting down", None).into()
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use innkeeper_model::ErrorCode;
    use innkeeper_store::Backend;
    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn a_panic_in_the_store_ends_the_call_and_not_the_host() {
        let panics = async { if tokio::task::try_id().is_some() { panic!("for the test") } else { Ok(()) } };
        let ended = run(panics).await;
        assert!(
            matches!(&ended, Err(Fault::Stop(Stop::Internal(cause))) if cause.contains("panicked")),
            "{ended:?}"
        );
    }

    #[tokio::test]
    async fn an_error_of_the_store_is_told_as_ever() {
        let ended = run::<()>(async { Err(StoreError::RowLimit) }).await;
        assert!(matches!(ended, Err(Fault::Guest(error)) if error.code == ErrorCode::QuotaExceeded));
    }

    #[tokio::test]
    async fn a_write_that_may_have_been_kept_says_so() {
        let told = |ended: Result<(), Fault>| match ended {
            Err(Fault::Guest(error)) => error.may_have_happened,
            other => panic!("{other:?}"),
        };
        for (error, unknown) in [
            (|| StoreError::Timeout, true),
            (|| StoreError::Unreachable { backend: Backend::Sqlite, reason: String::new() }, true),
            (|| StoreError::Busy("it is locked"), false),
            (|| StoreError::Full, false),
            (|| StoreError::Conflict(String::new()), false),
        ] as [(fn() -> StoreError, bool); 5]
        {
            assert_eq!(told(write(async move { Err(error()) }).await), unknown, "{}", error());
            assert!(!told(run(async move { Err(error()) }).await), "{}", error());
        }
    }

    #[tokio::test]
    async fn what_a_call_holds_is_let_go_when_nobody_polls_it_and_when_it_is_dropped() {
        let held = Arc::new(Semaphore::new(1));
        let holds = |time| {
            let held = Arc::clone(&held);
            run(async move {
                let _held = held.acquire_owned().await.expect("it is never closed");
                tokio::time::sleep(time).await;
                Ok(())
            })
        };
        let mut parked = std::pin::pin!(holds(Duration::from_millis(20)));
        assert!(futures::poll!(parked.as_mut()).is_pending());
        tokio::task::yield_now().await;
        assert_eq!(held.available_permits(), 0);
        tokio::time::timeout(Duration::from_secs(5), held.acquire())
            .await
            .expect("it goes on")
            .expect("open")
            .forget();
        held.add_permits(1);
        {
            let mut dropped = std::pin::pin!(holds(Duration::from_secs(3_600)));
            assert!(futures::poll!(dropped.as_mut()).is_pending());
            tokio::task::yield_now().await;
            assert_eq!(held.available_permits(), 0);
        }
        let freed = tokio::time::timeout(Duration::from_secs(5), held.acquire()).await;
        assert!(freed.is_ok(), "a dropped call holds on");
    }
}
