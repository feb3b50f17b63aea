//! Every import of the contract, with arguments that work and the permission that it needs.

use std::collections::BTreeSet;
use std::path::Path;

use futures::StreamExt;
use innkeeper_host::turn::{ChildAsk, ChildRequest, OfferedModel};
use innkeeper_model::authority::Authority;
use innkeeper_model::chat::NewChat;
use innkeeper_model::chat_message::NewMessage;
use innkeeper_model::chat_request::Completion;
use innkeeper_model::chunk::Chunk;
use innkeeper_model::file::NewFile;
use innkeeper_model::tool::ToolResult;
use innkeeper_model::{Permission, UserId};
use innkeeper_store::Store;
use serde_json::{Value, json};
use wit_parser::{Resolve, WorldItem};

/// An import with arguments that work, and what it needs beyond nothing.
pub(crate) struct Case {
    pub(crate) import: &'static str,
    pub(crate) args: Value,
    pub(crate) needs: Option<Permission>,
}

/// The names of all functions that the contract lets a guest import, as `probe` takes them.
pub(crate) fn imports() -> BTreeSet<String> {
    let mut resolve = Resolve::default();
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let (package, _) = resolve.push_dir(&wit).unwrap();
    let world = resolve.select_world(&[package], Some("imports")).unwrap();
    let mut names = BTreeSet::new();
    for item in resolve.worlds[world].imports.values() {
        let WorldItem::Interface { id, .. } = item else { panic!("the world imports more than interfaces") };
        let interface = &resolve.interfaces[*id];
        let functions = interface.functions.keys();
        names.extend(functions.map(|function| format!("{}.{function}", interface.name.as_ref().unwrap())));
    }
    names
}

/// Rows of one person.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    pub(crate) owner: UserId,
    pub(crate) chat: String,
    pub(crate) chat_version: String,
    pub(crate) message: String,
    pub(crate) message_version: String,
    pub(crate) file: String,
    pub(crate) memory: String,
    pub(crate) memory_version: String,
}

impl Rows {
    /// A chat with a message, a file and a memory.
    pub(crate) async fn of(store: &Store, owner: &UserId) -> Self {
        let own = Authority::Own(owner.clone());
        let chat = NewChat { title: "Plans".into(), ..NewChat::default() };
        let chat = store.chats().create(owner, &own, chat).await.unwrap();
        let message =
            NewMessage { role: "user".into(), content: "secret".into(), done: true, ..NewMessage::default() };
        let message = store.chat_messages().append(&own, &chat.id, message).await.unwrap();
        let chat = store.chats().get(&own, &chat.id).await.unwrap().unwrap();
        let file = NewFile { name: "secret.txt".into(), content_type: "text/plain".into() };
        let bytes = futures::stream::iter([Ok("secret".into())]).boxed();
        let file = store.files().create(owner, &own, file, bytes, 1_000).await.unwrap();
        let memory = store.memories().add(owner, &own, "secret").await.unwrap();
        Self {
            owner: owner.clone(),
            chat: chat.id.into_string(),
            chat_version: chat.version,
            message: message.id.into_string(),
            message_version: message.version,
            file: file.id.into_string(),
            memory: memory.id.into_string(),
            memory_version: memory.version,
        }
    }
}

/// All imports, on these rows. Those that delete come last.
pub(crate) fn cases(rows: &Rows) -> Vec<Case> {
    use Permission as P;
    let page = json!({"limit": 10});
    let request = json!({
        "model": "m", "tools": [], "params": "{}",
        "messages": [{"role": "user", "content": {"Text": "hi"}, "tool_calls": []}],
    });
    let kv = |key: &str| json!({"scope": "User", "key": key, "value": "v"});
    let shared = |key: &str| json!({"scope": "Shared", "key": key, "value": "v"});
    let status = json!({"event": {"Status": {"description": "d", "done": false, "hidden": false}}});
    let question = json!({"question": {"Confirmation": {"title": "t", "message": "m"}}});
    let case = |import, args, needs| Case { import, args, needs };
    let free = |import| Case { import, args: json!({}), needs: None };
    vec![
        case("users.me", json!({}), Some(P::UsersRead)),
        case("users.get", json!({"id": rows.owner}), Some(P::UsersRead)),
        case("users.get-many", json!({"ids": [rows.owner]}), Some(P::UsersRead)),
        case("users.list", json!({"name": "a", "page": page}), Some(P::UsersRead)),
        case("chats.get", json!({"id": rows.chat}), Some(P::ChatsRead)),
        case("chats.list", json!({"filter": {"title_contains": "Plans"}, "page": page}), Some(P::ChatsRead)),
        case("chats.create", json!({"chat": {"title": "t"}}), Some(P::ChatsWrite)),
        case(
            "chats.update",
            json!({"id": rows.chat, "change": {"title": "Plans"}, "version": rows.chat_version}),
            Some(P::ChatsWrite),
        ),
        case("chat-messages.get", json!({"chat": rows.chat, "id": rows.message}), Some(P::ChatMessagesRead)),
        case("chat-messages.list", json!({"chat": rows.chat, "page": page}), Some(P::ChatMessagesRead)),
        case(
            "chat-messages.branch",
            json!({"chat": rows.chat, "leaf": rows.message}),
            Some(P::ChatMessagesRead),
        ),
        case(
            "chat-messages.update",
            json!({
                "chat": rows.chat, "id": rows.message, "version": rows.message_version,
                "change": {"content": "secret", "files": "[]"},
            }),
            Some(P::ChatMessagesWrite),
        ),
        case(
            "chat-messages.append",
            json!({"chat": rows.chat, "message": {"role": "user", "content": "c"}}),
            Some(P::ChatMessagesWrite),
        ),
        case("files.get", json!({"id": rows.file}), Some(P::FilesRead)),
        case("files.list", json!({"name": "secret", "page": page}), Some(P::FilesRead)),
        case("files.read", json!({"id": rows.file}), Some(P::FilesRead)),
        case(
            "files.create",
            json!({"file": {"name": "n", "content_type": "text/plain"}, "data": "d"}),
            Some(P::FilesWrite),
        ),
        case("memories.get", json!({"id": rows.memory}), Some(P::MemoriesRead)),
        case("memories.list", json!({"page": page}), Some(P::MemoriesRead)),
        case("memories.add", json!({"content": "c"}), Some(P::MemoriesWrite)),
        case(
            "memories.update",
            json!({"id": rows.memory, "content": "secret", "version": rows.memory_version}),
            Some(P::MemoriesWrite),
        ),
        case("config.get", json!({"key": "version"}), Some(P::ConfigRead)),
        case("kv.set", kv("a"), Some(P::Kv)),
        case("kv.get", kv("a"), Some(P::Kv)),
        case("kv.put-if", kv("b"), Some(P::Kv)),
        case("kv.increment", json!({"scope": "Turn", "key": "n", "by": 1}), Some(P::Kv)),
        case("kv.keys", json!({"scope": "User", "prefix": "a", "page": page}), Some(P::Kv)),
        case("kv.delete", kv("a"), Some(P::Kv)),
        case("kv.set", shared("a"), Some(P::KvShared)),
        case("kv.get", shared("a"), Some(P::KvShared)),
        case("kv.put-if", shared("b"), Some(P::KvShared)),
        case("kv.increment", json!({"scope": "Shared", "key": "n", "by": 1}), Some(P::KvShared)),
        case("kv.keys", json!({"scope": "Shared", "prefix": "a", "page": page}), Some(P::KvShared)),
        case("kv.delete", shared("a"), Some(P::KvShared)),
        case("events.emit", status, Some(P::EventsEmit)),
        case(
            "events.emit",
            json!({"event": {"Embeds": {"items": ["<b>"], "replace": false}}}),
            Some(P::EventsHtml),
        ),
        case(
            "events.emit",
            json!({"event": {"Other": {"kind": "execute", "data": "{}"}}}),
            Some(P::EventsScript),
        ),
        case(
            "events.emit",
            json!({"event": {"Other": {"kind": "listed", "data": "{}"}}}),
            Some(P::EventsOther),
        ),
        case("events.call", question, Some(P::EventsCall)),
        case(
            "events.call",
            json!({"question": {"Other": {"kind": "execute", "data": "{}"}}}),
            Some(P::EventsScript),
        ),
        case("completions.models", json!({}), Some(P::Completions)),
        case("completions.complete", json!({"request": request}), Some(P::Completions)),
        case("completions.stream", json!({"request": request}), Some(P::Completions)),
        case("completions.embed", json!({"model": "m", "texts": ["t"]}), Some(P::Completions)),
        case("toolbox.list", json!({}), Some(P::Toolbox)),
        case("toolbox.call", json!({"plugin": "other", "name": "n", "arguments": {}}), Some(P::Toolbox)),
        free("config.valves"),
        free("config.user-valves"),
        free("context.messages"),
        free("context.model"),
        free("context.files"),
        free("context.features"),
        free("context.variables"),
        free("context.locale"),
        free("context.metadata"),
        free("context.task"),
        case("context.read-blob", json!({"id": "unknown"}), None),
        case("log.log", json!({"level": "Info", "message": "m"}), None),
        case("chats.delete", json!({"id": rows.chat}), Some(P::ChatsWrite)),
        case("files.delete", json!({"id": rows.file}), Some(P::FilesWrite)),
        case("memories.delete", json!({"id": rows.memory}), Some(P::MemoriesWrite)),
    ]
}

/// Answers whatever a plugin asks of others.
pub(crate) fn answer(request: ChildRequest) {
    match request.ask {
        ChildAsk::Tools(reply) => drop(reply.send(Ok(Vec::new()))),
        ChildAsk::Tool { reply, .. } => drop(reply.send(Ok(ToolResult::default()))),
        ChildAsk::Models(reply) => {
            let model = OfferedModel { id: "m".into(), name: "M".into(), kind: "provider".into() };
            drop(reply.send(Ok(vec![model])));
        }
        ChildAsk::Complete(request, reply) => {
            let completion = Completion {
                id: "c".into(),
                model: request.model,
                message: Default::default(),
                finish_reason: None,
                usage: None,
                extra: None,
            };
            drop(reply.send(Ok(completion)));
        }
        ChildAsk::Stream(_, reply) => {
            let (sender, receiver) = tokio::sync::mpsc::channel(4);
            let end = Chunk::Finish { choice: 0, reason: "stop".into(), usage: None, extra: None };
            for chunk in [Chunk::Text("a".into()), end] {
                sender.try_send(chunk).unwrap();
            }
            drop(reply.send(Ok(receiver)));
        }
        ChildAsk::Embed { reply, .. } => drop(reply.send(Ok(vec![vec![0.5]]))),
    }
}
