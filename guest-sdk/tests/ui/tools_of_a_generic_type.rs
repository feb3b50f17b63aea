use innkeeper_sdk::prelude::*;

/// A plugin.
#[derive(Plugin)]
#[plugin(id = "sample")]
struct Sample;

struct Many<T>(T);

#[tools]
impl<T> Many<T> {
    /// Greets.
    async fn greet(&self) -> String {
        String::new()
    }
}

fn main() {}
