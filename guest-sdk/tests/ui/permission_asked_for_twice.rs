use innkeeper_sdk::prelude::*;

/// A plugin.
#[derive(Plugin)]
#[plugin(id = "sample", permissions(kv = "counts", optional kv = "counts more"))]
struct Sample;

fn main() {}
