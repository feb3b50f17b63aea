//! The one unsafe step: taking machine code for what it claims to be.

#![expect(unsafe_code, reason = "wasmtime cannot check machine code; it comes from this program's own compiler or its private directory")]

use std::path::Path;

use wasmtime::Engine;
use wasmtime::component::Component;

/// Machine code that this program's compiler has just made.
pub(crate) fn load(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the bytes come from `Engine::precompile_component`, in this process or in one that this process started.
    unsafe { Component::deserialize(engine, code) }
}

/// Machine code from the cache.
pub(crate) fn load_file(engine: &Engine, path: &Path) -> wasmtime::Result<Component> {
    // SAFETY: `Cache` writes the directory from `load`'s source and refuses one that others can write; wasmtime checks version and settings itself.
    unsafe { Component::deserialize_file(engine, path) }
}
