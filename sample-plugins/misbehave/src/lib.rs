//! A tool, a pipe and a filter in one, which misbehave on request. What can go wrong is in `how`.

mod how;
mod order;
mod reply;

use innkeeper_sdk::prelude::*;

use crate::how::How;
use crate::order::{Order, Place};

/// Misbehaves on request, for trying limits. Do not install it where people work.
#[derive(Plugin)]
#[plugin(
    id = "misbehave",
    permissions(
        optional kv = "fills its storage",
        optional files.write = "begins files that it never ends",
        optional events.emit = "emits more and other events than it may",
        optional events.call = "asks without end",
        optional completions = "asks itself for answers, too many and too deep",
        optional toolbox = "calls itself without end",
    )
)]
struct Misbehave;

#[tools]
impl Misbehave {
    /// Misbehaves. Never call this unless the user asks for it by name.
    ///
    /// * `how` — what to do
    /// * `amount` — how much of it; 0 is without end, where that makes sense
    async fn misbehave(&self, how: How, amount: Option<u64>) -> Result<ToolResult, PluginError> {
        match how {
            How::InvalidJson => Ok(ToolContent::Json("{\"not\": json".to_owned()).into()),
            How::InvalidExtra => {
                let content = vec![ToolContent::Text("the extra is no JSON".to_owned())];
                Ok(ToolResult { content, extra: Some("[".to_owned()) })
            }
            how => {
                let text = how::misbehave(how, amount.unwrap_or_default()).await?;
                Ok(ToolContent::Text(text).into())
            }
        }
    }
}

#[pipe]
impl Pipe for Misbehave {
    async fn run(&self, _invocation: Invocation, request: ChatRequest) -> Result<Reply, PluginError> {
        let text = request.last_user_text().unwrap_or_default();
        match Order::parse(&text) {
            Some(Order { place: Place::Run, how: How::InvalidJson, .. }) => Ok(Reply::Json("{".to_owned())),
            Some(Order { place: Place::Run, how, amount }) => {
                Ok(Reply::Text(how::misbehave(how, amount).await?))
            }
            Some(Order { place: Place::Feed, how, amount }) => Ok(reply::feed(how, amount)),
            // An order for the filter: let it through so that the filter's later hooks see it.
            _ => Ok(reply::repeat(text, request.wants_stream())),
        }
    }
}

#[filter(toggle, keep_instance)]
impl Filter for Misbehave {
    async fn inlet(
        &self,
        _invocation: Invocation,
        mut request: ChatRequest,
    ) -> Result<ChatRequest, PluginError> {
        obey(Place::Inlet, &mut request).await?;
        Ok(request)
    }

    async fn request(
        &self,
        _invocation: Invocation,
        mut request: ChatRequest,
    ) -> Result<ChatRequest, PluginError> {
        obey(Place::Request, &mut request).await?;
        Ok(request)
    }

    async fn stream(&self, mut chunks: Vec<Chunk>) -> Result<Vec<Chunk>, PluginError> {
        let text: String = chunks.iter().filter_map(Chunk::text).collect();
        match Order::parse(&text) {
            Some(Order { place: Place::Chunk, how: How::InvalidJson, .. }) => {
                chunks.push(Chunk::Raw("{".to_owned()))
            }
            Some(Order { place: Place::Chunk, how: How::ManyChunks, amount }) => {
                chunks.extend((0..amount).map(|number| Chunk::Text(number.to_string())));
            }
            Some(Order { place: Place::Chunk, how, amount }) => {
                chunks.push(Chunk::Text(how::misbehave(how, amount).await?));
            }
            _ => {}
        }
        Ok(chunks)
    }

    async fn outlet(
        &self,
        _invocation: Invocation,
        mut messages: Vec<StoredMessage>,
    ) -> Result<Vec<StoredMessage>, PluginError> {
        let Some(last) = messages.last_mut() else { return Ok(messages) };
        match Order::parse(&last.content) {
            Some(Order { place: Place::Outlet, how: How::InvalidJson, .. }) => {
                last.extra = Some("{".to_owned())
            }
            Some(Order { place: Place::Outlet, how, amount }) => {
                last.content = how::misbehave(how, amount).await?
            }
            _ => {}
        }
        Ok(messages)
    }
}

async fn obey(place: Place, request: &mut ChatRequest) -> Result<(), PluginError> {
    let text = request.last_user_text().unwrap_or_default();
    match Order::parse(&text) {
        Some(Order { place: at, how: How::InvalidJson, .. }) if at == place => {
            request.params = "{".to_owned()
        }
        Some(Order { place: at, how, amount }) if at == place => {
            let text = how::misbehave(how, amount).await?;
            request.messages.push(Message::system(text));
        }
        _ => {}
    }
    Ok(())
}
