use innkeeper_sdk::prelude::*;

/// A plugin.
#[derive(Plugin)]
#[plugin(id = "sample")]
struct Sample;

#[filter(priority = 1, global)]
impl Filter for Sample {
    async fn stream(&self, chunks: Vec<Chunk>) -> Result<Vec<Chunk>, PluginError> {
        Ok(chunks)
    }
}

fn main() {}
