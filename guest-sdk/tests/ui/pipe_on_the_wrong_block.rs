use innkeeper_sdk::prelude::*;

/// A plugin.
#[derive(Plugin)]
#[plugin(id = "sample")]
struct Sample;

#[pipe]
impl Sample {
    async fn run(&self) {}
}

fn main() {}
