//! Tools with which a model asks the user.

use innkeeper_sdk::events::{Answer, Input, Question};
use innkeeper_sdk::prelude::*;

/// Lets a model ask the user for a yes or for a line of text.
#[derive(Plugin)]
#[plugin(id = "ask-user", permissions(events.call = "shows the model's question and waits for the answer"))]
struct AskUser;

#[tools]
impl AskUser {
    /// Asks the user for a yes or no and waits for the answer, `yes` or `no`.
    /// Use it before anything that cannot be undone.
    ///
    /// * `question` — the question, in the user's language
    #[tool(read_only)]
    async fn confirm(&self, question: String) -> Result<&'static str, PluginError> {
        let answer = events::confirm("The assistant asks", question).await;
        Ok(if answered(answer)? { "yes" } else { "no" })
    }

    /// Asks the user for a line of text and waits for it.
    /// Use it when something is needed that only the user knows.
    ///
    /// * `question` — the question, in the user's language
    /// * `placeholder` — an example of an answer
    #[tool(read_only)]
    async fn ask(&self, question: String, placeholder: Option<String>) -> Result<String, PluginError> {
        let input = Input { placeholder, ..Input::new("The assistant asks", question) };
        match answered(events::ask(Question::Input(input)).await)? {
            Answer::Text(text) => Ok(text),
            _ => Ok("The user closed the question without an answer.".to_owned()),
        }
    }
}

/// Says to the model in plain words why there is no answer, where that is nobody's fault.
fn answered<T>(answer: Result<T, Error>) -> Result<T, PluginError> {
    answer.map_err(|error| match error {
        Error::Timeout(_) => PluginError::failed("the user did not answer in time"),
        Error::Cancelled(_) => PluginError::failed("the question was withdrawn before the user answered"),
        Error::Unavailable(_) => PluginError::failed("there is no user who could be asked at present"),
        other => other.into(),
    })
}
