//! What can go wrong, and how to make it so.

use std::cell::RefCell;
use std::hint::black_box;
use std::time::Duration;

use innkeeper_sdk::bindings::wit_stream;
use innkeeper_sdk::events::{Event, OtherEvent};
use innkeeper_sdk::prelude::*;
use innkeeper_sdk::schemars::{self, JsonSchema};
use innkeeper_sdk::serde::{self, Deserialize};
use innkeeper_sdk::serde_json::json;

const MIB: usize = 1 << 20;

/// What to do.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(crate = "self::serde", rename_all = "kebab-case")]
#[schemars(crate = "self::schemars")]
pub(crate) enum How {
    /// Compute without end.
    Loop,
    /// Take memory, `amount` MiB or without end, and keep it.
    Allocate,
    /// Call itself without end on the stack.
    Recurse,
    /// Trap.
    Trap,
    /// Panic, with a message of hostile text.
    Panic,
    /// End the program.
    Exit,
    /// Make `amount` cheap host calls, or without end.
    Flood,
    /// Ask the system for random bytes without end, which costs next to no fuel.
    FloodRandom,
    /// Make `amount` waiting host calls at once.
    FloodAtOnce,
    /// Return `amount` MiB.
    HugeResult,
    /// Return a failure of `amount` MiB with hostile text in front.
    HugeError,
    /// Open `amount` streams, or as many as there can be, and end none.
    OpenStreams,
    /// Store a file whose stream never ends.
    EndlessFile,
    /// Sleep `amount` milliseconds (without end: a year) on the system's clock.
    Sleep,
    /// Wait for something that never comes.
    Wait,
    /// Write `amount` log lines of 10 KiB.
    Logs,
    /// Write `amount` MiB to standard output and error.
    Print,
    /// Return, then compute without end.
    BackgroundLoop,
    /// Return, then make host calls without end.
    BackgroundCalls,
    /// Return, then sleep as `sleep` does.
    BackgroundSleep,
    /// Return, then take memory without end.
    BackgroundAllocate,
    /// Answer with text that is no JSON where JSON is due.
    InvalidJson,
    /// Answer with an `extra` that is no JSON. Only the tool; nothing elsewhere.
    InvalidExtra,
    /// Write `amount` keys of 100 KiB.
    ManyKeys,
    /// Emit events that need permissions of their own; returns how each was refused.
    ForbiddenEvents,
    /// Emit `amount` events.
    ManyEvents,
    /// Emit one event of `amount` MiB.
    HugeEvent,
    /// Ask the person `amount` questions at once.
    ManyQuestions,
    /// Call itself through the toolbox, deeper and deeper.
    Nest,
    /// Ask its own model for `amount` answers, one after the other; without an amount for one that asks again, deeper and deeper.
    Complete,
    /// Begin host calls and drop them half-way, `amount` times.
    DropCalls,
    /// Look for files, variables and the network; returns what was found.
    ReachOut,
    /// Send `amount` chunks.
    ManyChunks,
    /// Send one chunk of `amount` MiB.
    HugeChunk,
    /// End the stream without `finish`.
    CutStream,
    /// Return a stream and never write to it.
    SilentStream,
    /// Behave: return a text.
    Nothing,
}

/// Does it. What comes back, if anything does, is for the caller.
pub(crate) async fn misbehave(how: How, amount: u64) -> Result<String, PluginError> {
    let count = usize::try_from(amount).unwrap_or(usize::MAX);
    match how {
        How::Loop => spin(),
        How::Allocate => allocate(if count == 0 { usize::MAX } else { count }),
        How::Recurse => return Ok(recurse(black_box(0)).to_string()),
        How::Trap => std::process::abort(),
        How::Panic => panic!("\u{1b}[31mnot red\u{1b}[0m\r\nERROR forged line"),
        How::Exit => std::process::exit(3),
        How::Flood => flood(if amount == 0 { u64::MAX } else { amount }),
        How::FloodRandom => loop {
            black_box(wasip2::random::random::get_random_bytes(64 << 10));
        },
        How::FloodAtOnce => return flood_at_once(count).await,
        How::HugeResult => return Ok("x".repeat(count.saturating_mul(MIB))),
        How::HugeError => {
            let text =
                format!("\u{1b}[31mnot red\r\nERROR forged line {}", "x".repeat(count.saturating_mul(MIB)));
            return Err(PluginError::failed(text));
        }
        How::OpenStreams => open_streams(if count == 0 { usize::MAX } else { count }),
        How::EndlessFile => return endless_file().await,
        How::Sleep => sleep(amount),
        How::Wait => wait().await,
        How::Logs => (0..amount).for_each(|number| log::info(format!("{number} {}", "l".repeat(10 << 10)))),
        How::Print => print(count),
        How::BackgroundLoop => spawn(async { spin() }),
        How::BackgroundCalls => spawn(async {
            loop {
                let _ = kv::User.get("background").await;
            }
        }),
        How::BackgroundSleep => spawn(async move { sleep(amount) }),
        How::BackgroundAllocate => spawn(async { allocate(usize::MAX) }),
        How::ManyKeys => many_keys(amount).await?,
        How::ForbiddenEvents => return Ok(forbidden_events().await),
        How::ManyEvents => {
            for number in 0..amount {
                events::status(number.to_string()).await?;
            }
        }
        How::HugeEvent => events::message("e".repeat(count.saturating_mul(MIB))).await?,
        How::ManyQuestions => return many_questions(count).await,
        How::Nest => {
            toolbox::call("misbehave", "misbehave", &json!({ "how": "nest" })).await?;
        }
        How::Complete => complete(amount).await?,
        How::DropCalls => drop_calls(amount).await,
        How::ReachOut => return Ok(reach_out()),
        How::InvalidJson
        | How::InvalidExtra
        | How::ManyChunks
        | How::HugeChunk
        | How::CutStream
        | How::SilentStream => {
            return Err(PluginError::failed("this cannot be done here"));
        }
        How::Nothing => {}
    }
    Ok("done".to_owned())
}

fn spin() {
    let mut number = 1_u64;
    loop {
        number = black_box(number).wrapping_mul(3);
    }
}

fn allocate(mebibytes: usize) {
    thread_local! {
        static KEPT: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    }
    for _ in 0..mebibytes {
        let mut block = vec![0_u8; MIB];
        // Untouched memory may cost nothing.
        block.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
        KEPT.with_borrow_mut(|kept| kept.push(black_box(block)));
    }
}

#[expect(unconditional_recursion, reason = "that is what was asked for")]
fn recurse(depth: u64) -> u64 {
    let here = black_box([depth; 32]);
    recurse(black_box(depth + 1)) + here[0]
}

fn flood(calls: u64) {
    for _ in 0..calls {
        black_box(context::locale());
    }
}

async fn flood_at_once(calls: usize) -> Result<String, PluginError> {
    let waiting = (0..calls).map(|number| kv::User.get(number.to_string()));
    let answers = futures::future::join_all(waiting).await;
    let refused = answers.iter().filter(|answer| answer.is_err()).count();
    match answers.into_iter().find_map(Result::err) {
        Some(error) => Ok(format!("{refused} of {calls} refused: {error}")),
        None => Ok(format!("none of {calls} refused")),
    }
}

fn open_streams(streams: usize) {
    for _ in 0..streams {
        std::mem::forget(wit_stream::new::<u8>());
    }
}

async fn endless_file() -> Result<String, PluginError> {
    let file = files::NewFile {
        name: "endless.bin".to_owned(),
        content_type: "application/octet-stream".to_owned(),
    };
    let stored = files::create_with(file, async |writer| {
        while writer.write_all(vec![0; 64 << 10]).await.is_empty() {}
        true
    });
    Ok(stored.await?.id)
}

fn sleep(milliseconds: u64) {
    let year = 365 * 24 * 60 * 60 * 1000;
    std::thread::sleep(Duration::from_millis(if milliseconds == 0 { year } else { milliseconds }));
}

/// A future that nothing will wake would be a trap at once; a stream that nobody writes to is waited for.
async fn wait() {
    let (_writer, mut reader) = wit_stream::new::<u8>();
    reader.next().await;
}

fn print(mebibytes: usize) {
    for _ in 0..mebibytes {
        println!("{}", "o".repeat(MIB / 2));
        eprintln!("\u{1b}[2J{}", "e".repeat(MIB / 2));
    }
}

async fn many_keys(keys: u64) -> Result<(), Error> {
    for key in 0..keys {
        kv::User.set(format!("key-{key}"), vec![b'v'; 100 << 10], None).await?;
    }
    Ok(())
}

async fn forbidden_events() -> String {
    let script = json!({ "code": "alert(1)" }).to_string();
    let html = json!({ "embeds": ["<script>alert(1)</script>"] }).to_string();
    let mut answers = Vec::new();
    for (kind, data) in [
        ("execute", &script),
        ("execute:python", &script),
        ("EXECUTE", &script),
        (" execute ", &script),
        ("execute:tool", &script),
        ("chat:message:embeds", &html),
        ("confirmation", &html),
        ("invented", &html),
    ] {
        let event = Event::Other(OtherEvent { kind: kind.to_owned(), data: data.clone() });
        answers.push(format!("{kind}: {}", outcome(events::emit(event).await)));
    }
    answers.push(format!("embeds: {}", outcome(events::embeds(vec!["<b>html</b>".to_owned()]).await)));
    answers.join("\n")
}

fn outcome(result: Result<(), Error>) -> String {
    result.map_or_else(|error| error.to_string(), |()| "accepted".to_owned())
}

async fn many_questions(questions: usize) -> Result<String, PluginError> {
    let waiting = (0..questions).map(|number| events::confirm("Again?", number.to_string()));
    let answers = futures::future::join_all(waiting).await;
    let refused = answers.iter().filter(|answer| answer.is_err()).count();
    Ok(format!("{refused} of {questions} refused"))
}

async fn complete(answers: u64) -> Result<(), Error> {
    let order = if answers == 0 { "run:complete" } else { "run:nothing" };
    for _ in 0..answers.max(1) {
        completions::complete(ChatRequest::new("misbehave").user(order)).await?;
    }
    Ok(())
}

async fn drop_calls(times: u64) {
    for number in 0..times {
        let call = kv::User.set(number.to_string(), "half-way", None);
        // Polled once, then dropped with the call still under way.
        let _ =
            futures::future::select(std::pin::pin!(call), std::pin::pin!(futures::future::ready(()))).await;
    }
}

fn reach_out() -> String {
    let files = std::fs::read_dir("/").map(|entries| entries.count());
    let written = std::fs::write("/reached", "out");
    let passwords = std::fs::read("/etc/passwd").map(|bytes| bytes.len());
    let variables = std::env::vars().count();
    let arguments = std::env::args().count();
    let network = std::net::TcpStream::connect("127.0.0.1:1").map(|_| "connected");
    let lookup = std::net::ToSocketAddrs::to_socket_addrs("localhost:1").map(Iterator::count);
    format!(
        "root: {files:?}\nwrite: {written:?}\npasswords: {passwords:?}\nvariables: {variables}\narguments: {arguments}\nnetwork: {network:?}\nlookup: {lookup:?}"
    )
}
