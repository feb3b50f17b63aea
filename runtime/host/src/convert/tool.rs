//! Results of tools and actions.

use innkeeper_model::json::{self, MAX_VALUES, ParseError};
use innkeeper_model::tool;

use super::all;
use crate::bindings::innkeeper::types::{actions as wit_actions, tools as wit};

impl From<tool::ToolContent> for wit::ToolContent {
    fn from(content: tool::ToolContent) -> Self {
        match content {
            tool::ToolContent::Text { text } => Self::Text(text),
            tool::ToolContent::Json { value } => Self::Json(value.to_string()),
            tool::ToolContent::Html { html, summary } => {
                Self::Html(wit::HtmlEmbed { html, summary, extra: None })
            }
            tool::ToolContent::File { id } => Self::File(id.into_string()),
        }
    }
}

impl From<tool::ToolResult> for wit::ToolResult {
    fn from(result: tool::ToolResult) -> Self {
        Self { content: all(result.content), extra: None }
    }
}

/// A result from a guest. JSON that does not parse makes it invalid, and so do more values than one text may hold, all its parts together.
pub fn result_from_guest(result: wit::ToolResult) -> Result<tool::ToolResult, ParseError> {
    Ok(tool::ToolResult { content: contents_from_guest(result.content)? })
}

/// The same for a result of an action.
pub fn action_from_guest(result: wit_actions::ActionResult) -> Result<tool::ActionResult, ParseError> {
    let change = |change: wit_actions::MessageChange| tool::MessageChange {
        message: change.message.into(),
        content: change.content,
    };
    Ok(tool::ActionResult {
        messages: result.messages.into_iter().map(change).collect(),
        content: contents_from_guest(result.content)?,
    })
}

fn contents_from_guest(contents: Vec<wit::ToolContent>) -> Result<Vec<tool::ToolContent>, ParseError> {
    let mut left = MAX_VALUES;
    let content = |content| {
        Ok(match content {
            wit::ToolContent::Text(text) => tool::ToolContent::Text { text },
            wit::ToolContent::Json(json) | wit::ToolContent::Other(json) => {
                let (value, values) = json::parse(&json, left).map_err(|error| match error {
                    ParseError::TooMany { .. } => ParseError::TooMany { most: MAX_VALUES },
                    error => error,
                })?;
                left -= values;
                tool::ToolContent::Json { value }
            }
            wit::ToolContent::Html(wit::HtmlEmbed { html, summary, extra: _ }) => {
                tool::ToolContent::Html { html, summary }
            }
            wit::ToolContent::File(id) => tool::ToolContent::File { id: id.into() },
        })
    };
    contents.into_iter().map(content).collect()
}
