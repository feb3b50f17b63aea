//! An action that saves a chat as a Markdown file. The file's text is made in `markdown`.

mod markdown;

use innkeeper_sdk::events::{Answer, FileLink, Input, Question};
use innkeeper_sdk::prelude::*;

/// Saves a chat as a Markdown file.
#[derive(Plugin)]
#[plugin(
    id = "export-markdown",
    permissions(
        files.write = "stores the file",
        events.call = "asks for the file's title",
        events.emit = "links the file to the message",
        optional chats.read = "proposes the chat's title",
    )
)]
struct ExportMarkdown;

#[actions]
impl ExportMarkdown {
    /// Export as Markdown.
    async fn export(
        &self,
        invocation: Invocation,
        messages: Vec<StoredMessage>,
    ) -> Result<Option<ActionResult>, PluginError> {
        let proposal = propose(&invocation, &messages).await;
        let input = Input::new("Export as Markdown", "Title of the file").value(proposal);
        let Answer::Text(title) = events::ask(Question::Input(input)).await? else {
            return Ok(None);
        };
        let title = title.trim();
        if title.is_empty() {
            return Err(PluginError::rejected("The file needs a title."));
        }
        let text = markdown::document(title, &messages);
        let file = files::create(markdown::file_name(title), "text/markdown", text).await?;
        events::files(vec![FileLink::from(&file)]).await?;
        Ok(Some(ActionResult::show(ToolContent::File(file.id))))
    }
}

/// The chat's title, or what was first said in it.
async fn propose(invocation: &Invocation, messages: &[StoredMessage]) -> String {
    if let Some(chat) = &invocation.chat
        && let Ok(Some(chat)) = chats::get(chat.clone()).await
    {
        return chat.title;
    }
    let first = messages.iter().find(|message| message.role == "user");
    first.map_or_else(|| "Chat".to_owned(), |message| message.content.chars().take(60).collect())
}
