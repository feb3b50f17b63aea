use innkeeper_sdk::prelude::*;

/// A plugin.
#[derive(Plugin)]
#[plugin(id = "sample")]
struct Sample;

#[tools]
impl Sample {
    /// Greets.
    async fn greet(&self, name: &str) -> String {
        name.to_owned()
    }
}

fn main() {}
