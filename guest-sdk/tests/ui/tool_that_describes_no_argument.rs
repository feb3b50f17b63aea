use innkeeper_sdk::prelude::*;

/// A plugin.
#[derive(Plugin)]
#[plugin(id = "sample")]
struct Sample;

#[tools]
impl Sample {
    /// Greets.
    ///
    /// * `nmae` — whom
    async fn greet(&self, name: String) -> String {
        name
    }
}

fn main() {}
