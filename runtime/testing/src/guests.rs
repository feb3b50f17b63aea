//! The bytes of guests that `cargo xtask guests` has built.
//!
//! Building is left to xtask: a test that called cargo would wait for the build that runs it.

use std::path::PathBuf;

/// The component of the guest `name` (the package's name in the guests' workspace).
///
/// # Panics
///
/// Where it has not been built.
#[must_use]
pub fn guest(name: &str) -> Vec<u8> {
    let file = path(name);
    match std::fs::read(&file) {
        Ok(bytes) => bytes,
        Err(error) => panic!(
            "cannot read the guest `{name}` at `{}`: {error}; build it with `cargo xtask guests`",
            file.display()
        ),
    }
}

/// Where the component of the guest `name` is, whether it has been built or not.
#[must_use]
pub fn path(name: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir));
    target.join("guests/wasm32-wasip2/release").join(name.replace('-', "_")).with_extension("wasm")
}
