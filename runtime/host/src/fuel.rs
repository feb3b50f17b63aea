//! Fuel that a call lends to the calls it makes. It leaves the caller's store when the child begins, so that children side by side
//! never have more between them than the caller had, and what the child left over comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::AsContextMut;
use wasmtime::component::Accessor;

use crate::state::{Host, State};

/// Of what is left, a child gets so many parts of `PARTS`; the caller goes on with the rest meanwhile.
const LENT: u64 = 3;
const PARTS: u64 = 4;

/// Where whoever runs a child says what it used. Until something is said, all that was lent counts as used.
#[derive(Clone, Debug, Default)]
pub struct Spent(Arc<AtomicU64>);

/// Stands for "nothing said yet".
const UNSAID: u64 = 0;

impl Spent {
    /// Says what the child used in all; 0 for a child that runs no guest.
    pub fn report(&self, fuel: u64) {
        self.0.store(fuel.saturating_add(1), Ordering::Relaxed);
    }

    /// What comes back of `lent`.
    pub(crate) fn left_of(&self, lent: u64) -> u64 {
        match self.0.load(Ordering::Relaxed) {
            UNSAID => 0,
            said => lent.saturating_sub(said - 1),
        }
    }
}

/// Takes a child's fuel out of the caller's store. It is not given back for a child that the guest drops: nobody knows what that one used.
pub(crate) fn lend(accessor: &Accessor<State, Host>) -> wasmtime::Result<u64> {
    accessor.with(|mut access| {
        let mut store = access.as_context_mut();
        let left = store.get_fuel()?;
        let lent = left / PARTS * LENT;
        store.set_fuel(left - lent)?;
        Ok(lent)
    })
}

/// Puts back what a child left over.
pub(crate) fn give_back(mut store: impl AsContextMut<Data = State>, fuel: u64) -> wasmtime::Result<()> {
    if fuel == 0 {
        return Ok(());
    }
    let mut store = store.as_context_mut();
    let left = store.get_fuel()?;
    store.set_fuel(left.saturating_add(fuel))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_reported_counts_as_used() {
        let spent = Spent::default();
        assert_eq!(spent.left_of(100), 0);
        spent.report(0);
        assert_eq!(spent.left_of(100), 100);
        spent.report(30);
        assert_eq!(spent.left_of(100), 70);
        spent.report(u64::MAX);
        assert_eq!(spent.left_of(100), 0);
    }
}
