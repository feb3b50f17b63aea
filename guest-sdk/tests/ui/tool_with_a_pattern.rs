use innkeeper_sdk::prelude::*;

/// A plugin.
#[derive(Plugin)]
#[plugin(id = "sample")]
struct Sample;

#[tools]
impl Sample {
    /// Adds.
    async fn add(&self, (one, other): (i64, i64)) -> i64 {
        one + other
    }
}

fn main() {}
