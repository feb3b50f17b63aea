//! A tool call that a client makes.

use std::sync::Arc;

use innkeeper_model::json;
use innkeeper_model::tool::{ToolContent, ToolResult};
use innkeeper_model::{ChatId, MessageId, Permission, PluginId, Principal};
use innkeeper_registry::Plugin;
use innkeeper_sandbox::{Answer, Ask, Budget};
use serde_json::Value;

use crate::chat::check_turn_id;
use crate::dispatch::{Dispatch, NewTurn};
use crate::error::DispatchError;
use crate::scope::{Scope, answered};

/// What a client asks for.
#[derive(Clone, Debug)]
pub struct ToolTurn {
    /// For whom.
    pub principal: Principal,
    /// Whose tool.
    pub plugin: PluginId,
    /// Which tool.
    pub tool: String,
    /// An object that fits the tool's schema.
    pub arguments: Value,
    /// Id of the turn; a new UUID where `None`.
    pub turn_id: Option<String>,
    /// The chat that it belongs to.
    pub chat: Option<ChatId>,
    /// The message that it is called for.
    pub message: Option<MessageId>,
    /// BCP 47 tag.
    pub locale: Option<String>,
    /// Size of the request's body.
    pub body_bytes: u64,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolOutcome {
    /// The result.
    pub result: ToolResult,
    /// Id of the call, for its receipt.
    pub call: String,
    /// Id of the turn.
    pub turn: String,
}

impl Dispatch {
    /// Calls a tool. Its events are shown and not kept: a chat for which a client calls tools has its owner there.
    /// Dropping the future ends the call.
    pub async fn call_tool(&self, turn: ToolTurn) -> Result<ToolOutcome, DispatchError> {
        self.admit_turn(&turn.principal)?;
        check_turn_id(turn.turn_id.as_deref())?;
        self.check_chat(&turn.principal, turn.chat.as_ref(), turn.message.as_ref(), false).await?;
        let arguments = turn.arguments.to_string();
        let plugin = self.tool(&turn.plugin, &turn.tool, &arguments).await?;
        let mut new = NewTurn {
            chat: turn.chat,
            message: turn.message,
            locale: turn.locale,
            ..NewTurn::of(turn.principal)
        };
        new.id = turn.turn_id.unwrap_or(new.id);
        let id = new.id.clone();
        let ask = Ask::Tool { name: turn.tool, arguments };
        let (answer, call) =
            self.run(new, move |scope| one_call(scope, plugin, ask, turn.body_bytes)).await?;
        match answer {
            Answer::Tool(result) => Ok(ToolOutcome { result, call, turn: id }),
            _ => Err(DispatchError::Internal),
        }
    }

    /// Finds a tool and checks the arguments against its schema.
    pub(crate) async fn tool(
        &self,
        plugin: &PluginId,
        tool: &str,
        arguments: &str,
    ) -> Result<Arc<Plugin>, DispatchError> {
        let found = self.registry().resolve(plugin)?;
        if !found.manifest.tools.iter().any(|known| known.name == tool) {
            return Err(DispatchError::UnknownTool {
                plugin: plugin.clone(),
                tool: crate::error::shown(tool),
            });
        }
        let (value, _) = json::parse(arguments, json::MAX_VALUES)
            .map_err(|error| DispatchError::InvalidArguments(format!("arguments are not JSON: {error}")))?;
        let wrong = |problem: innkeeper_registry::ArgumentError| {
            DispatchError::InvalidArguments(crate::error::shown(&problem.to_string()))
        };
        found.check_arguments(tool, &value).map_err(wrong)?;
        Ok(found)
    }
}

/// A turn that is one call.
pub(crate) async fn one_call(
    scope: Arc<Scope>,
    plugin: Arc<Plugin>,
    ask: Ask,
    body_bytes: u64,
) -> Result<(Answer, String), DispatchError> {
    let permit = scope.admit(&plugin).await?;
    let budget = Budget::new(&plugin.limits, body_bytes);
    let started = scope.start(&plugin, None, budget, permit, ask).await?;
    let call = started.call.id().to_owned();
    let (answer, cut) = answered(&plugin, started).await?;
    cut.disarm();
    check_html(&plugin, &answer)?;
    Ok((answer, call))
}

/// HTML for the person's page needs its own permission, whichever way it comes.
fn check_html(plugin: &Plugin, answer: &Answer) -> Result<(), DispatchError> {
    let content = match answer {
        Answer::Tool(result) => &result.content,
        Answer::Action(Some(result)) => &result.content,
        _ => return Ok(()),
    };
    let shows_html = content.iter().any(|part| matches!(part, ToolContent::Html { .. }));
    if shows_html && plugin.grants.get().get(Permission::EventsHtml).is_none() {
        let problem = format!("its result holds HTML, which needs `{}`", Permission::EventsHtml);
        return Err(DispatchError::PluginFailed { plugin: plugin.id.clone(), message: problem });
    }
    Ok(())
}
