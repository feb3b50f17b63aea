//! A pipe that answers with the last thing that the user said.

use innkeeper_sdk::prelude::*;

/// Repeats the last message of the user, word by word where the client wants a stream.
#[derive(Plugin)]
#[plugin(id = "echo")]
struct Echo;

#[pipe]
impl Pipe for Echo {
    async fn run(&self, _invocation: Invocation, request: ChatRequest) -> Result<Reply, PluginError> {
        let text = request.last_user_text().or_reject("There is no message to repeat.")?;
        if !request.wants_stream() {
            return Ok(Reply::Text(text));
        }
        Ok(chunks(async move |sender| {
            for word in text.split_inclusive(char::is_whitespace) {
                sender.text(word).await?;
            }
            Ok(())
        }))
    }
}
