use innkeeper_sdk::prelude::*;

/// A plugin.
#[derive(Plugin)]
#[plugin(id = "sample")]
struct Sample;

#[jobs]
impl Sample {
    /// Tidy up.
    #[job(schedule = "0 3 * * *")]
    async fn tidy(&self, _older_than: u64) -> Result<(), PluginError> {
        Ok(())
    }
}

fn main() {}
