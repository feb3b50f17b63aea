use innkeeper_sdk::prelude::*;

/// A plugin.
#[derive(Plugin)]
#[plugin(id = "sample")]
struct Sample;

#[filter]
impl Filter for Sample {}

fn main() {}
