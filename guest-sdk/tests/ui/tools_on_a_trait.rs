use innkeeper_sdk::prelude::*;

/// A plugin.
#[derive(Plugin)]
#[plugin(id = "sample")]
struct Sample;

#[tools]
impl Clone for Sample {
    fn clone(&self) -> Self {
        Self
    }
}

fn main() {}
