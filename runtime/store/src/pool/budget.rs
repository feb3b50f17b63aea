//! What a call may still read.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::StoreError;

/// Rows and bytes that a call may still read; shared by all its statements.
#[derive(Debug)]
pub struct RowBudget {
    rows: AtomicU64,
    bytes: AtomicU64,
}

impl RowBudget {
    /// A budget of so many rows and bytes of values.
    pub fn new(rows: u64, bytes: u64) -> Self {
        Self { rows: AtomicU64::new(rows), bytes: AtomicU64::new(bytes) }
    }

    /// Rows that are left.
    pub fn rows_left(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Bytes that are left.
    pub fn bytes_left(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Takes one row.
    pub(super) fn take_row(&self) -> Result<(), StoreError> {
        take(&self.rows, 1).ok_or(StoreError::RowLimit)
    }

    /// Takes the bytes of a row.
    pub(super) fn take_bytes(&self, bytes: u64) -> Result<(), StoreError> {
        take(&self.bytes, bytes).ok_or(StoreError::ByteLimit)
    }
}

/// Takes from a counter; one that has too little is emptied, so that later reads fail as well.
fn take(left: &AtomicU64, amount: u64) -> Option<()> {
    let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(amount));
    if taken.is_err() {
        left.store(0, Ordering::Relaxed);
    }
    taken.ok().map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_ends_with_its_own_error() {
        let budget = RowBudget::new(1, 10);
        assert!(budget.take_row().is_ok());
        assert!(matches!(budget.take_row(), Err(StoreError::RowLimit)));
        assert!(budget.take_bytes(10).is_ok());
        assert!(matches!(budget.take_bytes(1), Err(StoreError::ByteLimit)));
    }
}
