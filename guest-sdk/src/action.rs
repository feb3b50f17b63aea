//! Actions on a message: the trait that `#[actions]` implements, and what an action may return.

pub use crate::bindings::innkeeper::types::actions::{ActionResult, MessageChange};
use crate::bindings::innkeeper::types::manifest::ActionDescription;
use crate::{Invocation, Plugin, PluginError, StoredMessage, ToolContent};

/// A plugin's actions. Made by `#[actions]` on an `impl` block.
#[expect(async_fn_in_trait, reason = "guests have one thread")]
pub trait Action: Plugin {
    /// What the manifest says of them.
    fn actions() -> Vec<ActionDescription>;

    /// Runs the action `id` on the chat's messages; the last is the one that it was asked for.
    async fn run(
        &self,
        invocation: Invocation,
        id: &str,
        messages: Vec<StoredMessage>,
    ) -> Result<Option<ActionResult>, PluginError>;
}

impl<T: Action> crate::bindings::action::Guest for T {
    async fn run(
        invocation: Invocation,
        id: String,
        messages: Vec<StoredMessage>,
    ) -> Result<Option<ActionResult>, PluginError> {
        Action::run(T::instance(), invocation, &id, messages).await
    }
}

impl ActionResult {
    /// Shows `content` beside the message.
    pub fn show(content: ToolContent) -> Self {
        Self { messages: Vec::new(), content: vec![content], extra: None }
    }

    /// Gives a message new text.
    pub fn change(message: impl Into<String>, content: impl Into<String>) -> Self {
        let change = MessageChange { message: message.into(), content: content.into() };
        Self { messages: vec![change], content: Vec::new(), extra: None }
    }
}

/// What an action may return.
#[diagnostic::on_unimplemented(
    message = "an action cannot return `{Self}`",
    label = "not the result of an action",
    note = "return `()`, an `ActionResult`, an `Option` of it, or a `Result` of one of these"
)]
pub trait ActionOutput {
    /// The result as the contract has it.
    ///
    /// # Errors
    /// What the action returned.
    fn output(self) -> Result<Option<ActionResult>, PluginError>;
}

impl ActionOutput for () {
    fn output(self) -> Result<Option<ActionResult>, PluginError> {
        Ok(None)
    }
}

impl ActionOutput for ActionResult {
    fn output(self) -> Result<Option<ActionResult>, PluginError> {
        Ok(Some(self))
    }
}

impl ActionOutput for Option<ActionResult> {
    fn output(self) -> Result<Option<ActionResult>, PluginError> {
        Ok(self)
    }
}

impl<T: ActionOutput, E: Into<PluginError>> ActionOutput for Result<T, E> {
    fn output(self) -> Result<Option<ActionResult>, PluginError> {
        self.map_err(Into::into)?.output()
    }
}
