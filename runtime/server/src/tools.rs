//! Tools over HTTP.

pub(crate) mod call;
pub(crate) mod list;
