//! Every import of the contract by its name, with arguments and results as JSON.
//!
//! Arguments have the contract's names with `_` for `-`; records are objects, variants `"Case"` or `{"Case": payload}` in camel case.

use std::future::Future;

use innkeeper_sdk::bindings::innkeeper::plugin::{
    chat_messages, chats, completions, config, context, events, files, kv, log, memories, toolbox, users,
};
use innkeeper_sdk::bindings::innkeeper::types::chat_request::Chunk;
use innkeeper_sdk::bindings::innkeeper::types::common::{Error, ErrorCode};
use innkeeper_sdk::bindings::innkeeper::types::files::NewFile;
use innkeeper_sdk::bindings::wit_stream;
use innkeeper_sdk::serde::Serialize;
use innkeeper_sdk::serde::de::DeserializeOwned;
use innkeeper_sdk::serde_json::{self, Value, json};
use innkeeper_sdk::{FutureReader, StreamReader, StreamResult, StreamWriter};

/// Why there is no value.
enum Fault {
    /// The host refused.
    Host(Error),
    /// The order makes no sense.
    Order(String),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Host(error)
    }
}

/// Makes the call and says what came of it.
pub(crate) async fn perform(import: &str, args: &Value) -> Value {
    match call(import, &Args(args)).await {
        Ok(value) => json!({ "ok": value }),
        Err(Fault::Host(error)) => json!({ "error": describe(&error) }),
        Err(Fault::Order(what)) => json!({ "bad": what }),
    }
}

struct Args<'a>(&'a Value);

impl Args<'_> {
    fn get<T: DeserializeOwned>(&self, name: &str) -> Result<T, Fault> {
        let value = self.0.get(name).cloned().unwrap_or(Value::Null);
        serde_json::from_value(value).map_err(|error| Fault::Order(format!("argument `{name}`: {error}")))
    }

    /// Bytes as text, or `size` bytes of nothing.
    fn bytes(&self, name: &str) -> Result<Vec<u8>, Fault> {
        match self.get::<Option<String>>(name)? {
            Some(text) => Ok(text.into_bytes()),
            None => Ok(vec![b'.'; self.get::<Option<usize>>("size")?.unwrap_or_default()]),
        }
    }
}

async fn call(import: &str, args: &Args<'_>) -> Result<Value, Fault> {
    match import {
        "users.me" => value(users::me()).await,
        "users.get" => value(users::get(args.get("id")?)).await,
        "users.get-many" => value(users::get_many(args.get("ids")?)).await,
        "users.list" => value(users::list(args.get("name")?, args.get("page")?)).await,

        "chats.get" => value(chats::get(args.get("id")?)).await,
        "chats.list" => value(chats::list(args.get("filter")?, args.get("page")?)).await,
        "chats.create" => value(chats::create(args.get("chat")?)).await,
        "chats.update" => {
            value(chats::update(args.get("id")?, args.get("change")?, args.get("version")?)).await
        }
        "chats.delete" => value(chats::delete(args.get("id")?)).await,

        "chat-messages.get" => value(chat_messages::get(args.get("chat")?, args.get("id")?)).await,
        "chat-messages.list" => value(chat_messages::list(args.get("chat")?, args.get("page")?)).await,
        "chat-messages.branch" => value(chat_messages::branch(args.get("chat")?, args.get("leaf")?)).await,
        "chat-messages.append" => value(chat_messages::append(args.get("chat")?, args.get("message")?)).await,
        "chat-messages.update" => {
            let (chat, id) = (args.get("chat")?, args.get("id")?);
            value(chat_messages::update(chat, id, args.get("change")?, args.get("version")?)).await
        }

        "files.get" => value(files::get(args.get("id")?)).await,
        "files.list" => value(files::list(args.get("name")?, args.get("page")?)).await,
        "files.read" => {
            let (bytes, end) = files::read(args.get("id")?).await?;
            read(bytes, end, args.get("stop_after")?).await
        }
        "files.create" => create_file(args).await,
        "files.delete" => value(files::delete(args.get("id")?)).await,

        "memories.get" => value(memories::get(args.get("id")?)).await,
        "memories.list" => value(memories::list(args.get("page")?)).await,
        "memories.add" => value(memories::add(args.get("content")?)).await,
        "memories.update" => {
            value(memories::update(args.get("id")?, args.get("content")?, args.get("version")?)).await
        }
        "memories.delete" => value(memories::delete(args.get("id")?)).await,

        "config.valves" => Ok(text_of_json(&config::valves())),
        "config.user-valves" => Ok(text_of_json(&config::user_valves())),
        "config.get" => value(config::get(args.get("key")?)).await,

        "kv.get" => value(kv::get(args.get("scope")?, args.get("key")?)).await,
        "kv.set" => {
            value(kv::set(args.get("scope")?, args.get("key")?, args.bytes("value")?, args.get("ttl")?)).await
        }
        "kv.put-if" => {
            let (scope, key, bytes) = (args.get("scope")?, args.get("key")?, args.bytes("value")?);
            value(kv::put_if(scope, key, bytes, args.get("expected")?, args.get("ttl")?)).await
        }
        "kv.increment" => {
            value(kv::increment(args.get("scope")?, args.get("key")?, args.get("by")?, args.get("ttl")?))
                .await
        }
        "kv.delete" => value(kv::delete(args.get("scope")?, args.get("key")?)).await,
        "kv.keys" => value(kv::keys(args.get("scope")?, args.get("prefix")?, args.get("page")?)).await,

        "events.emit" => value(events::emit(args.get("event")?)).await,
        "events.call" => value(events::call(args.get("question")?)).await,

        "completions.models" => value(completions::models()).await,
        "completions.complete" => value(completions::complete(args.get("request")?)).await,
        "completions.stream" => stream(args).await,
        "completions.embed" => value(completions::embed(args.get("model")?, args.get("texts")?)).await,

        "toolbox.list" => value(toolbox::list()).await,
        "toolbox.call" => {
            let arguments = match args.get::<Value>("arguments")? {
                Value::String(text) => text,
                other => other.to_string(),
            };
            value(toolbox::call(args.get("plugin")?, args.get("name")?, arguments)).await
        }

        "context.messages" => Ok(json!(context::messages())),
        "context.model" => Ok(context::model().map_or(Value::Null, |json| text_of_json(&json))),
        "context.files" => Ok(text_of_json(&context::files())),
        "context.features" => Ok(text_of_json(&context::features())),
        "context.variables" => Ok(text_of_json(&context::variables())),
        "context.locale" => Ok(json!(context::locale())),
        "context.metadata" => Ok(text_of_json(&context::metadata())),
        "context.task" => Ok(json!(context::task())),
        "context.read-blob" => {
            let (bytes, end) = context::read_blob(&args.get::<String>("id")?)?;
            read(bytes, end, args.get("stop_after")?).await
        }

        "log.log" => {
            let fields: Vec<(String, String)> = args.get::<Option<_>>("fields")?.unwrap_or_default();
            log::log(args.get("level")?, &args.get::<String>("message")?, &fields);
            Ok(Value::Null)
        }

        // Not an import, but what a guest sees of the system.
        "wasi.now" => {
            #[allow(clippy::disallowed_methods, reason = "what the guest's clock says is what is tested")]
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            Ok(json!(now.map(|since| since.as_millis() as u64).unwrap_or_default()))
        }
        "wasi.sleep" => {
            std::thread::sleep(std::time::Duration::from_millis(args.get("milliseconds")?));
            Ok(Value::Null)
        }
        "wasi.random" => {
            use std::hash::{BuildHasher, RandomState};
            Ok(json!(RandomState::new().hash_one(0)))
        }
        "wasi.udp" => Ok(refusal(std::net::UdpSocket::bind(args.get::<String>("address")?))),
        "wasi.listen" => Ok(refusal(std::net::TcpListener::bind(args.get::<String>("address")?))),
        "spin" => loop {
            std::hint::spin_loop();
        },
        _ => Err(Fault::Order(format!("there is no import `{import}`"))),
    }
}

/// Why the system refused; null where it did not.
fn refusal<T>(result: std::io::Result<T>) -> Value {
    result.err().map_or(Value::Null, |error| json!(error.kind().to_string()))
}

async fn value<T: Serialize>(call: impl Future<Output = Result<T, Error>>) -> Result<Value, Fault> {
    let value = call.await?;
    serde_json::to_value(value).map_err(|error| Fault::Order(error.to_string()))
}

/// JSON as the host wrote it; what does not parse is shown as text so that a test sees it.
fn text_of_json(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_else(|error| json!({ "not_json": json, "why": error.to_string() }))
}

/// Reads a byte stream to its end, or drops it after `stop_after` bytes.
async fn read(
    mut bytes: StreamReader<u8>,
    end: FutureReader<Result<(), Error>>,
    stop_after: Option<usize>,
) -> Result<Value, Fault> {
    let mut read = Vec::new();
    let (mut chunks, limit) = (0, stop_after.unwrap_or(usize::MAX));
    while read.len() < limit {
        let (status, more) = bytes.read(Vec::with_capacity(64 << 10)).await;
        if more.is_empty() && !matches!(status, StreamResult::Complete(_)) {
            break;
        }
        chunks += 1;
        read.extend(more);
    }
    let end = if stop_after.is_some() {
        drop(bytes);
        Value::Null
    } else {
        match end.await {
            Ok(()) => json!("whole"),
            Err(error) => json!({ "error": describe(&error) }),
        }
    };
    Ok(json!({ "size": read.len(), "text": String::from_utf8_lossy(&read), "pieces": chunks, "end": end }))
}

/// `data` or `size` bytes in pieces of `piece`; with `stop_after`, drops the call when so many have been written.
async fn create_file(args: &Args<'_>) -> Result<Value, Fault> {
    let file: NewFile = args.get("file")?;
    let bytes = args.bytes("data")?;
    let piece = args.get::<Option<usize>>("piece")?.unwrap_or(64 << 10).max(1);
    let stop_after: Option<usize> = args.get("stop_after")?;
    let (mut writer, reader) = wit_stream::new::<u8>();
    let store = std::pin::pin!(files::create(file, reader));
    if stop_after.is_some() {
        // The feed ends first while its writer is still open; the call is dropped half-way.
        let feed = std::pin::pin!(write(&mut writer, &bytes, piece, stop_after));
        return match futures::future::select(store, feed).await {
            futures::future::Either::Left((stored, _)) => value(async { stored }).await,
            futures::future::Either::Right((written, _)) => Ok(json!({ "dropped_after": written })),
        };
    }
    let feed = async move {
        write(&mut writer, &bytes, piece, None).await;
    };
    let (stored, ()) = futures::join!(store, feed);
    value(async { stored }).await
}

async fn write(
    writer: &mut StreamWriter<u8>,
    bytes: &[u8],
    piece: usize,
    stop_after: Option<usize>,
) -> usize {
    let mut written = 0;
    for piece in bytes.chunks(piece) {
        if stop_after.is_some_and(|stop| written >= stop)
            || !writer.write_all(piece.to_vec()).await.is_empty()
        {
            break;
        }
        written += piece.len();
    }
    written
}

/// Reads an answer to its end, or drops it after `stop_after` chunks.
async fn stream(args: &Args<'_>) -> Result<Value, Fault> {
    let mut reader = completions::stream(args.get("request")?).await?;
    let limit = args.get::<Option<usize>>("stop_after")?.unwrap_or(usize::MAX);
    let mut chunks: Vec<Chunk> = Vec::new();
    while chunks.len() < limit {
        let Some(chunk) = reader.next().await else { break };
        chunks.push(chunk);
    }
    let ended = matches!(chunks.last(), Some(Chunk::Finish(_) | Chunk::Failed(_)));
    Ok(json!({ "chunks": chunks, "ended": ended }))
}

fn describe(error: &Error) -> Value {
    let code = match &error.code {
        ErrorCode::Denied => "denied",
        ErrorCode::QuotaExceeded => "quota-exceeded",
        ErrorCode::Invalid => "invalid",
        ErrorCode::Conflict => "conflict",
        ErrorCode::Unavailable => "unavailable",
        ErrorCode::Timeout => "timeout",
        ErrorCode::Cancelled => "cancelled",
        ErrorCode::Other(code) => code,
    };
    json!({
        "code": code,
        "message": error.message,
        "subject": error.subject,
        "retry_after": error.retry_after,
        "may_have_happened": error.may_have_happened,
        "details": error.details,
    })
}
