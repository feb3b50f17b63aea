use innkeeper_sdk::prelude::*;

/// A plugin.
#[derive(Plugin)]
#[plugin(id = "sample")]
struct Sample;

#[actions]
impl Sample {
    /// Export.
    async fn export(&self, title: String) {
        let _ = title;
    }
}

fn main() {}
