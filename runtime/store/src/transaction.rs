//! How transactions of the repositories end: committed or rolled back before the method returns,
//! so that no connection is out when a caller goes on.

use crate::error::StoreError;
use crate::pool::Tx;

/// Commits what succeeded and rolls back what failed.
pub(crate) async fn end<T, E: From<StoreError>>(tx: Tx, outcome: Result<T, E>) -> Result<T, E> {
    match outcome {
        Ok(value) => {
            tx.commit().await?;
            Ok(value)
        }
        Err(error) => {
            // The first error is the one to tell; a rollback that fails closes the connection.
            let _ = tx.rollback().await;
            Err(error)
        }
    }
}
