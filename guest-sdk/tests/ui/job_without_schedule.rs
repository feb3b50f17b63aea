use innkeeper_sdk::prelude::*;

/// A plugin.
#[derive(Plugin)]
#[plugin(id = "sample")]
struct Sample;

#[jobs]
impl Sample {
    /// Tidies up.
    async fn tidy(&self) -> Result<(), PluginError> {
        Ok(())
    }
}

fn main() {}
