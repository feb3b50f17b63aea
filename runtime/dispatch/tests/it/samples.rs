//! The samples as people use them: each alone, through the sandbox, with what it promises in its README.

use std::collections::BTreeMap;

use innkeeper_dispatch::{ChatTurn, DispatchError, ToolTurn};
use innkeeper_model::manifest::{FilterDescription, FilterHooks};
use innkeeper_model::principal::Role;
use innkeeper_model::tool::ToolContent;
use innkeeper_model::{Permission, Principal, UserId};
use serde_json::{Value, json};

use crate::upstream::Upstream;
use crate::world::{Builder, Installed, Said, World, plugin, world};

mod ask_user;
mod calculator;
mod context_clip;
mod echo;
mod export_markdown;
mod forward;
mod notes;
mod rate_limit;
mod redaction;
mod unchanged;
mod usage_report;

/// The same world twice: filters keep their instance through the turn, and get a fresh one for each hook.
async fn either_way(build: impl Fn(Builder) -> Builder) -> [World; 2] {
    let kept = build(world().keep_instances(true)).build().await;
    let fresh = build(world().keep_instances(false)).build().await;
    [kept, fresh]
}

/// Has a filter called at every hook, also at those that it leaves as they are, on one instance where the server keeps them.
/// A filter with one hook would be a single call either way.
fn at_every_hook(filter: &mut FilterDescription) {
    filter.hooks = FilterHooks { inlet: true, request: true, stream: true, outlet: true };
    filter.keep_instance = true;
}

/// Runs the same in two worlds, and checks that the same came of it.
async fn both(filter: fn() -> Installed, upstream: &Upstream, bodies: &[Value]) -> Vec<Vec<Said>> {
    let build = |builder: Builder| {
        let filter = filter().filter(at_every_hook).global();
        builder.provider(upstream.config()).plugin(plugin("echo")).plugin(filter)
    };
    let mut results = Vec::new();
    for (world, kept) in either_way(build).await.into_iter().zip([true, false]) {
        let mut said = Vec::new();
        for body in bodies {
            said.push(world.chat(world.turn_of(body.clone())).await);
        }
        check_calls(&world, kept, &said).await;
        world.assert_idle().await;
        results.push(said);
    }
    let texts = |said: &Vec<Said>| said.iter().map(Said::partial).collect::<Vec<_>>();
    assert_eq!(texts(&results[0]), texts(&results[1]));
    results
}

/// A kept filter is one call of its turn, a fresh one a call for each hook; none may have ended by anything but its own word.
async fn check_calls(world: &World, kept: bool, said: &[Said]) {
    for said in said {
        let receipts = world.receipts(&said.end.receipts).await;
        let mut calls: BTreeMap<String, usize> = BTreeMap::new();
        for receipt in &receipts {
            assert!(matches!(receipt.outcome.as_str(), "ok" | "rejected"), "kept {kept}: {receipt:?}");
            if receipt.export.starts_with("filter.") {
                *calls.entry(receipt.plugin.to_string()).or_default() += 1;
            }
        }
        assert!(!calls.is_empty(), "kept {kept}: {receipts:?}");
        let refused = matches!(said.end.error, Some(DispatchError::Rejected { .. }));
        for (plugin, count) in calls {
            assert_eq!(count == 1, kept || refused, "kept {kept}: {count} calls of `{plugin}`");
        }
    }
}

fn user(model: &str, stream: bool, text: &str) -> Value {
    json!({ "model": model, "stream": stream, "messages": [{"role": "user", "content": text}] })
}

/// A turn of somebody else's than Ada's.
fn turn_by(user: &UserId, turn: ChatTurn) -> ChatTurn {
    ChatTurn { principal: Principal::person(user.clone(), Role::User), ..turn }
}

/// Calls a tool for somebody.
async fn tool_by(
    world: &World,
    user: &UserId,
    plugin: &str,
    tool: &str,
    arguments: Value,
) -> Result<Value, DispatchError> {
    let principal = Principal::person(user.clone(), Role::User);
    let turn = ToolTurn { principal, ..world.tool_turn(plugin, tool, arguments) };
    let result = world.dispatch.call_tool(turn).await?.result;
    match result.content.as_slice() {
        [ToolContent::Json { value }] => Ok(value.clone()),
        [ToolContent::Text { text }] => Ok(Value::String(text.clone())),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_three_filters_together_give_the_same_either_way() {
    let build = |builder: Builder| {
        builder
            .plugin(plugin("echo"))
            .plugin(plugin("context-clip").filter(at_every_hook).global())
            .plugin(plugin("redaction").filter(at_every_hook).grant(&[Permission::Kv]).global())
            .plugin(plugin("rate-limit").filter(at_every_hook).grant(&[Permission::Kv]).global())
    };
    for (world, kept) in either_way(build).await.into_iter().zip([true, false]) {
        let said = world.chat(world.turn("echo", "mail ann@example.org and go")).await;
        assert_eq!(said.text(), "mail [e-mail] and go", "kept {kept}");
        check_calls(&world, kept, &[said]).await;
        world.assert_idle().await;
    }
}
