use innkeeper_sdk::prelude::*;

/// A plugin.
#[derive(Plugin)]
#[plugin(id = "sample")]
struct Sample;

#[tools]
impl Sample {
    /// Greets.
    async fn greet<T>(&self, _name: T) -> String {
        String::new()
    }
}

fn main() {}
