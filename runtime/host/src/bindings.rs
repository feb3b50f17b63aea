//! Types and traits generated from `wit/`. Nothing here is written by hand; the interface files next to it implement it.
#![allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    clippy::all,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "generated code"
)]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "innkeeper:plugin/everything",
    imports: {
        "innkeeper:plugin/context.read-blob": trappable | store,
        default: trappable,
    },
    exports: { default: async },
});
