//! Looks at a schema.
