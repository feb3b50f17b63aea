//! The one unsafe step: taking machine code for what it claims to be.

#![expect(
    unsafe_code,
    reason = "wasmtime cannot check machine code; it comes from this program's own compiler or its private directory"
)]

use wasmtime::Engine;
use wasmtime::component::Component;

/// Machine code that this program's compiler has made, now or earlier.
pub(crate) fn load(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the bytes come from `Engine::precompile_component`, in this process or in one that this process started, or from `Cache`,
    // which refuses a directory that others can write and a file that is not what it wrote; wasmtime checks version and settings itself.
    unsafe { Component::deserialize(engine, code) }
}
