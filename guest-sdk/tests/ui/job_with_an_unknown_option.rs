use innkeeper_sdk::prelude::*;

/// A plugin.
#[derive(Plugin)]
#[plugin(id = "sample")]
struct Sample;

#[jobs]
impl Sample {
    /// Tidy up.
    #[job(cron = "0 3 * * *")]
    async fn tidy(&self) -> Result<(), PluginError> {
        Ok(())
    }
}

fn main() {}
