use innkeeper_sdk::prelude::*;

/// A plugin.
#[derive(Plugin)]
#[plugin(id = "sample")]
struct Sample;

struct Other;

#[pipe]
impl Pipe for Other {
    async fn run(&self, _invocation: Invocation, _request: ChatRequest) -> Result<Reply, PluginError> {
        Ok(Reply::Text(String::new()))
    }
}

fn main() {}
