//! The contract of the repositories, the same on each backend.
