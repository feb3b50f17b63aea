use innkeeper_sdk::prelude::*;

/// A plugin.
#[derive(Plugin)]
#[plugin(id = "sample")]
struct Sample;

#[tools]
impl Sample {
    /// Greets.
    #[tool(name = "say hello")]
    async fn greet(&self) {}
}

fn main() {}
