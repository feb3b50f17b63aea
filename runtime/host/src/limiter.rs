//! Memory of a call, summed over all its memories and tables.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::ResourceLimiter;

use crate::fault::Stop;

/// Memories that one instance of a plugin may have, and tables, all core instances together.
pub const MEMORIES: u32 = 2;
/// The same for tables.
pub const TABLES: u32 = 8;

/// Bytes that one table element takes in the host.
const TABLE_ELEMENT: usize = size_of::<usize>();

/// Refuses growth past the limit and remembers the highest sum.
#[derive(Debug)]
pub struct MemoryLimiter {
    limit: u64,
    count: usize,
    used: u64,
    peak: Arc<AtomicU64>,
}

impl MemoryLimiter {
    /// A limiter for `limit` bytes, and at most `count` core instances.
    pub fn new(limit: u64, count: u64, peak: Arc<AtomicU64>) -> Self {
        Self { limit, count: usize::try_from(count).unwrap_or(usize::MAX), used: 0, peak }
    }

    fn grow(
        &mut self,
        current: usize,
        desired: usize,
        max: Option<usize>,
        unit: usize,
    ) -> wasmtime::Result<bool> {
        if max.is_some_and(|max| desired > max) {
            // Beyond what the module itself declares: it is told so, and nothing was taken.
            return Ok(false);
        }
        let by = desired.saturating_sub(current).saturating_mul(unit);
        let used = self.used.saturating_add(u64::try_from(by).unwrap_or(u64::MAX));
        if used > self.limit {
            return Err(wasmtime::Error::new(Stop::Limit("memory")));
        }
        self.used = used;
        self.peak.fetch_max(used, Ordering::Relaxed);
        Ok(true)
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        max: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.grow(current, desired, max, 1)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        max: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.grow(current, desired, max, TABLE_ELEMENT)
    }

    fn instances(&self) -> usize {
        self.count
    }

    fn tables(&self) -> usize {
        TABLES as usize
    }

    fn memories(&self) -> usize {
        MEMORIES as usize
    }
}
