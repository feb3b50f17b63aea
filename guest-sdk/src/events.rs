//! What the plugin shows to the person and asks of them. Permissions `events.emit` and `events.call`.

use serde::Serialize;

use crate::bindings::innkeeper::plugin::events as imported;
pub use crate::bindings::innkeeper::types::events::{
    Answer, Confirmation, Embeds, Event, FileLink, Input, Notification, NotificationLevel, OtherEvent,
    Question, Source, SourceDocument, Status,
};
use crate::{Error, files};

/// Shows something.
///
/// # Errors
/// [`Error::Denied`], [`Error::Invalid`], [`Error::QuotaExceeded`], here and in the other functions that show.
pub async fn emit(event: Event) -> Result<(), Error> {
    Ok(imported::emit(event).await?)
}

/// Shows a line of progress.
///
/// # Errors
/// As [`emit`].
pub async fn status(description: impl Into<String>) -> Result<(), Error> {
    emit(Event::Status(Status { description: description.into(), done: false, hidden: false, extra: None }))
        .await
}

/// Shows the last line of progress.
///
/// # Errors
/// As [`emit`].
pub async fn done(description: impl Into<String>) -> Result<(), Error> {
    emit(Event::Status(Status { description: description.into(), done: true, hidden: false, extra: None }))
        .await
}

/// Appends text to the message.
///
/// # Errors
/// As [`emit`].
pub async fn message(text: impl Into<String>) -> Result<(), Error> {
    emit(Event::Message(text.into())).await
}

/// Puts text in the message's place.
///
/// # Errors
/// As [`emit`].
pub async fn replace(text: impl Into<String>) -> Result<(), Error> {
    emit(Event::Replace(text.into())).await
}

/// Shows a note that goes away.
///
/// # Errors
/// As [`emit`].
pub async fn notify(level: NotificationLevel, content: impl Into<String>) -> Result<(), Error> {
    emit(Event::Notification(Notification { level, content: content.into() })).await
}

/// Links files to the message.
///
/// # Errors
/// As [`emit`].
pub async fn files(links: Vec<FileLink>) -> Result<(), Error> {
    emit(Event::Files(links)).await
}

/// Names a source of the message.
///
/// # Errors
/// As [`emit`].
pub async fn source(source: Source) -> Result<(), Error> {
    emit(Event::Source(source)).await
}

/// Shows documents or addresses in frames. HTML needs the permission `events.html`.
///
/// # Errors
/// As [`emit`].
pub async fn embeds(items: Vec<String>) -> Result<(), Error> {
    emit(Event::Embeds(Embeds { items, replace: false })).await
}

/// Shows another title of the chat.
///
/// # Errors
/// As [`emit`].
pub async fn title(title: impl Into<String>) -> Result<(), Error> {
    emit(Event::Title(title.into())).await
}

/// Shows something of a type without a function here. Its type decides which permission it needs.
///
/// # Errors
/// As [`emit`].
pub async fn other(kind: &str, data: &impl Serialize) -> Result<(), Error> {
    let data = serde_json::to_string(data).map_err(|error| Error::invalid("data", error))?;
    emit(Event::Other(OtherEvent { kind: kind.to_owned(), data })).await
}

/// Asks for a yes. Closing the dialogue is a no.
///
/// # Errors
/// [`Error::Denied`], [`Error::Timeout`], [`Error::Cancelled`], [`Error::Unavailable`] where nobody is there to ask.
pub async fn confirm(title: impl Into<String>, message: impl Into<String>) -> Result<bool, Error> {
    let question = Question::Confirmation(Confirmation { title: title.into(), message: message.into() });
    Ok(ask(question).await? == Answer::Confirmed)
}

/// Asks for a line of text; `None` if the dialogue was closed.
///
/// # Errors
/// As [`confirm`].
pub async fn input(title: impl Into<String>, message: impl Into<String>) -> Result<Option<String>, Error> {
    match ask(Question::Input(Input::new(title, message))).await? {
        Answer::Text(text) => Ok(Some(text)),
        _ => Ok(None),
    }
}

/// Asks, and gives the answer as it came.
///
/// # Errors
/// As [`confirm`].
pub async fn ask(question: Question) -> Result<Answer, Error> {
    Ok(imported::call(question).await?)
}

impl Input {
    /// An empty field.
    pub fn new(title: impl Into<String>, message: impl Into<String>) -> Self {
        Self { title: title.into(), message: message.into(), placeholder: None, value: None, secret: false }
    }

    /// The same with a text to begin with.
    #[must_use]
    pub fn value(mut self, value: impl Into<String>) -> Self {
        self.value = Some(value.into());
        self
    }
}

impl From<&files::File> for FileLink {
    fn from(file: &files::File) -> Self {
        Self {
            kind: "file".to_owned(),
            url: format!("/api/v1/files/{}/content", file.id),
            id: Some(file.id.clone()),
            name: Some(file.name.clone()),
        }
    }
}
