use innkeeper_sdk::prelude::*;

/// A plugin.
#[derive(Plugin)]
#[plugin(id = "My Plugin")]
struct Sample;

fn main() {}
