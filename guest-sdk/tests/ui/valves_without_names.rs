use innkeeper_sdk::prelude::*;

/// A plugin.
#[derive(Plugin)]
#[plugin(id = "sample")]
struct Sample;

/// Settings.
#[valves]
struct Settings(u32);

fn main() {}
