//! Calls by name reach the method, with its arguments.

use std::cell::Cell;

use innkeeper_sdk::futures::executor::block_on;
use innkeeper_sdk::prelude::*;

/// Counts.
#[derive(Plugin, Default)]
#[plugin(id = "counter")]
struct Counter {
    count: Cell<i64>,
}

#[tools]
impl Counter {
    /// Adds to the count.
    async fn add(&self, by: i64) -> i64 {
        self.count.set(self.count.get() + by);
        self.count.get()
    }

    /// Says who asks.
    async fn who(&self, prefix: String, invocation: &Invocation, suffix: String) -> String {
        format!("{prefix}{}{suffix}", invocation.id)
    }

    /// Refuses.
    async fn refuse(&self) -> Result<(), PluginError> {
        Err(PluginError::rejected("no"))
    }
}

fn invocation() -> Invocation {
    let text = |text: &str| text.to_owned();
    Invocation {
        id: text("1"),
        turn: text("t"),
        user: None,
        chat: None,
        message: None,
        locale: None,
        extra: None,
    }
}

fn call(name: &str, arguments: &str) -> Result<ToolResult, PluginError> {
    block_on(Tool::call(Counter::instance(), invocation(), name, arguments))
}

#[test]
fn a_call_gets_its_arguments_and_keeps_state() {
    assert_eq!(call("add", "{\"by\": 2}").unwrap().content, [ToolContent::Json("2".to_owned())]);
    assert_eq!(call("add", "{\"by\": 3}").unwrap().content, [ToolContent::Json("5".to_owned())]);
    let who = call("who", "{\"suffix\": \">\", \"prefix\": \"<\"}").unwrap();
    assert_eq!(who.content, [ToolContent::Text("<1>".to_owned())]);
}

#[test]
fn a_call_that_does_not_fit_says_why() {
    let failed = |name, arguments| match call(name, arguments) {
        Err(PluginError::Failed(message)) => message,
        other => panic!("{other:?}"),
    };
    assert!(failed("add", "{}").starts_with("arguments of `add`: missing field `by`"));
    assert!(failed("add", "{").starts_with("arguments of `add`: "));
    assert_eq!(failed("subtract", "{}"), "this plugin has no tool `subtract`");
    assert!(matches!(call("refuse", "{}"), Err(PluginError::Rejected(message)) if message == "no"));
}
