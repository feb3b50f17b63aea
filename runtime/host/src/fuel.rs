//! Fuel that a call lends to the calls it makes. It leaves the caller's store when the request begins, so that children side by side
//! never have more between them than the caller had, and what nobody used comes back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmtime::AsContextMut;
use wasmtime::component::Accessor;

use crate::state::{Host, State};

/// Of what is left, whoever lends gives so many parts of `PARTS`, and goes on with the rest meanwhile.
const LENT: u64 = 3;
const PARTS: u64 = 4;

/// What is lent of so much.
pub fn share(left: u64) -> u64 {
    left / PARTS * LENT
}

/// Fuel that was lent for one request, as far as no store holds it. Each instance that works for the request takes from it and gives back.
#[derive(Clone, Debug, Default)]
pub struct Lent(Arc<Account>);

#[derive(Debug, Default)]
struct Account {
    /// None once the caller has it back.
    left: Mutex<Option<u64>>,
    /// The caller's, for what comes later than that.
    returned: Returned,
}

/// Fuel on its way back to a store, which takes it in when its guest next deals with fuel.
#[derive(Clone, Debug, Default)]
pub struct Returned(Arc<AtomicU64>);

impl Returned {
    /// All that has come back since the last time.
    pub fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }

    fn add(&self, fuel: u64) {
        self.0.fetch_add(fuel, Ordering::Relaxed);
    }
}

impl Lent {
    /// Lends so much; what is left over once there is an answer goes to `returned`.
    pub fn new(fuel: u64, returned: Returned) -> Self {
        Self(Arc::new(Account { left: Mutex::new(Some(fuel)), returned }))
    }

    /// What could be taken now.
    pub fn left(&self) -> u64 {
        self.lock().unwrap_or(0)
    }

    /// Takes as much, or what there is.
    pub fn take(&self, most: u64) -> u64 {
        let mut left = self.lock();
        let taken = most.min(left.unwrap_or(0));
        *left = left.map(|left| left - taken);
        taken
    }

    /// Gives back what was taken and not used.
    pub fn put(&self, fuel: u64) {
        match &mut *self.lock() {
            Some(left) => *left = left.saturating_add(fuel),
            None => self.0.returned.add(fuel),
        }
    }

    /// Sends what is left on its way back to the caller.
    fn close(&self) {
        let left = self.lock().take();
        self.0.returned.add(left.unwrap_or(0));
    }

    fn lock(&self) -> MutexGuard<'_, Option<u64>> {
        self.0.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a child's fuel out of the caller's store. It is not given back for a child that the guest drops.
pub(crate) fn lend(accessor: &Accessor<State, Host>) -> wasmtime::Result<Lent> {
    accessor.with(|mut access| {
        take_in(&mut access)?;
        let mut store = access.as_context_mut();
        let left = store.get_fuel()?;
        let lent = share(left);
        store.set_fuel(left - lent)?;
        Ok(Lent::new(lent, store.data().returned.clone()))
    })
}

/// Puts back what a child left over.
pub(crate) fn give_back(store: impl AsContextMut<Data = State>, lent: &Lent) -> wasmtime::Result<()> {
    lent.close();
    take_in(store)
}

/// Puts into the store what has come back.
pub fn take_in(mut store: impl AsContextMut<Data = State>) -> wasmtime::Result<()> {
    let mut store = store.as_context_mut();
    match store.data().returned.take() {
        0 => Ok(()),
        returned => {
            let left = store.get_fuel()?;
            store.set_fuel(left.saturating_add(returned))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lent_is_taken_once_and_what_is_left_over_comes_back() {
        let returned = Returned::default();
        let lent = Lent::new(100, returned.clone());
        assert_eq!((lent.take(30), lent.take(u64::MAX), lent.take(1)), (30, 70, 0));
        lent.put(60);
        assert_eq!((lent.left(), returned.take()), (60, 0));
        lent.close();
        assert_eq!((lent.take(1), returned.take()), (0, 60));
        // Of background work, which goes on after the answer.
        lent.put(5);
        lent.close();
        assert_eq!((lent.take(1), returned.take()), (0, 5));
    }
}
