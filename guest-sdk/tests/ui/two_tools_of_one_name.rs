use innkeeper_sdk::prelude::*;

/// A plugin.
#[derive(Plugin)]
#[plugin(id = "sample")]
struct Sample;

#[tools]
impl Sample {
    /// Greets.
    async fn greet(&self) {}

    /// Greets as well.
    #[tool(name = "greet")]
    async fn greet_again(&self) {}
}

fn main() {}
