//! Tests for which something is missing here: a failure in CI, else said loudly when the run is over.

use std::path::Path;

/// The folder in which a skipped test leaves its reason. `cargo xtask test` names one and reads it at the end.
pub const SKIPS: &str = "INNKEEPER_TEST_SKIPS";

/// Notes that a test does not run here, and why; it should return next.
///
/// # Panics
///
/// Where `CI` is `true`: a machine that is set up for all tests has to run all of them.
pub fn skip(test: &str, reason: &str) {
    assert!(
        std::env::var_os("CI").is_none_or(|value| value != "true"),
        "`{test}` must run in CI, but {reason}"
    );
    let message = format!("the test `{test}`: {reason}");
    eprintln!("\n*** SKIPPED: {message} ***\n");
    let Some(folder) = std::env::var_os(SKIPS) else { return };
    let file = Path::new(&folder).join(test);
    if let Err(error) = std::fs::write(&file, message) {
        panic!("cannot write `{}`: {error}", file.display());
    }
}
