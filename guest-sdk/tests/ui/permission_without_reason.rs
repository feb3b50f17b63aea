use innkeeper_sdk::prelude::*;

/// A plugin.
#[derive(Plugin)]
#[plugin(id = "sample", permissions(kv = " "))]
struct Sample;

fn main() {}
