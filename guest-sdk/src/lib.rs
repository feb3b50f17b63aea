//! Write Innkeeper plugins.
