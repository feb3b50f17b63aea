//! `innkeeper serve`: starts, notices what other commands change, stops by signals.

use std::time::{Duration, Instant};

use innkeeper_testing::guests;
use serde_json::{Value, json};

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
    let log = program.dir.path().join("log");
    let mut command =
        program.command(&["serve", "--listen", "127.0.0.1:0", "--json", "--log-format", "json"]);
    command.env("INNKEEPER__LOG__FILTER", "debug").stderr(std::fs::File::create(&log).unwrap());
    let mut server = Server::spawn(&mut command);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = client();
        let body = json!({"model": "echo", "messages": [{"role": "user", "content": "a-secret-prompt"}]});
        client.post(server.url("/v1/chat/completions")).bearer_auth(&key).json(&body).send().await.unwrap();
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
    assert_eq!(routes, ["/v1/chat/completions", "/api/receipts", "/api/plugins/{plugin}", "/v1/models"]);
}
