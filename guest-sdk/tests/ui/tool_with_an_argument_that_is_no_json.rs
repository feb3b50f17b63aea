use innkeeper_sdk::prelude::*;

/// A plugin.
#[derive(Plugin)]
#[plugin(id = "sample")]
struct Sample;

struct Name;

#[tools]
impl Sample {
    /// Greets.
    async fn greet(&self, _name: Name) -> String {
        String::new()
    }
}

fn main() {}
