//! Scheduled work: the trait that `#[jobs]` implements.

use crate::bindings::innkeeper::types::manifest::JobDescription;
use crate::{Invocation, Plugin, PluginError};

/// A plugin's jobs. Made by `#[jobs]` on an `impl` block.
#[expect(async_fn_in_trait, reason = "guests have one thread")]
pub trait Job: Plugin {
    /// What the manifest says of them.
    fn jobs() -> Vec<JobDescription>;

    /// Runs the job `id`.
    async fn run(&self, invocation: Invocation, id: &str) -> Result<(), PluginError>;
}

impl<T: Job> crate::bindings::job::Guest for T {
    async fn run(invocation: Invocation, id: String) -> Result<(), PluginError> {
        Job::run(T::instance(), invocation, &id).await
    }
}
