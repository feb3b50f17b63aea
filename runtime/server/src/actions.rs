//! Actions over HTTP.

pub(crate) mod list;
pub(crate) mod run;
