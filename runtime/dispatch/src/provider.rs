//! Upstream model providers: anything that speaks OpenAI's chat completions.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use innkeeper_model::chat_request::ChatRequest;
use innkeeper_model::chunk::Chunk;
use innkeeper_model::sse::{DONE, SseDecoder};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::answer::completion_pieces;
use crate::dispatch::Dispatch;
use crate::error::{DispatchError, shown};

/// A provider as an operator configures it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    /// A name for messages and lists.
    pub id: String,
    /// Up to and with `/v1`.
    pub base_url: String,
    /// Sent as a bearer token.
    #[serde(default, skip_serializing)]
    pub api_key: Option<String>,
    /// The models to offer; where there are none the provider is asked.
    #[serde(default)]
    pub models: Vec<String>,
}

/// For how long a provider's list is kept, and for how long it is left alone that could not give one.
const LIST_FOR: Duration = Duration::from_secs(60);
const FAILED_FOR: Duration = Duration::from_secs(10);
/// How long it may take to give a list, and vectors.
const LIST_WAIT: Duration = Duration::from_secs(5);
const EMBED_WAIT: Duration = Duration::from_secs(300);
/// Longest frame and longest answer, in bytes.
const FRAME_MAX: usize = 8 << 20;
const BODY_MAX: usize = 32 << 20;
const TOO_LONG: &str = "the answer has more than 32 MiB";

/// An upstream provider.
pub(crate) struct Provider {
    config: ProviderConfig,
    /// Those that the operator lists.
    fixed: Arc<[String]>,
    client: reqwest::Client,
    /// What it said of its models, and until when that counts.
    list: Mutex<Option<(Instant, Listed)>>,
}

/// The models of a provider, or why it could not be asked.
type Listed = Result<Arc<[String]>, DispatchError>;

/// An answer on its way. Dropping it ends the request.
pub(crate) struct Relayed {
    pub(crate) chunks: mpsc::Receiver<Result<Chunk, DispatchError>>,
    _relay: AbortOnDropHandle<()>,
}

impl Provider {
    pub(crate) fn new(config: ProviderConfig) -> Result<Self, DispatchError> {
        // An error means that the program has chosen one before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(Duration::from_secs(300))
            .redirect(reqwest::redirect::Policy::none())
            // The environment does not decide where the key goes.
            .no_proxy()
            .build()
            .map_err(|error| DispatchError::Provider {
                provider: config.id.clone(),
                status: None,
                message: error.to_string(),
            })?;
        let fixed = config.models.as_slice().into();
        Ok(Self { config, fixed, client, list: Mutex::default() })
    }

    pub(crate) fn id(&self) -> &str {
        &self.config.id
    }

    /// Ids of its models. Where it cannot say at present, those that it had when it last could.
    pub(crate) async fn models(&self, dispatch: &Dispatch) -> Result<Arc<[String]>, DispatchError> {
        if !self.fixed.is_empty() {
            return Ok(Arc::clone(&self.fixed));
        }
        // Held while the provider is asked: whoever else wants to know waits for the same answer.
        let mut list = self.list.lock().await;
        if let Some((until, models)) = &*list
            && *until > Instant::now()
        {
            return models.clone();
        }
        let (models, kept_for) = match self.ask_models(dispatch).await {
            Ok(models) => (Ok(models.into()), LIST_FOR),
            Err(error) => {
                tracing::warn!(provider = self.id(), %error, "a provider could not list its models");
                let last = list.take().and_then(|(_, models)| models.ok());
                (last.ok_or(error), FAILED_FOR)
            }
        };
        *list = Some((Instant::now() + kept_for, models.clone()));
        models
    }

    async fn ask_models(&self, dispatch: &Dispatch) -> Result<Vec<String>, DispatchError> {
        let request = self.request(reqwest::Method::GET, "models").timeout(LIST_WAIT);
        let text = self.on_io(dispatch, request).await?;
        let list: Value = serde_json::from_str(&text)
            .map_err(|error| self.wrong(&format!("its list is not JSON: {error}")))?;
        let ids = list.get("data").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        Ok(ids.iter().filter_map(|model| Some(model.get("id")?.as_str()?.to_owned())).collect())
    }

    /// Asks for an answer; returns once the provider has accepted the request. Sockets are read by a task of their own, away from guests.
    pub(crate) async fn chat(
        &self,
        dispatch: &Dispatch,
        request: ChatRequest,
    ) -> Result<Relayed, DispatchError> {
        let streamed = request.stream == Some(true);
        let body = request.to_json()?;
        let request = self
            .request(reqwest::Method::POST, "chat/completions")
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .body(body);
        let (begun, accepted) = tokio::sync::oneshot::channel();
        let (sender, chunks) = mpsc::channel(32);
        let id = self.config.id.clone();
        let relay = dispatch.io().spawn(relay(id, request, streamed, begun, sender));
        let relayed = Relayed { chunks, _relay: AbortOnDropHandle::new(relay) };
        accepted.await.unwrap_or(Err(DispatchError::Internal))?;
        Ok(relayed)
    }

    /// A vector for each text.
    pub(crate) async fn embed(
        &self,
        dispatch: &Dispatch,
        model: &str,
        texts: &[String],
    ) -> Result<Vec<Vec<f32>>, DispatchError> {
        let request = self
            .request(reqwest::Method::POST, "embeddings")
            .timeout(EMBED_WAIT)
            .json(&json!({ "model": model, "input": texts }));
        let text = self.on_io(dispatch, request).await?;
        #[derive(Deserialize)]
        struct Embeddings {
            data: Vec<Embedding>,
        }
        #[derive(Deserialize)]
        struct Embedding {
            embedding: Vec<f32>,
        }
        let embeddings: Embeddings = serde_json::from_str(&text)
            .map_err(|error| self.wrong(&format!("its vectors cannot be read: {error}")))?;
        if embeddings.data.len() != texts.len() {
            return Err(self.wrong(&format!(
                "{} vectors came for {} texts",
                embeddings.data.len(),
                texts.len()
            )));
        }
        Ok(embeddings.data.into_iter().map(|item| item.embedding).collect())
    }

    fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let request =
            self.client.request(method, format!("{}/{path}", self.config.base_url.trim_end_matches('/')));
        match &self.config.api_key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    async fn on_io(
        &self,
        dispatch: &Dispatch,
        request: reqwest::RequestBuilder,
    ) -> Result<String, DispatchError> {
        let id = self.config.id.clone();
        let task = dispatch.io().spawn(async move {
            let response = send(&id, request).await?;
            whole(&id, response).await
        });
        AbortOnDropHandle::new(task).await.unwrap_or(Err(DispatchError::Internal))
    }

    fn wrong(&self, message: &str) -> DispatchError {
        provider_error(&self.config.id, None, message)
    }
}

async fn relay(
    id: String,
    request: reqwest::RequestBuilder,
    streamed: bool,
    begun: tokio::sync::oneshot::Sender<Result<(), DispatchError>>,
    chunks: mpsc::Sender<Result<Chunk, DispatchError>>,
) {
    let response = match send(&id, request).await {
        Ok(response) => response,
        Err(error) => {
            // Nobody waits where the turn has ended.
            let _ = begun.send(Err(error));
            return;
        }
    };
    let _ = begun.send(Ok(()));
    let is_events = response
        .headers()
        .get(reqwest::header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    let ended = if streamed && is_events {
        relay_events(&id, response, &chunks).await
    } else {
        relay_whole(&id, response, &chunks).await
    };
    if let Err(error) = ended {
        let _ = chunks.send(Err(error)).await;
    }
}

async fn relay_whole(
    id: &str,
    response: reqwest::Response,
    chunks: &mpsc::Sender<Result<Chunk, DispatchError>>,
) -> Result<(), DispatchError> {
    let text = whole(id, response).await?;
    for chunk in completion_pieces(&text).map_err(|problem| provider_error(id, None, &problem))? {
        if chunks.send(Ok(chunk)).await.is_err() {
            break;
        }
    }
    Ok(())
}

async fn relay_events(
    id: &str,
    response: reqwest::Response,
    chunks: &mpsc::Sender<Result<Chunk, DispatchError>>,
) -> Result<(), DispatchError> {
    let mut decoder = SseDecoder::new(FRAME_MAX);
    let mut bytes = response.bytes_stream();
    let broken = |problem: String| provider_error(id, None, &problem);
    let (mut ended, mut size) = (false, 0_usize);
    while let Some(piece) = bytes.next().await {
        let piece =
            piece.map_err(|error| broken(format!("the answer broke off: {}", error.without_url())))?;
        size = size.saturating_add(piece.len());
        if size > BODY_MAX {
            return Err(broken(TOO_LONG.to_owned()));
        }
        for frame in decoder.push(&piece).map_err(|error| broken(error.to_string()))? {
            if frame.data == DONE {
                // Some providers leave the end out where they were cut by a limit of theirs.
                if !ended {
                    let _ = chunks
                        .send(Ok(Chunk::Finish {
                            choice: 0,
                            reason: "stop".to_owned(),
                            usage: None,
                            extra: None,
                        }))
                        .await;
                }
                return Ok(());
            }
            for chunk in Chunk::from_frame(&frame.data).map_err(|error| broken(error.to_string()))? {
                ended |= chunk.is_end();
                if chunks.send(Ok(chunk)).await.is_err() {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

async fn send(id: &str, request: reqwest::RequestBuilder) -> Result<reqwest::Response, DispatchError> {
    let response =
        request.send().await.map_err(|error| provider_error(id, None, &error.without_url().to_string()))?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let text = whole(id, response).await.unwrap_or_default();
    let message = serde_json::from_str::<Value>(&text).ok().and_then(|body| {
        let error = body.get("error")?;
        Some(error.get("message").and_then(Value::as_str).or(error.as_str())?.to_owned())
    });
    Err(provider_error(id, Some(status.as_u16()), &message.unwrap_or_else(|| "no reason given".to_owned())))
}

async fn whole(id: &str, response: reqwest::Response) -> Result<String, DispatchError> {
    let mut bytes = response.bytes_stream();
    let mut body = Vec::new();
    while let Some(piece) = bytes.next().await {
        let piece = piece.map_err(|error| provider_error(id, None, &error.without_url().to_string()))?;
        if body.len() + piece.len() > BODY_MAX {
            return Err(provider_error(id, None, TOO_LONG));
        }
        body.extend_from_slice(&piece);
    }
    String::from_utf8(body).map_err(|_| provider_error(id, None, "the answer is not UTF-8"))
}

fn provider_error(id: &str, status: Option<u16>, message: &str) -> DispatchError {
    DispatchError::Provider { provider: id.to_owned(), status, message: shown(message) }
}
