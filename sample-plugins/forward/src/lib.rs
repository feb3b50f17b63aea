//! A pipe with several models, each of which is a model of the server.

use innkeeper_sdk::prelude::*;

/// Offers models of the server as its own.
#[derive(Plugin)]
#[plugin(
    id = "forward",
    permissions(completions = "passes requests on to models of the server"),
    valves = Settings
)]
struct Forward;

/// To which models.
#[valves]
struct Settings {
    /// Ids of the models to offer. Empty: all that the person may use, other pipes left out.
    models: Vec<String>,
    /// What to put in front of their names.
    prefix: String,
    /// A system prompt to put in front of each conversation; empty for none.
    system_prompt: String,
}

#[pipe]
impl Pipe for Forward {
    async fn models(&self, _invocation: Invocation) -> Result<ModelList, PluginError> {
        let settings: Settings = config::valves()?;
        let available = completions::models().await?;
        let offered = available.into_iter().filter(|model| settings.offers(&model.id, &model.kind));
        let models = offered.map(|model| Model::new(model.id, format!("{}{}", settings.prefix, model.name)));
        // Providers' lists change while the server runs.
        Ok(ModelList { models: models.collect(), cache_seconds: 60 })
    }

    async fn run(&self, _invocation: Invocation, mut request: ChatRequest) -> Result<Reply, PluginError> {
        let settings: Settings = config::valves()?;
        if !settings.models.is_empty() && !settings.models.contains(&request.model) {
            return Err(PluginError::rejected(format!("The model `{}` is not offered here.", request.model)));
        }
        if !settings.system_prompt.is_empty() {
            request.messages.insert(0, Message::system(settings.system_prompt));
        }
        if request.wants_stream() {
            let answer = completions::stream(request).await?;
            return Ok(chunks(async move |sender| answer.forward(sender).await));
        }
        let completion = completions::complete(request).await?;
        let text = completion.text();
        Ok(completion.extra.map_or(Reply::Text(text), Reply::Json))
    }
}

impl Settings {
    fn offers(&self, id: &str, kind: &str) -> bool {
        // Pipes may forward to here, which would go round in a circle.
        if self.models.is_empty() { kind != "pipe" } else { self.models.iter().any(|model| model == id) }
    }
}
