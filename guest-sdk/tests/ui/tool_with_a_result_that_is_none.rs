use innkeeper_sdk::prelude::*;

/// A plugin.
#[derive(Plugin)]
#[plugin(id = "sample")]
struct Sample;

struct Greeting;

#[tools]
impl Sample {
    /// Greets.
    async fn greet(&self) -> Greeting {
        Greeting
    }
}

fn main() {}
