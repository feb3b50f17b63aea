use innkeeper_sdk::prelude::*;

/// A plugin.
#[derive(Plugin)]
struct Sample;

fn main() {}
