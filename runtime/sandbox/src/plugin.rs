//! A plugin that is compiled and linked: ready to make instances.

use innkeeper_host::State;
use innkeeper_model::manifest::Kinds;
use wasmtime::component::InstancePre;

use crate::exports::Exports;

/// A plugin that is compiled and linked. No code of it has run for this.
pub struct LoadedPlugin {
    /// What it exports besides `plugin`.
    pub kinds: Kinds,
    /// BLAKE3 of the component, 64 hexadecimal digits.
    pub digest: String,
    pub(crate) pre: InstancePre<State>,
    pub(crate) exports: Exports,
}

impl std::fmt::Debug for LoadedPlugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadedPlugin").field("digest", &self.digest).finish_non_exhaustive()
    }
}
