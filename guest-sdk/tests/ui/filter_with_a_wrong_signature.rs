use innkeeper_sdk::prelude::*;

/// A plugin.
#[derive(Plugin)]
#[plugin(id = "sample")]
struct Sample;

#[filter]
impl Filter for Sample {
    async fn inlet(&self, request: ChatRequest) -> Result<ChatRequest, PluginError> {
        Ok(request)
    }
}

fn main() {}
