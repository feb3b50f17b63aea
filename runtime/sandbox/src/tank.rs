//! The fuel of one instance: what it may use in all, how much of that is in its store, and whose it is.

use innkeeper_host::State;
use innkeeper_host::fuel::{Lent, take_in};
use wasmtime::Store;

use crate::invocation::Budget;

/// The fuel of one instance. Between two hooks its store holds none: what another call lent is for whoever works for that one next.
pub(crate) struct Tank {
    /// What it may use in all.
    most: u64,
    /// What was used of what was in the store before.
    used: u64,
    /// What was put into the store.
    filled: u64,
    /// Where it comes from and goes back to; none where no other call lends it.
    lent: Option<Lent>,
}

impl Tank {
    pub(crate) fn new(budget: &Budget) -> Self {
        Self { most: budget.fuel, used: 0, filled: 0, lent: budget.lent.clone() }
    }

    /// Puts what may still be used into the store, which holds none.
    pub(crate) fn fill(&mut self, store: &mut Store<State>) -> wasmtime::Result<()> {
        let wanted = self.most.saturating_sub(self.used);
        self.filled = self.lent.as_ref().map_or(wanted, |lent| lent.take(wanted));
        store.set_fuel(self.filled)
    }

    /// Takes out what the store has left.
    pub(crate) fn empty(&mut self, store: &mut Store<State>) {
        // These fail only where fuel is not counted.
        let _ = take_in(&mut *store);
        let left = store.get_fuel().unwrap_or(0);
        self.used = self.granted().saturating_sub(left);
        self.filled = 0;
        let _ = store.set_fuel(0);
        if let Some(lent) = &self.lent {
            lent.put(left);
        }
    }

    /// What it got so far; what of that is not in the store has been used.
    pub(crate) fn granted(&self) -> u64 {
        self.used.saturating_add(self.filled)
    }

    pub(crate) fn lent(&self) -> Option<&Lent> {
        self.lent.as_ref()
    }
}
