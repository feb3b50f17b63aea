use innkeeper_sdk::prelude::*;

/// A plugin.
#[derive(Plugin)]
#[plugin(id = "sample", permissions(chat.read = "reads chats"))]
struct Sample;

fn main() {}
