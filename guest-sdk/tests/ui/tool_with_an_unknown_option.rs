use innkeeper_sdk::prelude::*;

/// A plugin.
#[derive(Plugin)]
#[plugin(id = "sample")]
struct Sample;

#[tools]
impl Sample {
    /// Greets.
    #[tool(readonly)]
    async fn greet(&self) -> String {
        String::new()
    }
}

fn main() {}
