//! The rest of what the plugin was called with, on demand. Nothing here waits but [`read_blob`], and no permission is needed.

use serde_json::Value;

use crate::Error;
use crate::bindings::innkeeper::plugin::context as imported;
use crate::bindings::innkeeper::types::common::Blob;
use crate::chat_request::Message;
use crate::files::whole;

/// What a call other than a chat is for.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// `title_generation`, `tags_generation`, … or another.
    pub name: String,
    /// Its body.
    pub body: Option<Value>,
    /// What later versions of the contract add, an object.
    pub extra: Option<Value>,
}

/// The conversation as the client sent it.
pub fn messages() -> Vec<Message> {
    imported::messages()
}

/// The model that the turn is for, an object with at least `id`; `None` outside a turn.
pub fn model() -> Option<Value> {
    imported::model().map(|json| value(&json))
}

/// Files that came with the request, an array.
pub fn files() -> Value {
    value(&imported::files())
}

/// Features that the request turned on, an object.
pub fn features() -> Value {
    value(&imported::features())
}

/// Prompt variables, an object.
pub fn variables() -> Value {
    value(&imported::variables())
}

/// BCP 47 tag of the person's language, where known.
pub fn locale() -> Option<String> {
    imported::locale()
}

/// What else came with the request, an object.
pub fn metadata() -> Value {
    value(&imported::metadata())
}

/// What the call is for, where it is not a chat.
pub fn task() -> Option<Task> {
    let parsed = |json: Option<String>| json.map(|json| value(&json));
    imported::task().map(|task| Task { name: task.name, body: parsed(task.body), extra: parsed(task.extra) })
}

/// The text that a blob of this turn stands for.
///
/// # Errors
/// [`Error::Invalid`] for a blob that is not of this turn; [`Error::Unavailable`] where it did not come whole.
pub async fn read_blob(blob: &Blob) -> Result<Vec<u8>, Error> {
    let (bytes, end) = imported::read_blob(&blob.id)?;
    whole(bytes, end).await
}

/// The host gives JSON; what is none is null.
fn value(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or(Value::Null)
}
