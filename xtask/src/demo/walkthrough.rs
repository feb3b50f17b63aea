//! What the demo shows: a chat turn through a filter and a pipe, a tool call, and an action that asks.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::show;
use crate::http::{Answer, Client};

const MODEL: &str = "echo";
const FILTER: &str = "redaction";
const TOOL: (&str, &str) = ("calculator", "calculate");
const ACTION_PLUGIN: &str = "export-markdown";

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
    let question = "Please write to ada@example.org about the engine.";
    show::sent(question);
    let mut answer = client.stream(
        "/v1/chat/completions",
        Some(&json!({
            "model": MODEL,
            "stream": true,
            "messages": [{"role": "user", "content": question}],
            "chat_id": chat,
            "innkeeper": {"store": true},
        })),
    )?;
    let turn = answer.header("x-innkeeper-turn").context("the answer names no turn")?.to_owned();
    let mut pieces = 0;
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
            pieces += 1;
        }
    }
    show::end_of_pieces(pieces);
    if pieces == 0 {
        bail!("the answer had no text");
    }
    let mut receipts = receipts(client, &turn, &[MODEL, FILTER])?;
    receipts.reverse();
    receipts.iter().for_each(show::receipt);
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
    show::receipt(&client.get(&format!("/api/receipts/{}", text(&answer, "/call")?))?);
    Ok(())
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
        let answer = answer_to(event);
        show::received(&format!("a question: {}", question_of(event)));
        show::sent(&format!("the answer {answer}"));
        client.post(&format!("/api/events/answers/{ask}"), &json!({"answer": answer}))?;
    }
    let Ok(answer) = running.join() else { bail!("the request for the action broke off") };
    let answer = answer?;
    if question.is_none() {
        bail!("the action ended without having asked");
    }
    if let Some(result) = answer.get("result") {
        show::content(result);
    }
    show::receipt(&client.get(&format!("/api/receipts/{}", text(&answer, "/call")?))?);
    Ok(())
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

/// Yes to a confirmation; the value that an input proposes, or a name.
fn answer_to(event: &Value) -> Value {
    if event.get("type").is_some_and(|kind| kind == "confirmation") {
        return Value::Bool(true);
    }
    let proposed =
        event.pointer("/data/value").filter(|value| value.as_str().is_some_and(|text| !text.is_empty()));
    proposed.cloned().unwrap_or_else(|| "demo".into())
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
