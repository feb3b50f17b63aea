//! The engine: one for all plugins, with everything off that plugins do not need.
//!
//! Keeping memory resident with `pagemap_scan` is what makes fresh instances cheap on several threads, as measured; the other numbers of the
//! pool are room enough.

use std::time::Duration;

use innkeeper_host::limiter::{MEMORIES, TABLES};
use wasmtime::{
    Config, Enabled, Engine, EngineWeak, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig,
    Strategy,
};

/// How the engine is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    /// Instances that live at once, idle ones included. Each takes address space and, while it waits, about 85 KiB of memory (docs/performance.md).
    pub instances: u32,
    /// Largest memory of any plugin, in bytes; limits of plugins stay below.
    pub max_memory: usize,
    /// WebAssembly stack of a call, in bytes: the limit `stack`, which is the same for all plugins.
    pub stack: usize,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { instances: 1_000, max_memory: 512 << 20, stack: 512 << 10 }
    }
}

/// How much fuel a guest uses between two points at which it lets others run.
pub(crate) const FUEL_YIELD: u64 = 1_000_000;

/// How long a guest may keep its thread by calling host functions, which use next to no fuel.
const TICK: Duration = Duration::from_millis(10);

/// Stack of the host on the same fiber, in bytes: drivers and decoders run there.
const HOST_STACK: usize = 1 << 20;
/// Core instances that one component may have, the ceiling of the limit `instances`. The pool holds as many for each, and as many memories and
/// tables as a limiter allows, so that no plugin can take another's.
const CORE_INSTANCES: u32 = 32;
/// Bytes of a memory that stay in place when its slot is reused: the stack and the heap of a small guest. The process keeps them for good.
const KEEP_RESIDENT: usize = 2 << 20;

/// Makes the engine, from a pool if the address space is there for one, else on demand.
pub(crate) fn engine(options: &EngineOptions) -> wasmtime::Result<Engine> {
    let engine = match Engine::new(config(options).allocation_strategy(pool(options))) {
        Ok(engine) => engine,
        Err(error) => {
            tracing::warn!(%error, "no address space for a pool of {} instances; allocating on demand, which is slower", options.instances);
            Engine::new(&config(options))?
        }
    };
    let weak = engine.weak();
    std::thread::Builder::new().name("innkeeper-ticks".to_owned()).spawn(move || tick(&weak))?;
    Ok(engine)
}

/// Moves the engine's time on until the engine is gone.
fn tick(engine: &EngineWeak) {
    while let Some(engine) = engine.upgrade() {
        engine.increment_epoch();
        drop(engine);
        std::thread::sleep(TICK);
    }
}

/// The same pool without metering: what calls are measured beside.
#[doc(hidden)]
pub fn bare_engine(options: &EngineOptions) -> wasmtime::Result<Engine> {
    Engine::new(
        config(options).consume_fuel(false).epoch_interruption(false).allocation_strategy(pool(options)),
    )
}

/// An engine that only compiles. Its machine code fits `engine` of any options: they are about running.
pub(crate) fn compiler() -> wasmtime::Result<Engine> {
    Engine::new(&config(&EngineOptions::default()))
}

fn config(options: &EngineOptions) -> Config {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        .consume_fuel(true)
        .epoch_interruption(true)
        .max_wasm_stack(options.stack)
        .async_stack_size(options.stack + HOST_STACK)
        .wasm_component_model(true)
        .wasm_component_model_async(true)
        .wasm_component_model_threading(false)
        .wasm_component_model_error_context(false)
        .wasm_component_model_gc(false)
        .wasm_component_model_memory64(false)
        .wasm_gc(false)
        .wasm_memory64(false)
        .wasm_stack_switching(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false)
        .wasm_relaxed_simd(false);
    config
}

fn pool(options: &EngineOptions) -> InstanceAllocationStrategy {
    let most = |each: u32| options.instances.saturating_mul(each);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(options.instances)
        .total_stacks(options.instances)
        .total_core_instances(most(CORE_INSTANCES))
        .total_memories(most(MEMORIES))
        .total_tables(most(TABLES))
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_memories_per_module(MEMORIES)
        .max_tables_per_module(TABLES)
        .max_component_instance_size(1 << 20)
        .max_core_instance_size(1 << 20)
        .max_memory_size(options.max_memory)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(64 << 10)
        .max_unused_warm_slots(256)
        .pagemap_scan(Enabled::Auto);
    InstanceAllocationStrategy::Pooling(pool)
}

#[cfg(test)]
mod tests {
    use innkeeper_model::limits::Limits;

    use super::*;

    #[test]
    fn no_operator_can_promise_more_instances_than_the_pool_has() {
        assert_eq!(Limits::ceilings().instances, u64::from(CORE_INSTANCES));
    }
}
