use innkeeper_sdk::prelude::*;

/// A plugin.
#[derive(Plugin)]
#[plugin(id = "sample")]
struct Sample;

/// Settings.
#[valves]
struct Settings {
    /// A number.
    #[valve(min = 1)]
    number: u32,
}

fn main() {}
