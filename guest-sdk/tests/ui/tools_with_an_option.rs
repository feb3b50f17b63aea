use innkeeper_sdk::prelude::*;

/// A plugin.
#[derive(Plugin)]
#[plugin(id = "sample")]
struct Sample;

#[tools(read_only)]
impl Sample {
    /// Greets.
    async fn greet(&self) -> String {
        String::new()
    }
}

fn main() {}
