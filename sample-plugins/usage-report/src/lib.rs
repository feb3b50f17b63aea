//! A pipe that reads the person's chats and answers with a report in Markdown. The arithmetic is in `report`.

mod report;

use innkeeper_sdk::chat_messages::MessagePage;
use innkeeper_sdk::chats::{Chat, ChatFilter};
use innkeeper_sdk::futures::future::try_join_all;
use innkeeper_sdk::prelude::*;

use crate::report::Report;

/// Chats whose messages are read at once.
const AT_ONCE: usize = 8;
/// Messages of one chat beyond these are not counted.
const MAX_MESSAGES: usize = 2_000;

/// Reports how much you have used which model.
#[derive(Plugin)]
#[plugin(
    id = "usage-report",
    permissions(
        chats.read = "lists the person's chats",
        chat_messages.read = "counts answers and their tokens",
        optional events.emit = "shows how far it is",
    ),
    user_valves = Settings
)]
struct UsageReport;

/// What to report.
#[valves]
struct Settings {
    /// How many chats to read, the latest first.
    #[valve(default = 100)]
    #[schemars(range(min = 1, max = 1000))]
    chats: usize,
}

#[pipe]
impl Pipe for UsageReport {
    async fn run(&self, _invocation: Invocation, request: ChatRequest) -> Result<Reply, PluginError> {
        if !request.wants_stream() {
            return Ok(Reply::Text(read(async |_, _| {}).await?.to_string()));
        }
        Ok(chunks(async |sender| {
            let report = read(async |done, all| {
                // Progress is a courtesy: without the permission there is none.
                let _ = events::status(format!("Read {done} of {all} chats")).await;
            });
            sender.text(report.await?.to_string()).await?;
            let _ = events::done("Report complete").await;
            Ok(())
        }))
    }
}

async fn read(progress: impl AsyncFn(usize, usize)) -> Result<Report, PluginError> {
    let settings: Settings = config::user_valves()?;
    let chats = innkeeper_sdk::all(settings.chats, |page| chats::list(ChatFilter::default(), page)).await?;
    let mut report = Report::default();
    for (number, some) in chats.chunks(AT_ONCE).enumerate() {
        progress(number * AT_ONCE, chats.len()).await;
        for (chat, messages) in some.iter().zip(try_join_all(some.iter().map(messages)).await?) {
            report.add(chat, &messages);
        }
    }
    Ok(report)
}

async fn messages(chat: &Chat) -> Result<Vec<StoredMessage>, Error> {
    let list = |page| -> std::pin::Pin<Box<dyn Future<Output = Result<MessagePage, Error>>>> {
        Box::pin(chat_messages::list(chat.id.clone(), page))
    };
    innkeeper_sdk::all(MAX_MESSAGES, list).await
}
