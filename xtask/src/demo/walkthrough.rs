//! What the demo shows: a chat turn through a filter and a pipe, a tool call, and an action that asks.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::show;
use crate::http::{Answer, Client};

const MODEL: &str = "echo";
const FILTER: &str = "redaction";
const TOOL: (&str, &str) = ("calculator", "calculate");
const ACTION_PLUGIN: &str = "export-markdown";

/// What is asked in the chat, and what is left of it behind the filter.
const QUESTION: &str = "Please write to ada@example.org about the engine.";
const REDACTED: &str = "Please write to [e-mail] about the engine.";
/// What is answered to the action's question.
const TITLE: &str = "Letters about the engine";

/// Shows everything once; ends at the first answer that is not what it should be.
pub(super) fn run(client: &Client) -> Result<()> {
    let chat = client.post("/api/chats", &json!({"title": "Demo"}))?;
    let chat = text(&chat, "/id")?;
    turn(client, chat).context("the chat turn failed")?;
    tool(client).context("the tool call failed")?;
    action(client, chat).context("the action failed")
}

/// A streamed answer by a pipe, with a filter before and behind it.
fn turn(client: &Client, chat: &str) -> Result<()> {
    show::heading(&format!("A chat turn through the filter `{FILTER}` and the pipe `{MODEL}`, streamed"));
    client.put(&format!("/api/plugins/{FILTER}/settings"), &json!({"enabled": true, "global": true}))?;
    show::sent(QUESTION);
    let mut answer = client.stream(
        "/v1/chat/completions",
        Some(&json!({
            "model": MODEL,
            "stream": true,
            "messages": [{"role": "user", "content": QUESTION}],
            "chat_id": chat,
            "innkeeper": {"store": true},
        })),
    )?;
    let turn = answer.header("x-innkeeper-turn").context("the answer names no turn")?.to_owned();
    let mut pieces = 0;
    let mut whole = String::new();
    loop {
        let frame = answer.next_event()?.context("the stream ended without `[DONE]`")?;
        if frame == "[DONE]" {
            break;
        }
        let frame: Value = serde_json::from_str(&frame).context("a frame is not JSON")?;
        if let Some(error) = frame.get("error") {
            bail!("the turn failed: {error}");
        }
        if let Some(piece) = frame.pointer("/choices/0/delta/content").and_then(Value::as_str) {
            show::piece(pieces, piece);
            whole.push_str(piece);
            pieces += 1;
        }
    }
    show::end_of_pieces(pieces);
    ensure!(whole == REDACTED, "`{MODEL}` behind `{FILTER}` should answer `{REDACTED}`, but said `{whole}`");
    ensure!(pieces > 1, "the answer came in one piece, so nothing was streamed");
    let mut receipts = receipts(client, &turn, &[MODEL, FILTER])?;
    receipts.reverse();
    receipts.iter().for_each(show::receipt);
    receipts.iter().try_for_each(ended_well)?;
    let stored = client.get(&format!("/api/chats/{chat}/messages"))?;
    let answer =
        list(&stored)?.iter().find(|message| message.get("role").is_some_and(|role| role == "assistant"));
    let answer = text(answer.context("the answer was not stored in the chat")?, "/content")?;
    ensure!(answer == REDACTED, "the chat should hold the answer `{REDACTED}`, but has `{answer}`");
    Ok(())
}

/// Fails unless a call ended with a result for which it used fuel.
fn ended_well(receipt: &Value) -> Result<()> {
    let outcome = text(receipt, "/outcome")?;
    ensure!(outcome == "ok", "a call should have ended with `ok`, but ended with `{outcome}`: {receipt}");
    let fuel = receipt.pointer("/delivered/fuel").and_then(Value::as_u64).unwrap_or(0);
    ensure!(fuel > 0, "a receipt should tell of the fuel that was used: {receipt}");
    Ok(())
}

/// The receipts of a turn, once all these plugins have theirs: an instance that is kept through a turn ends a moment after the answer.
fn receipts(client: &Client, turn: &str, plugins: &[&str]) -> Result<Vec<Value>> {
    for _ in 0..50 {
        let found = client.get(&format!("/api/receipts?turn={turn}&limit=50"))?;
        let found = list(&found)?;
        let has = |plugin: &&str| found.iter().any(|receipt| receipt.get("plugin") == Some(&json!(plugin)));
        if plugins.iter().all(has) {
            return Ok(found.to_vec());
        }
        thread::sleep(Duration::from_millis(100));
    }
    bail!("the turn left no receipts of {}", plugins.join(" and "))
}

fn tool(client: &Client) -> Result<()> {
    let (plugin, tool) = TOOL;
    show::heading(&format!("A call of the tool `{tool}` of `{plugin}`"));
    let arguments = json!({"expression": "2 * (3 + sqrt(16))"});
    show::sent(&arguments.to_string());
    let answer = client.post(&format!("/api/tools/{plugin}/{tool}"), &arguments)?;
    show::content(answer.get("result").context("the answer has no result")?);
    let value = answer.pointer("/result/content/0/value").and_then(Value::as_f64);
    ensure!(value == Some(14.0), "`{plugin}` should have come to 14, but answered {answer}");
    let receipt = client.get(&format!("/api/receipts/{}", text(&answer, "/call")?))?;
    show::receipt(&receipt);
    ended_well(&receipt)
}

/// The action's request waits while its question comes over the events and is answered there.
fn action(client: &Client, chat: &str) -> Result<()> {
    let actions = client.get("/api/actions")?;
    let action =
        list(&actions)?.iter().find(|action| action.get("plugin").is_some_and(|id| id == ACTION_PLUGIN));
    let action = text(action.with_context(|| format!("no action of `{ACTION_PLUGIN}` is offered"))?, "/id")?;
    show::heading(&format!("The action `{action}` of `{ACTION_PLUGIN}`, which asks"));
    let mut events = client.stream("/api/events", None)?;
    // The first frame says that whatever is sent from now on arrives here.
    events.next_event()?.context("the events ended before they began")?;

    let path = format!("/api/actions/{ACTION_PLUGIN}/{action}");
    show::sent(&format!("POST {path} for the chat above"));
    let (asking, body) = (client.clone(), json!({"chat_id": chat}));
    let running = thread::spawn(move || asking.post(&path, &body));
    let frames = received(events);
    let mut question = None;
    // An action that fails or does not ask ends without a question.
    while question.is_none() && !running.is_finished() {
        let frame = match frames.recv_timeout(Duration::from_millis(100)) {
            Ok(frame) => frame,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        let ask = frame.get("ask").and_then(Value::as_str).map(str::to_owned);
        question = ask.map(|ask| (ask, frame.get("event").cloned().unwrap_or_default()));
    }
    if let Some((ask, event)) = &question {
        show::received(&format!("a question: {}", question_of(event)));
        show::sent(&format!("the answer `{TITLE}`"));
        client.post(&format!("/api/events/answers/{ask}"), &json!({"answer": TITLE}))?;
    }
    let Ok(answer) = running.join() else { bail!("the request for the action broke off") };
    let answer = answer?;
    ensure!(question.is_some(), "the action ended without having asked: {answer}");
    show::content(answer.get("result").context("the action gave no result")?);
    let file = text(&answer, "/result/content/0/id").context("the action gave no file")?;
    let document = client.get_text(&format!("/api/v1/files/{file}/content"))?;
    show::received(&format!("in that file: {}", document.lines().next().unwrap_or_default()));
    ensure!(
        document.starts_with(&format!("# {TITLE}\n")),
        "the file should begin with the title that was answered, `{TITLE}`, but says:\n{document}"
    );
    ensure!(document.contains(REDACTED), "the file should hold the chat's answer, but says:\n{document}");
    let receipt = client.get(&format!("/api/receipts/{}", text(&answer, "/call")?))?;
    show::receipt(&receipt);
    ended_well(&receipt)
}

/// The frames of a stream of events, read on a thread of their own so that waiting for one can end.
fn received(mut events: Answer) -> Receiver<Value> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        while let Ok(Some(frame)) = events.next_event() {
            let Ok(frame) = serde_json::from_str(&frame) else { continue };
            if sender.send(frame).is_err() {
                break;
            }
        }
    });
    receiver
}

fn question_of(event: &Value) -> String {
    let part =
        |name: &str| event.pointer(&format!("/data/{name}")).and_then(Value::as_str).unwrap_or_default();
    format!("{} {}", part("title"), part("message")).trim().to_owned()
}

fn text<'a>(value: &'a Value, pointer: &str) -> Result<&'a str> {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.with_context(|| format!("the answer lacks `{pointer}`: {value}"))
}

fn list(value: &Value) -> Result<&Vec<Value>> {
    value.get("data").and_then(Value::as_array).with_context(|| format!("the answer has no list: {value}"))
}
