//! Tools that a model calls: the trait that `#[tools]` implements, and what a tool may return.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::innkeeper::types::manifest::ToolDescription;
use crate::bindings::innkeeper::types::tools::HtmlEmbed;
pub use crate::bindings::innkeeper::types::tools::{ToolContent, ToolResult};
use crate::{Invocation, Plugin, PluginError};

/// A plugin's tools. Made by `#[tools]` on an `impl` block.
#[expect(async_fn_in_trait, reason = "guests have one thread")]
pub trait Tool: Plugin {
    /// What the manifest says of them.
    fn tools() -> Vec<ToolDescription>;

    /// Calls the tool `name`. `arguments` is a JSON object.
    async fn call(
        &self,
        invocation: Invocation,
        name: &str,
        arguments: &str,
    ) -> Result<ToolResult, PluginError>;
}

impl<T: Tool> crate::bindings::tool::Guest for T {
    async fn call(
        invocation: Invocation,
        name: String,
        arguments: String,
    ) -> Result<ToolResult, PluginError> {
        Tool::call(T::instance(), invocation, &name, &arguments).await
    }
}

/// A value that the model gets as JSON.
#[derive(Clone, Debug)]
pub struct Json<T>(pub T);

/// HTML for the person, in a frame. Needs the permission `events.html`.
#[derive(Clone, Debug)]
pub struct Html {
    /// The document.
    pub html: String,
    /// What the model is told instead.
    pub summary: Option<String>,
}

/// What a tool may return.
#[diagnostic::on_unimplemented(
    message = "a tool cannot return `{Self}`",
    label = "not the result of a tool",
    note = "return `()`, text, a number, a `bool`, `Json(value)`, `Html`, a `ToolResult`, or a `Result` of one of these"
)]
pub trait ToolOutput {
    /// The result as the contract has it.
    ///
    /// # Errors
    /// What the tool returned, or why its value cannot be written as JSON.
    fn output(self) -> Result<ToolResult, PluginError>;
}

impl From<ToolContent> for ToolResult {
    fn from(content: ToolContent) -> Self {
        Self { content: vec![content], extra: None }
    }
}

impl ToolOutput for ToolResult {
    fn output(self) -> Result<ToolResult, PluginError> {
        Ok(self)
    }
}

impl ToolOutput for ToolContent {
    fn output(self) -> Result<ToolResult, PluginError> {
        Ok(self.into())
    }
}

impl ToolOutput for () {
    fn output(self) -> Result<ToolResult, PluginError> {
        Ok(ToolResult { content: Vec::new(), extra: None })
    }
}

impl ToolOutput for String {
    fn output(self) -> Result<ToolResult, PluginError> {
        Ok(ToolContent::Text(self).into())
    }
}

impl ToolOutput for &str {
    fn output(self) -> Result<ToolResult, PluginError> {
        self.to_owned().output()
    }
}

impl<T: Serialize> ToolOutput for Json<T> {
    fn output(self) -> Result<ToolResult, PluginError> {
        Ok(ToolContent::Json(serde_json::to_string(&self.0)?).into())
    }
}

impl ToolOutput for Html {
    fn output(self) -> Result<ToolResult, PluginError> {
        Ok(ToolContent::Html(HtmlEmbed { html: self.html, summary: self.summary, extra: None }).into())
    }
}

impl<T: ToolOutput, E: Into<PluginError>> ToolOutput for Result<T, E> {
    fn output(self) -> Result<ToolResult, PluginError> {
        self.map_err(Into::into)?.output()
    }
}

macro_rules! json_output {
    ($($of:ty),*) => {$(
        impl ToolOutput for $of {
            fn output(self) -> Result<ToolResult, PluginError> {
                Json(self).output()
            }
        }
    )*};
}

json_output!(bool, f32, f64, i8, i16, i32, i64, isize, u8, u16, u32, u64, usize, serde_json::Value);

/// What a tool may take as an argument: anything that can be read from JSON and has a JSON Schema.
#[diagnostic::on_unimplemented(
    message = "a tool cannot take `{Self}` as an argument",
    label = "no JSON value",
    note = "take text, a number, a `bool`, `Option`, `Vec`, or a type with `#[derive(Deserialize, JsonSchema)]`, both of which the SDK hands on as `serde` and `schemars`"
)]
pub trait Argument: DeserializeOwned + JsonSchema {}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned + JsonSchema> Argument for T {}

/// How a tool's arguments are described and read.
#[derive(Debug)]
pub struct Arguments<T> {
    /// Their JSON Schema.
    pub schema: fn() -> String,
    /// Reads them for the tool of a name.
    pub read: fn(&str, &str) -> Result<T, PluginError>,
}

impl<T: DeserializeOwned + JsonSchema> Arguments<T> {
    #[expect(clippy::new_without_default, reason = "only generated code calls it")]
    pub fn new() -> Self {
        Self { schema: crate::plugin::schema::<T>, read: arguments }
    }
}

fn arguments<T: DeserializeOwned>(tool: &str, json: &str) -> Result<T, PluginError> {
    serde_json::from_str(json).map_err(|error| PluginError::Failed(format!("arguments of `{tool}`: {error}")))
}

/// The host calls only tools of the manifest.
pub fn unknown(kind: &str, name: &str) -> PluginError {
    PluginError::Failed(format!("this plugin has no {kind} `{name}`"))
}
