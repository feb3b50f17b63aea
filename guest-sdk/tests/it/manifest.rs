//! What the macros write into a manifest.

use innkeeper_sdk::prelude::*;
use innkeeper_sdk::serde_json::{self, Value, json};

/// Does a bit of everything.
///
/// In two paragraphs.
#[derive(Plugin, Default)]
#[plugin(
    id = "all-sorts",
    homepage = "https://example.org",
    license = "MIT",
    permissions(kv = "keeps things", optional chat_messages.read = "reads along"),
    limits(fuel = 1_000_000, host_calls = 5),
    valves = Settings,
    user_valves = UserSettings
)]
struct AllSorts {
    _state: std::cell::Cell<u32>,
}

/// Settings.
#[valves]
struct Settings {
    /// How many.
    #[valve(default = 20)]
    #[schemars(range(min = 1))]
    keep: u32,
    /// What to say.
    #[valve(default = "hello")]
    greeting: String,
    tags: Vec<String>,
}

#[valves]
struct UserSettings {
    loud: bool,
}

#[tools]
impl AllSorts {
    /// Adds numbers.
    /// Use it for sums.
    ///
    /// * `left` — the one,
    ///   and only
    /// * `right`: the other
    async fn add(&self, left: i64, right: Option<i64>) -> i64 {
        left + right.unwrap_or(1)
    }

    /// Does nothing.
    #[tool(name = "do-nothing", read_only)]
    fn nothing(&self, _invocation: &Invocation) {}
}

#[pipe]
impl Pipe for AllSorts {
    async fn run(&self, _invocation: Invocation, _request: ChatRequest) -> Result<Reply, PluginError> {
        Ok(Reply::Text(String::new()))
    }
}

#[filter(priority = -7, guard)]
impl Filter for AllSorts {
    async fn inlet(&self, _invocation: Invocation, request: ChatRequest) -> Result<ChatRequest, PluginError> {
        Ok(request)
    }

    async fn outlet(
        &self,
        _invocation: Invocation,
        messages: Vec<StoredMessage>,
    ) -> Result<Vec<StoredMessage>, PluginError> {
        Ok(messages)
    }
}

#[actions]
impl AllSorts {
    /// Press me.
    async fn press(&self) {}

    #[action(id = "press-hard", name = "Press hard", icon_url = "data:,")]
    async fn press_hard(&self, _messages: Vec<StoredMessage>) -> Option<ActionResult> {
        None
    }
}

#[jobs]
impl AllSorts {
    /// Tidies up.
    #[job(schedule = "0 3 * * *")]
    async fn tidy(&self, _invocation: Invocation) -> Result<(), PluginError> {
        Ok(())
    }
}

/// Says nothing of its kinds.
#[derive(Plugin)]
#[plugin(id = "plain", name = "Very plain", description = "Another text")]
struct Plain;

#[test]
fn a_manifest_says_what_the_macros_were_told() {
    let manifest = AllSorts::manifest();
    assert_eq!(manifest.id, "all-sorts");
    assert_eq!(manifest.name, "All sorts");
    assert_eq!(manifest.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(manifest.description, "Does a bit of everything.\n\nIn two paragraphs.");
    assert_eq!(
        (manifest.license.as_deref(), manifest.homepage.as_deref()),
        (Some("MIT"), Some("https://example.org"))
    );

    let permissions: Vec<_> =
        manifest.permissions.iter().map(|p| (&*p.name, &*p.reason, p.optional)).collect();
    assert_eq!(permissions, [("kv", "keeps things", false), ("chat-messages.read", "reads along", true)]);
    let limits: Vec<_> = manifest.limits.iter().map(|limit| (&*limit.name, limit.value)).collect();
    assert_eq!(limits, [("fuel", 1_000_000), ("host-calls", 5)]);

    let filter = serde_json::to_value(manifest.filter).unwrap();
    let expected = json!({
        "hooks": ["inlet", "outlet"], "priority": -7, "toggle": false, "guard": true, "keep_instance": false,
    });
    assert_eq!(filter, expected);

    let actions: Vec<_> =
        manifest.actions.iter().map(|a| (&*a.id, &*a.name, a.icon_url.as_deref())).collect();
    assert_eq!(actions, [("press", "Press me", None), ("press-hard", "Press hard", Some("data:,"))]);
    let jobs: Vec<_> = manifest.jobs.iter().map(|job| (&*job.id, &*job.name, &*job.schedule)).collect();
    assert_eq!(jobs, [("tidy", "Tidies up", "0 3 * * *")]);
}

#[test]
fn tools_have_schemas_of_their_arguments() {
    let tools = AllSorts::manifest().tools;
    assert_eq!(tools.len(), 2);
    assert_eq!((&*tools[0].name, &*tools[0].description), ("add", "Adds numbers.\nUse it for sums."));
    assert!(!tools[0].read_only && tools[1].read_only);
    let expected = json!({
        "type": "object",
        "properties": {
            "left": { "description": "the one, and only", "type": "integer", "format": "int64" },
            "right": { "description": "the other", "type": ["integer", "null"], "format": "int64" },
        },
        "required": ["left"],
    });
    assert_eq!(parse(&tools[0].parameters), expected);
    assert_eq!(tools[1].name, "do-nothing");
    assert_eq!(parse(&tools[1].parameters), json!({ "type": "object" }));
}

#[test]
fn valves_have_schemas_with_defaults() {
    let manifest = AllSorts::manifest();
    let expected = json!({
        "description": "Settings.",
        "type": "object",
        "properties": {
            "keep": { "description": "How many.", "type": "integer", "format": "uint32", "minimum": 1, "default": 20 },
            "greeting": { "description": "What to say.", "type": "string", "default": "hello" },
            "tags": { "type": "array", "items": { "type": "string" }, "default": [] },
        },
    });
    assert_eq!(parse(&manifest.valves.unwrap()), expected);
    assert_eq!(parse(&manifest.user_valves.unwrap())["properties"]["loud"]["default"], json!(false));

    let settings: Settings = serde_json::from_str("{\"keep\": 3}").unwrap();
    assert_eq!((settings.keep, &*settings.greeting), (3, "hello"));
}

#[test]
fn a_manifest_names_no_kind_that_the_plugin_is_not() {
    let manifest = Plain::manifest();
    assert_eq!((&*manifest.name, &*manifest.description), ("Very plain", "Another text"));
    assert!(manifest.tools.is_empty() && manifest.actions.is_empty() && manifest.jobs.is_empty());
    assert!(manifest.filter.is_none() && manifest.valves.is_none() && manifest.user_valves.is_none());
}

fn parse(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}
