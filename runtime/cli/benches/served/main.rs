//! What a client sees of a running server: requests and chunks a second, the delay by others, the time to start.
//!
//! Each question starts the release build of `innkeeper serve` as a process of its own, on SQLite, and loads it over loopback from here.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a benchmark may panic"
)]
// The tests use more of these than the benches.
#![allow(dead_code, reason = "shared with the tests")]

mod bare;
mod load;
#[path = "../../tests/it/program.rs"]
mod program;
#[path = "../../tests/it/server.rs"]
mod server;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use innkeeper_testing::guests;
use innkeeper_testing::measurements::{is_wanted, keep, median};
use load::Load;
use program::{Program, client, text};
use serde_json::json;
use server::Server;

/// As in the program that it is compared with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Where the load of one question goes on for so long, once for each answer and round.
const ROUND: Duration = Duration::from_secs(3);
const ROUNDS: usize = 5;
/// Names the address of a running Pipelines server of Open WebUI with a pipeline `echo` and its default key, to be measured besides.
const PIPELINES: &str = "INNKEEPER_BENCH_PIPELINES";
const PIPELINES_KEY: &str = "0p3n-w3bu!";
const COMPLETIONS: &str = "/v1/chat/completions";

#[tokio::main]
async fn main() {
    if std::env::args().nth(1).is_some_and(|argument| argument == bare::COMMAND) {
        return bare::serve().await;
    }
    macro_rules! ask {
        ($($question:literal => $answer:ident),* $(,)?) => {
            $(if is_wanted($question) { $answer($question).await; })*
        };
    }
    ask! {
        "chat completions over HTTP, 32 connections" => completions,
        "chunks of a streamed answer over HTTP" => chunks,
        "neighbours of plugins that spin, 99th percentile" => neighbours,
        "start of a server with 100 plugins" => start,
    }
}

/// An echo pipe, beside the same by `wasi:http`.
async fn completions(question: &str) {
    let place = Place::with(&["echo"]);
    let innkeeper = place.server();
    let bare =
        Server::spawn(Command::new(std::env::current_exe().unwrap()).arg(bare::COMMAND).stdin(Stdio::null()));
    let body =
        json!({"model": "echo", "messages": [{"role": "user", "content": "Good morning, dear echo!"}]});
    let mut compared = vec![
        ("bare", Load::new(&bare.address, COMPLETIONS, "", &body)),
        ("innkeeper", Load::new(&innkeeper.address, COMPLETIONS, &place.key, &body)),
    ];
    if let Ok(address) = std::env::var(PIPELINES) {
        compared.push(("Pipelines server", Load::new(&address, COMPLETIONS, PIPELINES_KEY, &body)));
    }
    for (answer, load) in &compared {
        let echoed = load.connect().await.send().await;
        let echoed = String::from_utf8(echoed.to_vec()).unwrap();
        assert!(echoed.contains("\"Good morning, dear echo!\""), "{answer}: {echoed}");
        load.throughput(32, ROUND).await;
    }
    let mut rounds = vec![Vec::new(); compared.len()];
    for _ in 0..ROUNDS {
        for ((_, load), rounds) in compared.iter().zip(&mut rounds) {
            rounds.push(load.throughput(32, ROUND).await);
        }
    }
    let answers = compared.iter().zip(rounds).map(|((answer, _), rounds)| (*answer, median(rounds)));
    keep(question, "requests/s", &answers.collect::<Vec<_>>());
}

/// A long streamed answer, with and without a filter that gets each chunk.
async fn chunks(question: &str) {
    const CHUNKS: usize = 20_000;
    let place = Place::with(&["echo", "nothing"]);
    let server = place.server();
    place.apply_to_all_models(&server, "nothing").await;
    let text = "word ".repeat(CHUNKS);
    let loads = [json!([]), json!(["nothing"])].map(|filters| {
        let messages = json!([{"role": "user", "content": text}]);
        let body = json!({"model": "echo", "stream": true, "messages": messages, "filter_ids": filters});
        Load::new(&server.address, COMPLETIONS, &place.key, &body)
    });
    let mut rounds = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS + 1 {
        for (load, rounds) in loads.iter().zip(&mut rounds) {
            let mut connection = load.connect().await;
            let begun = Instant::now();
            let answer = connection.send().await;
            rounds.push(begun.elapsed().as_secs_f64());
            let frames = String::from_utf8(answer.to_vec()).unwrap().matches("\"content\":\"word ").count();
            assert_eq!(frames, CHUNKS);
        }
    }
    let [without, with] = rounds.map(|mut rounds| median(rounds.split_off(1)));
    let chunks = CHUNKS as f64;
    keep(
        question,
        "chunks/s",
        &[("without a filter", chunks / without), ("with a stream filter", chunks / with)],
    );
    keep(
        "time that a stream filter adds to a chunk over HTTP",
        "µs",
        &[("innkeeper", (with - without) / chunks * 1e6)],
    );
}

/// How long one client waits for an echo while another person's plugins compute without end, four at a time.
async fn neighbours(question: &str) {
    const REQUESTS: usize = 2_000;
    let place = Place::with(&["echo", "misbehave"]);
    let server = place.server();
    let body = json!({"model": "echo", "messages": [{"role": "user", "content": "Good morning!"}]});
    let load = Load::new(&server.address, COMPLETIONS, &place.key, &body);
    let idle = percentile_99(&load, REQUESTS).await;
    let spin = Load::new(
        &server.address,
        "/api/tools/misbehave/misbehave",
        &place.another_person(),
        &json!({"how": "loop"}),
    );
    let spinning: Vec<_> = (0..4)
        .map(|_| {
            let spin = spin.clone();
            tokio::spawn(async move {
                let mut connection = spin.connect().await;
                loop {
                    let (status, body) = connection.send_whatever().await;
                    assert_eq!(status, 502, "{}", String::from_utf8_lossy(&body));
                }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let spun = percentile_99(&load, REQUESTS).await;
    for task in spinning {
        assert!(!task.is_finished(), "nothing was spinning any more");
        task.abort();
    }
    keep(question, "ms", &[("idle", idle), ("beside 4 that spin", spun)]);
}

async fn percentile_99(load: &Load, requests: usize) -> f64 {
    let mut connection = load.connect().await;
    let mut times = Vec::with_capacity(requests);
    for _ in 0..requests {
        let begun = Instant::now();
        connection.send().await;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    times[requests * 99 / 100]
}

/// From starting the process to its being ready, with machine code in the cache.
async fn start(question: &str) {
    let place = Place::with(&[]);
    let none = time_to_ready(&place).await;
    for number in 0..100 {
        let file = place.program.dir.path().join("component.wasm");
        std::fs::write(&file, guests::changed("nothing", &[("nothing", &format!("no{number:05}"))])).unwrap();
        place.program.run(&["plugin", "install", text(&file)]).expect(0);
        if number % 10 == 9 {
            eprintln!("installed {} of 100 plugins", number + 1);
        }
    }
    let hundred = time_to_ready(&place).await;
    keep(question, "ms", &[("without plugins", none), ("with 100 plugins", hundred)]);
}

async fn time_to_ready(place: &Place) -> f64 {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let server = place.server();
        let ready = client().get(server.url("/readyz")).send().await.unwrap();
        assert!(ready.status().is_success());
        rounds.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    median(rounds)
}

/// A data directory with plugins and an admin's key.
struct Place {
    program: Program,
    key: String,
}

impl Place {
    fn with(plugins: &[&str]) -> Self {
        let mut program = Program::new();
        program.variables.push(("INNKEEPER__LIMITS__CALLS_PER_USER".to_owned(), "256".to_owned()));
        let key = add_person(&program, "ada@example.org", "admin");
        for plugin in plugins {
            program.run(&["plugin", "install", text(&guests::path(plugin)), "--grant-requested"]).expect(0);
        }
        Self { program, key }
    }

    fn server(&self) -> Server {
        Server::start(&self.program)
    }

    fn another_person(&self) -> String {
        add_person(&self.program, "ugo@example.org", "user")
    }

    async fn apply_to_all_models(&self, server: &Server, filter: &str) {
        let settings = json!({"enabled": true, "global": true});
        let url = server.url(&format!("/api/plugins/{filter}/settings"));
        let answer = client().put(url).bearer_auth(&self.key).json(&settings).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }
}

fn add_person(program: &Program, email: &str, role: &str) -> String {
    program.run(&["user", "add", "--name", "Ada", "--email", email, "--role", role]).expect(0);
    program.json(&["key", "create", "--user", email])["secret"].as_str().unwrap().to_owned()
}
