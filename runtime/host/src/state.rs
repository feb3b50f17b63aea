//! What one instance's store holds.

use wasmtime::component::{HasSelf, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::call::{CallHandle, Interface};
use crate::fault::{Fault, Stop};
use crate::fuel::Returned;
use crate::limiter::MemoryLimiter;
use crate::wasi;
use crate::weigh::Weigh;

/// The data of a store: one call, one principal.
pub struct State {
    /// The call that the instance serves.
    pub call: CallHandle,
    /// Memory of the instance.
    pub limiter: MemoryLimiter,
    /// Where fuel that this part of the call lent comes back.
    pub returned: Returned,
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
        Self { call, limiter, returned: Returned::default(), wasi: None, table }
    }
}

impl State {
    /// Counts a call of an import that never waits and has no error to give, and reads its answer. What does not fit ends the call:
    /// a guard that got empty settings in its place would let everything pass.
    pub(crate) fn read<T: Weigh>(
        &self,
        interface: Interface,
        read: impl FnOnce(&CallHandle) -> T,
    ) -> wasmtime::Result<T> {
        let call = match self.call.enter(interface, 0) {
            Ok(call) => call,
            Err(Fault::Stop(stop)) => return Err(wasmtime::Error::new(stop)),
            // The plugin describes itself; there is no turn and there are no settings behind the answer then.
            Err(Fault::Guest(_)) => return Ok(read(&self.call)),
        };
        let value = read(&call);
        call.finish(value).map_err(|fault| match fault {
            Fault::Stop(stop) => wasmtime::Error::new(stop),
            Fault::Guest(_) => wasmtime::Error::new(Stop::Limit("transfer")),
        })
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
