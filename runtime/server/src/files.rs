//! Stored files, as far as people need them: the bytes of what plugins made for them.

pub(crate) mod content;
