//! Makes any host call on request, from every place that a plugin has, and gives back what came of it as JSON.

mod import;
mod order;

use innkeeper_sdk::prelude::*;
use innkeeper_sdk::serde_json::{Value, json};

use crate::order::{Order, Place};

/// Makes host calls on request.
#[derive(Plugin)]
#[plugin(
    id = "probe",
    permissions(
        optional users.read = "is tested",
        optional email.read = "is tested",
        optional chats.read = "is tested",
        optional chats.write = "is tested",
        optional chat_messages.read = "is tested",
        optional chat_messages.write = "is tested",
        optional files.read = "is tested",
        optional files.write = "is tested",
        optional memories.read = "is tested",
        optional memories.write = "is tested",
        optional config.read = "is tested",
        optional kv = "is tested",
        optional kv.shared = "is tested",
        optional events.emit = "is tested",
        optional events.call = "is tested",
        optional events.html = "is tested",
        optional events.script = "is tested",
        optional events.other = "is tested",
        optional completions = "is tested",
        optional toolbox = "is tested",
        optional act_as_admin = "is tested",
    ),
    valves = Settings,
    user_valves = UserSettings,
)]
struct Probe;

/// Settings of the operator.
#[valves]
struct Settings {
    /// What the job does, or listing models: an order as JSON.
    job: String,
    /// A number, to see settings arrive.
    #[valve(default = 7)]
    number: i64,
}

/// Settings of a person.
#[valves]
struct UserSettings {
    /// A text, to see settings arrive.
    #[valve(default = "default")]
    text: String,
}

#[tools]
impl Probe {
    /// Makes a host call and returns what came of it.
    ///
    /// * `import` — the interface and function, such as `kv.get`
    /// * `args` — its arguments by name
    /// * `place` — `call`, or `background` to make it after the result has been delivered
    /// * `times` — how often, all at once
    async fn call(
        &self,
        invocation: Invocation,
        import: String,
        args: Option<Value>,
        place: Option<Place>,
        times: Option<usize>,
    ) -> Json<Value> {
        let order =
            Order { import, args: args.unwrap_or_default(), place: place.unwrap_or(Place::Call), times };
        if order.place == Place::Background {
            return Json(order.in_background(invocation));
        }
        Json(order.obey(&invocation).await)
    }

    /// Returns a document for the person's page.
    fn html(&self, html: String) -> Html {
        Html { html, summary: None }
    }

    /// Returns the invocation.
    #[tool(read_only)]
    fn invocation(&self, invocation: Invocation) -> Json<Invocation> {
        Json(invocation)
    }
}

#[pipe]
impl Pipe for Probe {
    async fn models(&self, invocation: Invocation) -> Result<ModelList, PluginError> {
        let settings: Settings = config::valves()?;
        let (mut cache_seconds, mut description) = (0, None);
        if let Some(order) = Order::parse(&settings.job).filter(|order| order.place == Place::Models) {
            order.obey(&invocation).await;
            cache_seconds = order.args["cache_seconds"].as_u64().unwrap_or_default() as u32;
            description = order.args["description"].as_str().map(str::to_owned);
        }
        let about = innkeeper_sdk::serde_json::to_string(&invocation)?;
        let model = |id: &str| Model {
            description: description.clone(),
            extra: Some(json!({ "invocation": about }).to_string()),
            ..Model::new(id, id)
        };
        Ok(ModelList { models: vec![model("one"), model("two")], cache_seconds })
    }

    async fn run(&self, invocation: Invocation, request: ChatRequest) -> Result<Reply, PluginError> {
        let Some(order) = Order::parse(&request.last_user_text().unwrap_or_default()) else {
            return Ok(Reply::Text(format!("{} has no order", request.model)));
        };
        match order.place {
            Place::Run => Ok(Reply::Text(order.obey(&invocation).await.to_string())),
            Place::Background => Ok(Reply::Text(order.in_background(invocation).to_string())),
            Place::Feed if order.import == "chunks" => Ok(chunks(async move |sender| {
                let pieces: Vec<Chunk> = innkeeper_sdk::serde_json::from_value(order.args["chunks"].clone())?;
                Ok(sender.send_all(pieces).await?)
            })),
            Place::Feed => Ok(chunks(async move |sender| {
                sender.text("before ").await?;
                sender.text(order.obey(&invocation).await.to_string()).await?;
                sender.text(" after").await?;
                Ok(())
            })),
            // An order for the filter: repeat it so that the later hooks see it.
            _ => {
                let text = request.last_user_text().unwrap_or_default();
                Ok(chunks(async move |sender| Ok(sender.text(text).await?)))
            }
        }
    }
}

#[filter(toggle, keep_instance)]
impl Filter for Probe {
    async fn inlet(
        &self,
        invocation: Invocation,
        mut request: ChatRequest,
    ) -> Result<ChatRequest, PluginError> {
        answer_in_request(Place::Inlet, &invocation, &mut request).await?;
        Ok(request)
    }

    async fn request(
        &self,
        invocation: Invocation,
        mut request: ChatRequest,
    ) -> Result<ChatRequest, PluginError> {
        answer_in_request(Place::Request, &invocation, &mut request).await?;
        Ok(request)
    }

    async fn stream(&self, mut chunks: Vec<Chunk>) -> Result<Vec<Chunk>, PluginError> {
        let text: String = chunks.iter().filter_map(Chunk::text).collect();
        if let Some(order) = Order::parse(&text).filter(|order| order.place == Place::Stream) {
            order.refuse()?;
            if order.import == "chunks" {
                let more: Vec<Chunk> = innkeeper_sdk::serde_json::from_value(order.args["chunks"].clone())?;
                chunks.extend(more);
                return Ok(chunks);
            }
            chunks.push(Chunk::Text(order.obey_alone().await.to_string()));
        }
        Ok(chunks)
    }

    async fn outlet(
        &self,
        invocation: Invocation,
        mut messages: Vec<StoredMessage>,
    ) -> Result<Vec<StoredMessage>, PluginError> {
        if let Some(last) = messages.last_mut()
            && let Some(order) = Order::parse(&last.content).filter(|order| order.place == Place::Outlet)
        {
            order.refuse()?;
            last.content = order.obey(&invocation).await.to_string();
        }
        Ok(messages)
    }
}

#[actions]
impl Probe {
    /// Probe.
    async fn probe(
        &self,
        invocation: Invocation,
        messages: Vec<StoredMessage>,
    ) -> Result<Option<ActionResult>, PluginError> {
        let Some(order) = messages.last().and_then(|message| Order::parse(&message.content)) else {
            return Ok(None);
        };
        if order.place == Place::Background {
            return Ok(Some(ActionResult::show(ToolContent::Json(
                order.in_background(invocation).to_string(),
            ))));
        }
        let answer = order.obey(&invocation).await;
        match order.args["then"].as_str() {
            Some("fail") => return Err(PluginError::failed("as ordered")),
            Some("wait") => std::thread::sleep(std::time::Duration::from_secs(60)),
            _ => {}
        }
        let mut result = ActionResult::show(ToolContent::Json(answer.to_string()));
        if let Some(html) = order.args["html"].as_str() {
            let html = Html { html: html.to_owned(), summary: None };
            result.content = innkeeper_sdk::ToolOutput::output(html)?.content;
        }
        result.extra = order.args["extra"].as_str().map(str::to_owned);
        if let Some(text) = order.args["change"].as_str() {
            let change = |message: &StoredMessage| ActionResult::change(&message.id, text).messages;
            result.messages = messages.iter().flat_map(change).collect();
        }
        Ok(Some(result))
    }
}

#[jobs]
impl Probe {
    /// Probe.
    #[job(id = "probe", schedule = "0 0 1 1 *")]
    async fn probe_job(&self, invocation: Invocation) -> Result<(), PluginError> {
        let settings: Settings = config::valves()?;
        let order = Order::parse(&settings.job).or_fail("the valve `job` holds no order")?;
        let answer = order.obey(&invocation).await;
        log::info(answer.to_string());
        if answer.get("error").is_some() { Err(PluginError::failed(answer.to_string())) } else { Ok(()) }
    }
}

/// Makes the call if it is for this hook, and leaves what came of it as a system prompt at the end; or sends the request to another model, or refuses.
async fn answer_in_request(
    place: Place,
    invocation: &Invocation,
    request: &mut ChatRequest,
) -> Result<(), PluginError> {
    let order = Order::parse(&request.last_user_text().unwrap_or_default());
    if let Some(order) = order.filter(|order| order.place == place) {
        order.refuse()?;
        if let Some(model) = order.args["model"].as_str().filter(|_| order.import == "request.model") {
            request.model = model.to_owned();
            return Ok(());
        }
        request.messages.push(Message::system(order.obey(invocation).await.to_string()));
    }
    Ok(())
}
