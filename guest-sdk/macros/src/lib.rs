//! Macros of `innkeeper-sdk`.
