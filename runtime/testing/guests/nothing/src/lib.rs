//! As little as a plugin can do, for measurements.

use innkeeper_sdk::chats::ChatFilter;
use innkeeper_sdk::prelude::*;

/// Does next to nothing.
#[derive(Plugin)]
#[plugin(id = "nothing", permissions(optional users.read = "is measured", optional chats.read = "is measured"))]
struct Nothing;

#[tools]
impl Nothing {
    /// Does nothing.
    #[tool(read_only)]
    fn noop(&self) {}

    /// Makes one host call that reads no data.
    #[tool(name = "one-call", read_only)]
    fn one_call(&self) -> String {
        context::locale().unwrap_or_default()
    }

    /// Reads one row.
    #[tool(name = "read-user", read_only)]
    async fn read_user(&self) -> Result<String, PluginError> {
        Ok(users::me().await?.map(|user| user.id).unwrap_or_default())
    }

    /// Reads a page of rows and returns how many there were.
    ///
    /// * `limit` — how many at most, 1 to 200
    #[tool(name = "read-chats", read_only)]
    async fn read_chats(&self, limit: Option<u32>) -> Result<usize, PluginError> {
        let page = chats::list(ChatFilter::default(), Page::first(limit.unwrap_or(50))).await?;
        Ok(page.items.len())
    }

    /// Reads one row as often as asked, all at once, and returns how many came.
    ///
    /// * `times` — how often
    #[tool(name = "read-user-at-once", read_only)]
    async fn read_user_at_once(&self, times: u32) -> Result<usize, PluginError> {
        let reads = (0..times).map(|_| users::me());
        Ok(innkeeper_sdk::futures::future::try_join_all(reads).await?.len())
    }
}

#[pipe]
impl Pipe for Nothing {
    async fn run(&self, _invocation: Invocation, _request: ChatRequest) -> Result<Reply, PluginError> {
        Ok(Reply::Text("nothing".to_owned()))
    }
}

#[filter(toggle, keep_instance)]
impl Filter for Nothing {
    async fn stream(&self, chunks: Vec<Chunk>) -> Result<Vec<Chunk>, PluginError> {
        Ok(chunks)
    }
}
