//! `innkeeper serve`: starts, notices what other commands change, stops by signals.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use innkeeper_testing::guests;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::program::{Program, client, text};
use crate::server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_notices_what_commands_change_and_stops_by_a_signal() {
    let program = Program::new();
    program.run(&["user", "add", "--name", "Ada", "--email", "ada@example.org", "--role", "admin"]).expect(0);
    let key =
        program.json(&["key", "create", "--user", "ada@example.org"])["secret"].as_str().unwrap().to_owned();
    let mut server = Server::start(&program);
    let client = client();
    let get = async |path: &str| {
        let response = client.get(server.url(path)).bearer_auth(&key).send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap())
    };
    assert_eq!(get("/readyz").await.1["ready"], json!(true));
    assert_eq!(get("/v1/models").await.1["data"], json!([]));

    program.run(&["plugin", "install", text(&guests::path("echo"))]).expect(0);
    noticed("the installed plugin", async || get("/v1/models").await.1["data"][0]["id"] == json!("echo"))
        .await;
    program.run(&["plugin", "disable", "echo"]).expect(0);
    noticed("the disabled plugin", async || get("/v1/models").await.1["data"] == json!([])).await;
    let id = program.json(&["key", "list"])["data"][0]["id"].as_str().unwrap().to_owned();
    program.run(&["key", "revoke", &id]).expect(0);
    noticed("the revoked key", async || get("/v1/models").await.0 == 401).await;

    drop(client);
    server.signal();
    assert_eq!(server.end(Duration::from_secs(15)), Some(0));
}

/// Waits until a server has noticed a change. Promised are two seconds; a machine that does other things too gets more.
async fn noticed(what: &str, mut check: impl AsyncFnMut() -> bool) {
    let changed = Instant::now();
    while !check().await {
        assert!(changed.elapsed() < Duration::from_secs(8), "the server did not notice {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn a_port_that_is_taken_is_one_clear_error() {
    let program = Program::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = program.run(&["serve", "--listen", &address]).expect(1);
    let expected = format!(
        "error: the address {address} is taken by another program; stop it, or name another by `--listen`"
    );
    assert_eq!(said.err.trim(), expected);
    let far = program.run(&["serve", "--listen", "192.0.2.1:1"]).expect(1);
    assert!(far.err.starts_with("error: cannot listen on 192.0.2.1:1"), "{}", far.err);
}

#[test]
fn the_log_holds_no_keys_bodies_or_addresses() {
    let program = Program::new();
    program.run(&["user", "add", "--name", "Ada", "--email", "ada@example.org"]).expect(0);
    let key =
        program.json(&["key", "create", "--user", "ada@example.org"])["secret"].as_str().unwrap().to_owned();
    for plugin in ["echo", "notes", "misbehave", "calculator"] {
        program.run(&["plugin", "install", text(&guests::path(plugin)), "--grant-requested"]).expect(0);
    }
    let log = program.dir.path().join("log");
    let mut command =
        program.command(&["serve", "--listen", "127.0.0.1:0", "--json", "--log-format", "json"]);
    command.env("INNKEEPER__LOG__FILTER", "trace").stderr(std::fs::File::create(&log).unwrap());
    command.env("INNKEEPER__PROVIDERS__UP__BASE_URL", provider());
    command.env("INNKEEPER__PROVIDERS__UP__MODELS", format!("{MODEL},{BROKEN}"));
    let mut server = Server::spawn(&mut command);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = client();
        let post = async |path: &str, body: Value, status: u16, contains: &str| {
            let sent = client.post(server.url(path)).bearer_auth(&key).json(&body).send().await.unwrap();
            let (answered, text) = (sent.status().as_u16(), sent.text().await.unwrap());
            assert!(answered == status && text.contains(contains), "{path}: {answered} {text}");
            text
        };
        let prompt = |model: &str, text: &str| {
            json!({"model": model, "messages": [
                {"role": "user", "content": "a-secret-prompt"}, {"role": "user", "content": text},
            ]})
        };
        let chat = post("/api/chats", json!({"title": "a-secret-title"}), 201, "a-secret-title").await;
        let chat: Value = serde_json::from_str(&chat).unwrap();
        let stored = format!("/api/chats/{}/completions", chat["id"].as_str().unwrap());
        post(&stored, prompt("echo", "a-secret-question"), 200, "a-secret-question").await;
        post("/api/tools/notes/add_note", json!({"text": "a-secret-note"}), 200, "result").await;
        post("/v1/chat/completions", prompt(MODEL, "a-secret-question"), 200, "a-secret-answer").await;
        post("/v1/chat/completions", prompt(BROKEN, "a-secret-question"), 502, "error").await;
        post("/v1/chat/completions", prompt("misbehave", "run:panic"), 502, "plugin_crashed").await;
        let wrong = json!({"expression": "a-secret-expression"});
        post("/api/tools/calculator/calculate", wrong, 502, "plugin-failed").await;
        // As a page opens a WebSocket: with the key among the names of its protocols.
        let socket = client.get(server.url("/api/events/ws"));
        let socket = socket.header("connection", "upgrade").header("upgrade", "websocket");
        let socket = socket
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("sec-websocket-protocol", format!("innkeeper, innkeeper-key.{key}"));
        let socket = socket.send().await.unwrap();
        assert_eq!(socket.status().as_u16(), 101);
        let mut socket = socket.upgrade().await.unwrap();
        let answer = r#"{"type":"answer","ask":"a-secret-ask","answer":"a-secret-answer"}"#;
        // A frame of text as RFC 6455 has it: final, masked, and the mask is 0.
        let mut frame = vec![0x81, 0x80 | u8::try_from(answer.len()).unwrap(), 0, 0, 0, 0];
        frame.extend(answer.as_bytes());
        socket.write_all(&frame).await.unwrap();
        let mut said = Vec::new();
        while !String::from_utf8_lossy(&said).contains("a-secret-ask") {
            assert!(socket.read_buf(&mut said).await.unwrap() > 0, "{}", String::from_utf8_lossy(&said));
        }
        client.get(server.url("/api/receipts?turn=a-secret-turn")).bearer_auth(&key).send().await.unwrap();
        client.get(server.url("/api/plugins/a-secret-path")).bearer_auth(&key).send().await.unwrap();
        client.get(server.url(&format!("/v1/models?key={key}"))).send().await.unwrap();
    });
    server.signal();
    assert_eq!(server.end(Duration::from_secs(15)), Some(0));
    let log = std::fs::read_to_string(log).unwrap();
    assert!(!log.contains(&key) && !log.contains("a-secret"), "{log}");
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let answered: Vec<&Value> = lines.iter().filter(|line| line["message"] == json!("answered")).collect();
    let routes: Vec<&str> = answered.iter().filter_map(|line| line["route"].as_str()).collect();
    let completions = "/v1/chat/completions";
    let expected = [
        "/api/chats",
        "/api/chats/{chat}/completions",
        "/api/tools/{plugin}/{tool}",
        completions,
        completions,
        completions,
        "/api/tools/{plugin}/{tool}",
        "/api/events/ws",
        "/api/receipts",
        "/api/plugins/{plugin}",
        "/v1/models",
    ];
    assert_eq!(routes, expected);
}

/// What a provider on loopback answers a chat request with, and what it breaks at.
const MODEL: &str = "well";
const BROKEN: &str = "broken";

/// Its address.
fn provider() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let asked = request(&mut stream);
            let (status, body) = if asked.contains(BROKEN) {
                ("500 Internal Server Error", json!({"error": {"message": "a-secret-complaint"}}))
            } else {
                let message = json!({"role": "assistant", "content": "a-secret-answer"});
                let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
                ("200 OK", json!({"id": "1", "object": "chat.completion", "choices": [choice]}))
            };
            let (body, kind) = (body.to_string(), "content-type: application/json");
            let length = body.len();
            let head =
                format!("HTTP/1.1 {status}\r\n{kind}\r\ncontent-length: {length}\r\nconnection: close");
            write!(stream, "{head}\r\n\r\n{body}").unwrap();
        }
    });
    url
}

/// The body of a request that has one.
fn request(stream: &mut TcpStream) -> String {
    let mut stream = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    while stream.read_line(&mut line).unwrap() > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_server_lets_nobody_in_and_says_what_to_do() {
    let program = Program::new();
    assert_eq!(program.json(&["key", "list"]), json!({"data": []}));
    let log = program.dir.path().join("log");
    let mut command = program.command(&["serve", "--listen", "127.0.0.1:0", "--json"]);
    let server = Server::spawn(command.stderr(std::fs::File::create(&log).unwrap()));
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(said.contains("`innkeeper user add") && said.contains("`innkeeper key create"), "{said}");
    let client = client();
    let document = client.get(server.url("/api/openapi.json")).send().await.unwrap();
    let document: Value = document.json().await.unwrap();
    let mut refused = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            if ["/healthz", "/readyz"].contains(&path.as_str()) {
                continue;
            }
            let method = reqwest::Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            // Empty, and what others ship with.
            for key in ["", "ik_", "innkeeper", "admin", "0p3n-w3bu!", "sk-1234"] {
                let request = client.request(method.clone(), server.url(path)).bearer_auth(key);
                assert_eq!(request.send().await.unwrap().status().as_u16(), 401, "{method} {path} `{key}`");
            }
            refused += 1;
        }
    }
    assert!(refused > 40, "{refused}");
    assert_eq!(program.json(&["key", "list"]), json!({"data": []}));
}
