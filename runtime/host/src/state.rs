//! What one instance's store holds.

use wasmtime::component::{HasSelf, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::call::CallHandle;
use crate::limiter::MemoryLimiter;
use crate::wasi;

/// The data of a store: one call, one principal.
pub struct State {
    /// The call that the instance serves.
    pub call: CallHandle,
    /// Memory of the instance.
    pub limiter: MemoryLimiter,
    /// Inert: see `wasi.rs`. Made when the guest first asks, because most calls never do and its random seeds cost more than an instance.
    wasi: Option<WasiCtx>,
    /// Resources of WASI, as many as the call may have handles.
    table: ResourceTable,
}

impl State {
    /// State for a new instance.
    pub fn new(call: CallHandle) -> Self {
        let limits = call.limits();
        let limiter = MemoryLimiter::new(limits.memory, limits.instances, call.peak_memory());
        let mut table = ResourceTable::new();
        table.set_max_capacity(usize::try_from(limits.handles).unwrap_or(usize::MAX));
        Self { call, limiter, wasi: None, table }
    }
}

/// How generated code reaches the state.
pub(crate) type Host = HasSelf<State>;

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let ctx = self.wasi.get_or_insert_with(|| wasi::context(&self.call));
        WasiCtxView { ctx, table: &mut self.table }
    }
}

/// The call that a host function serves.
pub(crate) fn handle(accessor: &wasmtime::component::Accessor<State, Host>) -> CallHandle {
    accessor.with(|mut access| access.get().call.clone())
}
