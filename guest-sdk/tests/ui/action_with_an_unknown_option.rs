use innkeeper_sdk::prelude::*;

/// A plugin.
#[derive(Plugin)]
#[plugin(id = "sample")]
struct Sample;

#[actions]
impl Sample {
    /// Export.
    #[action(icon = "https://example.org/a.png")]
    async fn export(&self) -> Result<(), PluginError> {
        Ok(())
    }
}

fn main() {}
