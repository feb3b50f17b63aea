//! The same checks from every place that a plugin has: exports, a stream that is fed, background work.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use innkeeper_host::LiveGrants;
use innkeeper_host::turn::ChildAsk;
use innkeeper_model::chat_message::StoredMessage;
use innkeeper_model::chat_request::Content;
use innkeeper_model::chunk::Chunk;
use innkeeper_model::kv::KvScope;
use innkeeper_model::permission::Grants;
use innkeeper_model::time::Clock;
use innkeeper_model::{Permission, PluginId};
use innkeeper_sandbox::{Answer, Ask};
use innkeeper_store::{FileStorage, LocalFiles, Store, StoredBytes};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::contract::answer;
use crate::world::{World, json_of, read_chunks, request, tool};

const PLACES: &[&str] =
    &["call", "run", "feed", "inlet", "request", "stream", "outlet", "action", "job", "background"];

pub(crate) fn message(content: &str) -> StoredMessage {
    StoredMessage::new("m".into(), "c".into(), "user", content)
}

/// What `probe` saw of an import from a place.
async fn from_place(world: &World, place: &str, import: &str, args: Value, granted: &[Permission]) -> Value {
    let probe = world.load("probe").await;
    let mut args = args;
    if place == "background" {
        args["report"] = "report".into();
    }
    let at = if place == "action" { "call" } else { place };
    let order = json!({"import": import, "args": args, "place": at});
    let text = order.to_string();
    let ask = match place {
        "call" | "background" => tool("call", order.clone()),
        "run" | "feed" => Ask::Run(request(&text)),
        "inlet" => Ask::Inlet(request(&text)),
        "request" => Ask::Request(request(&text)),
        "stream" => Ask::Stream(vec![Chunk::Text(text.clone())]),
        "outlet" => Ask::Outlet(vec![message(&text)]),
        "action" => Ask::Action { id: "probe".into(), messages: vec![message(&text)] },
        "job" => Ask::Job("probe".into()),
        other => panic!("{other}"),
    };
    let valves =
        json!({"job": json!({"import": import, "args": args, "place": "call"}).to_string()}).to_string();
    let call = world.call(&probe).grant(granted).grant(&[Permission::Kv]).valves(&valves);
    let (delivery, running) = call.start(ask).await;
    let reading = async {
        let answer = delivery.await.unwrap();
        let parse = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| panic!("{place}: {text}"));
        match answer {
            Ok(Answer::Tool(result)) => json_of(result),
            Ok(Answer::Action(result)) => {
                json_of(innkeeper_model::tool::ToolResult { content: result.unwrap().content })
            }
            Ok(Answer::Request(request)) => {
                match request.messages.last().unwrap().content.as_ref().unwrap() {
                    Content::Text(text) => parse(text),
                    other => panic!("{other:?}"),
                }
            }
            Ok(Answer::Chunks(chunks)) => match chunks.last().unwrap() {
                Chunk::Text(text) => parse(text),
                other => panic!("{other:?}"),
            },
            Ok(Answer::Messages(messages)) => parse(&messages[0].content),
            Ok(Answer::Reply(innkeeper_sandbox::Reply::Text(text))) => parse(&text),
            Ok(reply @ Answer::Reply(_)) => match &read_chunks(reply).await.unwrap()[1] {
                Chunk::Text(text) => parse(text),
                other => panic!("{other:?}"),
            },
            Ok(Answer::Done) => json!({"ok": "done"}),
            Ok(other) => panic!("{other:?}"),
            // A job fails where its import did.
            Err(error) => json!({"error": {"code": error.to_string()}}),
        }
    };
    let (_, answer) = tokio::join!(running, reading);
    if place != "background" {
        return answer;
    }
    assert_eq!(answer["ok"], "later");
    reported(world).await.expect("the background work has reported")
}

/// What background work left in its storage.
async fn reported(world: &World) -> Option<Value> {
    let scope = KvScope::User(PluginId::parse("guest").unwrap(), world.ada().clone());
    let entry = world.store.kv().get(&scope, "report").await.unwrap()?;
    Some(serde_json::from_slice(&entry.value).unwrap())
}

#[tokio::test]
async fn grants_are_checked_in_every_place() {
    let world = World::new().await;
    for place in PLACES {
        let denied = from_place(&world, place, "users.me", json!({}), &[]).await;
        assert!(
            denied["error"]["code"].as_str().is_some_and(|code| code.contains("denied")),
            "{place} {denied}"
        );
        let granted = from_place(&world, place, "users.me", json!({}), &[Permission::UsersRead]).await;
        assert!(granted["ok"]["name"] == "Ada" || granted["ok"] == "done", "{place} {granted}");
    }
}

#[tokio::test]
async fn a_plugin_calls_another_from_every_place() {
    let world = World::new().await;
    world.script.on_request(answer);
    for place in PLACES {
        let args = json!({"plugin": "other", "name": "n", "arguments": {}});
        let called = from_place(&world, place, "toolbox.call", args, &[Permission::Toolbox]).await;
        assert!(called["ok"]["content"].is_array() || called["ok"] == "done", "{place} {called}");
        let args = json!({"request": {"model": "m", "tools": [], "params": "{}", "messages": []}});
        let read = from_place(&world, place, "completions.stream", args, &[Permission::Completions]).await;
        assert!(read["ok"]["ended"] == true || read["ok"] == "done", "{place} {read}");
    }
    world.assert_idle(16).await;
}

#[tokio::test]
async fn a_grant_that_is_revoked_while_the_call_runs_is_gone_at_the_next_import() {
    let world = World::new().await;
    let probe = world.load("probe").await;
    for revoke in [false, true] {
        let args = json!({"report": "report", "request": {"model": "m", "tools": [], "params": "{}", "messages": []}});
        let order = json!({"import": "completions.complete", "args": args, "place": "background"});
        let call = world.call(&probe).grant(&[Permission::Completions, Permission::Kv]);
        let grants = call.grants();
        // The plugin waits for a model; meanwhile everything is taken from it, and then the model answers.
        world.script.on_request(move |request| {
            if revoke {
                grants.set(Grants::default());
            }
            answer(request);
        });
        call.tool("call", order).await.0.unwrap();
        assert_eq!(reported(&world).await.is_none(), revoke);
        let scope = KvScope::User(PluginId::parse("guest").unwrap(), world.ada().clone());
        world.store.kv().delete(&scope, "report").await.unwrap();
    }
}

#[tokio::test]
async fn a_stream_of_a_model_ends_where_the_grant_is_revoked() {
    let world = World::new().await;
    let probe = world.load("probe").await;
    let call = world.call(&probe).grant(&[Permission::Completions]);
    let grants = call.grants();
    let (ended, mut endings) = mpsc::unbounded_channel();
    world.script.on_request(move |request| {
        let ChildAsk::Stream(_, reply) = request.ask else { panic!("something else was asked") };
        let (sender, receiver) = mpsc::channel(1);
        reply.send(Ok(receiver)).unwrap();
        let (grants, ended) = (Arc::clone(&grants), ended.clone());
        tokio::spawn(async move {
            sender.send(Chunk::Text("one".into())).await.unwrap();
            // The guest has the first.
            let place = sender.reserve().await.unwrap();
            grants.set(Grants::default());
            place.send(Chunk::Text("two".into()));
            sender.closed().await;
            ended.send(()).unwrap();
        });
    });
    let args = json!({"request": {"model": "m", "tools": [], "params": "{}", "messages": []}});
    let read = call.limit("waiting", 2_000).probe("completions.stream", args).await;
    let chunks = read["ok"]["chunks"].as_array().unwrap();
    assert_eq!((chunks.len(), &chunks[0]), (2, &json!({"Text": "one"})), "{read}");
    assert!(chunks[1]["Failed"].as_str().unwrap().contains("denied `completions`"), "{read}");
    tokio::time::timeout(Duration::from_secs(5), endings.recv()).await.unwrap().unwrap();
}

/// Files whose second piece comes after the grant was revoked.
#[derive(Debug)]
struct Revokes {
    files: LocalFiles,
    grants: Arc<LiveGrants>,
}

#[async_trait::async_trait]
impl FileStorage for Revokes {
    async fn put(
        &self,
        id: &str,
        data: BoxStream<'_, io::Result<Bytes>>,
        max: u64,
    ) -> io::Result<StoredBytes> {
        self.files.put(id, data, max).await
    }

    async fn open(&self, _: &str) -> io::Result<BoxStream<'static, io::Result<Bytes>>> {
        let grants = Arc::clone(&self.grants);
        let second = stream::once(async move {
            grants.set(Grants::default());
            Ok(Bytes::from_static(b"second"))
        });
        Ok(stream::iter([Ok(Bytes::from_static(b"first "))]).chain(second).boxed())
    }

    async fn remove(&self, path: &str) -> io::Result<()> {
        self.files.remove(path).await
    }

    fn remove_now(&self, path: &str) {
        self.files.remove_now(path);
    }
}

#[tokio::test]
async fn a_file_that_is_read_ends_where_the_grant_is_revoked() {
    let mut world = World::new().await;
    let probe = world.load("probe").await;
    let call = world.call(&probe).grant(&[Permission::FilesRead, Permission::FilesWrite]);
    let grants = call.grants();
    drop(call);
    let directory = tempfile::tempdir().unwrap();
    let files = LocalFiles::new(directory.path().join("files")).unwrap();
    let storage = Revokes { files, grants: Arc::clone(&grants) };
    world.store = Store::new(world.store.pool().clone(), Clock::System, Arc::new(storage));
    let file = json!({"file": {"name": "n", "content_type": "text/plain"}, "data": "first second"});
    let call = || world.call(&probe).granted(&grants);
    let made = call().probe("files.create", file).await;
    let read = call().probe("files.read", json!({"id": made["ok"]["id"]})).await;
    assert_eq!(read["ok"]["text"], "first ", "{read}");
    assert_eq!(read["ok"]["end"]["error"]["subject"], "files.read", "{read}");
}

#[tokio::test]
async fn a_kept_instance_hears_of_a_revoked_grant() {
    let world = World::new().await;
    let probe = world.load("probe").await;
    let call = world.call(&probe).grant(&[Permission::UsersRead]);
    let grants = call.grants();
    let mut instance = call.instantiate().await.map_err(|(error, _)| error).unwrap();
    let order = json!({"import": "users.me", "place": "stream"}).to_string();
    let mut ask = async || match instance.hook(Ask::Stream(vec![Chunk::Text(order.clone())])).await {
        Ok(Answer::Chunks(chunks)) => match chunks.last().unwrap() {
            Chunk::Text(text) => text.clone(),
            other => panic!("{other:?}"),
        },
        Ok(other) => panic!("{other:?}"),
        Err(error) => error.to_string(),
    };
    assert!(ask().await.contains("Ada"));
    grants.set(Grants::default());
    assert!(ask().await.contains("denied"));
    grants.end();
    assert_eq!(ask().await, "the call was cancelled");
}
