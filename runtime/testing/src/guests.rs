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

/// A guest whose texts are changed, each to one of the same length.
///
/// # Panics
///
/// Where a text is not in it, or its new one has another length.
#[must_use]
pub fn changed(name: &str, changes: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = guest(name);
    for (from, to) in changes {
        assert_eq!(from.len(), to.len(), "`{from}` and `{to}` differ in length");
        let found = bytes.windows(from.len()).enumerate().filter(|(_, text)| *text == from.as_bytes());
        let places: Vec<usize> = found.map(|(place, _)| place).collect();
        assert!(!places.is_empty(), "`{from}` is not in `{name}`");
        for place in places {
            bytes.splice(place..place + to.len(), to.bytes());
        }
    }
    bytes
}

/// The same component with other bytes: a custom section more, of the format's id 0, 6 bytes, with a name of 4.
#[must_use]
pub fn with_note(mut component: Vec<u8>, note: u8) -> Vec<u8> {
    component.extend([0, 6, 4, b'n', b'o', b't', b'e', note]);
    component
}
