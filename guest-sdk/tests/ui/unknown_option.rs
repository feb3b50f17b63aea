use innkeeper_sdk::prelude::*;

/// A plugin.
#[derive(Plugin)]
#[plugin(id = "sample", colour = "red")]
struct Sample;

fn main() {}
