//! Fuel of children, taken from their parent's.

use wasmtime::AsContextMut;
use wasmtime::component::Accessor;

use crate::state::{Host, State};

/// What is left.
pub(crate) fn left(accessor: &Accessor<State, Host>) -> wasmtime::Result<u64> {
    accessor.with(|mut access| access.as_context_mut().get_fuel())
}

/// Takes what a child used. A parent that has less left ends at its next instruction.
pub(crate) fn take(accessor: &Accessor<State, Host>, used: u64) -> wasmtime::Result<()> {
    if used == 0 {
        return Ok(());
    }
    accessor.with(|mut access| {
        let mut store = access.as_context_mut();
        let left = store.get_fuel()?;
        store.set_fuel(left.saturating_sub(used))
    })
}
