//! `innkeeper plugin call`: runs a tool in this process, shows what it shows, asks what it asks, and prints its receipt,
//! also where it failed.

use std::convert::Infallible;
use std::io::{IsTerminal, Write};

use anyhow::Context;
use innkeeper_dispatch::{Delivery, Dispatch, Subscription, ToolTurn};
use innkeeper_model::page::PageRequest;
use innkeeper_model::tool::ToolContent;
use innkeeper_model::{PluginId, UserId};
use innkeeper_server::ReceiptView;
use innkeeper_store::{ReceiptFilter, StoreError, StoredReceipt};
use serde_json::{Value, json};

use crate::output::{Output, cell, facts, pretty};
use crate::person;
use crate::stack::Stack;

/// What to call.
pub(super) struct Order<'a> {
    pub(super) plugin: PluginId,
    pub(super) tool: String,
    pub(super) arguments: &'a str,
    pub(super) user: Option<&'a str>,
}

/// Calls a tool.
pub(super) async fn run(
    stack: &Stack,
    dispatch: &Dispatch,
    order: Order<'_>,
    output: &Output,
) -> anyhow::Result<()> {
    let arguments: Value =
        serde_json::from_str(order.arguments).context("the arguments of `--args` are not JSON")?;
    anyhow::ensure!(
        arguments.is_object(),
        "the arguments of `--args` are not a JSON object; write for example '{{\"name\": 1}}'"
    );
    let user = person::named_or_only(&stack.store, order.user).await?;
    // Known beforehand, so that the receipts of a call that fails are found as well.
    let id = uuid::Uuid::now_v7().to_string();
    let turn = ToolTurn {
        principal: innkeeper_model::Principal::person(
            user.id.clone(),
            innkeeper_model::principal::Role::from_text(&user.role),
        ),
        plugin: order.plugin,
        tool: order.tool,
        arguments,
        turn_id: Some(id.clone()),
        chat: None,
        message: None,
        locale: None,
        body_bytes: order.arguments.len() as u64,
    };
    // Before the call begins, which may ask at once.
    let events = dispatch.hub().subscribe(&user.id)?;
    let work = async {
        let outcome = dispatch.call_tool(turn).await;
        dispatch.drain(std::time::Duration::from_secs(30)).await;
        outcome
    };
    let outcome = tokio::select! {
        // What was shown last comes before the result.
        biased;
        never = listen(events, dispatch, &user.id, output) => match never {},
        outcome = work => outcome,
    };
    let receipts = receipts(stack, &id).await.unwrap_or_else(|error| {
        output.aside(&format!("the receipts cannot be shown: {error}"));
        Vec::new()
    });
    // What was refused before any code ran has no receipt.
    if receipts.is_empty() && outcome.is_err() {
        return Ok(outcome.map(drop)?);
    }
    let call = receipts.iter().map(|stored| &stored.receipt).find(|receipt| receipt.parent.is_none());
    let call = call.map(|receipt| receipt.id.clone());
    let result = outcome.as_ref().ok().map(|done| &done.result);
    let text = said(result.map(|result| result.content.as_slice()).unwrap_or_default(), &receipts);
    let receipts: Vec<ReceiptView> = receipts.into_iter().map(ReceiptView::from).collect();
    output.say(&json!({ "turn": id, "call": call, "result": result, "receipts": receipts }), || text)?;
    Ok(outcome.map(drop)?)
}

/// What the turn cost. Numbers of receipts that this process took and did not use are given back.
async fn receipts(stack: &Stack, turn: &str) -> Result<Vec<StoredReceipt>, StoreError> {
    let invocations = stack.store.invocations();
    let filter = ReceiptFilter { turn: Some(turn.to_owned()), ..ReceiptFilter::default() };
    let found = invocations.list(&filter, &PageRequest { cursor: None, limit: 200 }).await?;
    invocations.release().await?;
    Ok(found.items)
}

/// Shows events and answers questions for as long as the call runs.
async fn listen(mut events: Subscription, dispatch: &Dispatch, user: &UserId, output: &Output) -> Infallible {
    while let Some(delivery) = events.next().await {
        output.aside(&format!("{}: {}", cell(&delivery.event.kind), cell(&delivery.event.data.to_string())));
        let Some(ask) = delivery.ask.clone() else { continue };
        // Reading a line blocks a thread, which must not be one that runs the call.
        let answer = tokio::task::spawn_blocking(move || prompt(&delivery)).await.unwrap_or_default();
        let _ = dispatch.hub().answer(user, &ask, answer);
    }
    std::future::pending().await
}

/// Asks the person at the terminal; where there is none, nobody agrees to anything.
fn prompt(question: &Delivery) -> Value {
    if !std::io::stdin().is_terminal() {
        return Value::Null;
    }
    let is_confirmation = question.event.kind == "confirmation";
    let hint = if is_confirmation { "[y/N] " } else { "> " };
    let mut terminal = std::io::stderr();
    let _ = write!(terminal, "{hint}").and_then(|()| terminal.flush());
    let mut line = String::new();
    if std::io::stdin().read_line(&mut line).is_err() {
        return Value::Null;
    }
    let line = line.trim_end_matches(['\n', '\r']);
    if is_confirmation { json!(matches!(line, "y" | "Y" | "yes")) } else { json!(line) }
}

fn said(content: &[ToolContent], receipts: &[StoredReceipt]) -> String {
    let mut text = String::new();
    for part in content {
        let part = match part {
            ToolContent::Text { text } => text.lines().map(cell).collect::<Vec<_>>().join("\n"),
            ToolContent::Json { value } => pretty(value),
            ToolContent::Html { summary, .. } => {
                format!("HTML: {}", cell(summary.as_deref().unwrap_or("without a summary")))
            }
            ToolContent::File { id } => format!("file {}", cell(id.as_str())),
        };
        text.push_str(&part);
        text.push('\n');
    }
    for StoredReceipt { receipt, .. } in receipts {
        let used = &receipt.delivered;
        let host_calls: u64 = used.host_calls.values().sum();
        let facts = facts(&[
            ("receipt", receipt.id.clone()),
            ("plugin", format!("{} revision {}, {}", receipt.plugin, receipt.revision, receipt.export)),
            ("outcome", receipt.outcome.as_str().to_owned()),
            ("fuel", used.fuel.to_string()),
            ("active", format!("{:.3} ms", used.active_us as f64 / 1_000.0)),
            ("waiting", format!("{:.3} ms", used.waiting_us as f64 / 1_000.0)),
            ("memory", format!("{} bytes", used.peak_memory)),
            ("host calls", host_calls.to_string()),
        ]);
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&facts);
    }
    text
}
