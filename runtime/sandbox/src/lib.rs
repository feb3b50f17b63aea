//! Runs components under limits.
