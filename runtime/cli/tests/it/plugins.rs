//! `innkeeper plugin`.

use std::path::PathBuf;

use innkeeper_testing::guests;
use serde_json::json;

use crate::program::{Program, text};

#[test]
fn a_plugin_is_installed_called_and_removed() {
    let program = Program::new();
    program.run(&["user", "add", "--name", "Ada", "--email", "ada@example.org"]).expect(0);
    let component = guests::path("calculator");
    let installed = program.json(&["plugin", "install", text(&component)]);
    assert_eq!(
        (&installed["id"], &installed["state"], &installed["revision"]),
        (&json!("calculator"), &json!("ready"), &json!(1))
    );

    let args = r#"{"expression": "2 * (3 + sqrt(16))"}"#;
    let call = ["plugin", "call", "calculator", "calculate", "--args", args, "--user", "ada@example.org"];
    let called = program.json(&call);
    assert_eq!(called["result"]["content"][0], json!({"type": "json", "value": 14.0}));
    assert_eq!(called["receipts"][0]["outcome"], json!("ok"));
    assert_eq!(called["receipts"][0]["id"], called["call"]);
    assert!(called["receipts"][0]["delivered"]["fuel"].as_u64().unwrap() > 0);
    let shown = program.run(&call).expect(0).out;
    assert!(shown.starts_with("14.0\n\nreceipt"), "{shown}");
    let refused = program.run(&[&call[..5], &["{\"expression\": 1}", "--user", "ada@example.org"]].concat());
    assert_eq!(refused.expect(1).out, "", "no code ran, so there is no receipt");

    // Nobody has a key, so nobody goes without saying.
    let nobody = program.run(&call[..6]).expect(1);
    assert!(nobody.err.contains("--user"), "{}", nobody.err);
    program.run(&["key", "create", "--user", "ada@example.org"]).expect(0);
    program.run(&call[..6]).expect(0);

    let list = program.run(&["plugin", "list"]).expect(0).out;
    assert!(list.lines().nth(1).unwrap().starts_with("calculator  "), "{list}");
    program.run(&["plugin", "disable", "calculator"]).expect(0);
    let disabled = program.run(&call).expect(1);
    assert!(disabled.err.contains("is disabled"), "{}", disabled.err);
    program.run(&["plugin", "enable", "calculator"]).expect(0);
    assert_eq!(program.json(&["plugin", "remove", "calculator"]), json!({"removed": "calculator"}));
    assert_eq!(program.json(&["plugin", "list"]), json!({"data": []}));
    program.run(&["plugin", "show", "calculator"]).expect(1);
}

#[test]
fn permissions_and_valves_are_set() {
    let program = Program::new();
    let component = guests::path("probe");
    let installed = program.json(&["plugin", "install", text(&component), "--grant", "kv"]);
    assert_eq!(installed["grants"], json!({"kv": {"scope": "own", "unattended": false}}));
    let granted = program.json(&["plugin", "grant", "probe", "chats.read", "--scope", "all", "--unattended"]);
    assert_eq!(granted["grants"]["chats.read"], json!({"scope": "all", "unattended": true}));
    let others = program.json(&["plugin", "grant", "probe", "events.other", "--event-type", "terminal:open"]);
    assert_eq!(others["grants"]["events.other"]["event_types"], json!(["terminal:open"]));
    let revoked = program.json(&["plugin", "revoke", "probe", "chats.read"]);
    assert_eq!(revoked["grants"]["chats.read"], json!(null));
    let unknown = program.run(&["plugin", "grant", "probe", "fly"]).expect(1);
    assert!(unknown.err.contains("unknown permission `fly`; there are users.read"), "{}", unknown.err);

    assert_eq!(program.json(&["plugin", "valves", "probe"])["values"], json!({"job": "", "number": 7}));
    assert_eq!(
        program.json(&["plugin", "valves", "probe", "--set", r#"{"number": 8}"#])["values"]["number"],
        json!(8)
    );
    let wrong =
        program.run(&["plugin", "valves", "probe", "--set", r#"{"number": "x", "job": 1}"#]).expect(1);
    assert!(wrong.err.contains("`/number`") && wrong.err.contains("`/job`"), "{}", wrong.err);
    program.run(&["plugin", "valves", "probe", "--set", "{"]).expect(1);
    program.run(&["user", "add", "--name", "Ada", "--email", "ada@example.org"]).expect(0);
    let own = program.json(&[
        "plugin",
        "valves",
        "probe",
        "--user",
        "ada@example.org",
        "--set",
        r#"{"text": "mine"}"#,
    ]);
    assert_eq!(own["values"], json!({"text": "mine"}));

    let shown = program.run(&["plugin", "show", "probe"]).expect(0).out;
    for word in ["PERMISSION", "kv", "TOOL", "ACTION", "LIMIT", "fuel-per-kib"] {
        assert!(shown.contains(word), "{shown}");
    }
}

#[test]
fn what_is_no_plugin_is_refused() {
    let program = Program::new();
    let check = |bytes: &[u8], says: &str| {
        let path = program.dir.path().join("bad.wasm");
        std::fs::write(&path, bytes).unwrap();
        let said = program.run(&["plugin", "install", text(&path)]).expect(1);
        assert!(
            said.err.contains(says) && program.plain(&said.err).contains("[place]/bad.wasm"),
            "{}",
            said.err
        );
    };
    check(b"", "not a WebAssembly component");
    check(b"\0asm\x01\0\0\0", "core WebAssembly module");
    check(b"\0asm\x0d\0\x01\0", "exports nothing of `innkeeper:plugin`");
    let missing = program.run(&["plugin", "install", "missing.wasm"]).expect(1);
    assert!(missing.err.contains("cannot read `missing.wasm`"), "{}", missing.err);
    let mut small = Program::new();
    small.variables.push(("INNKEEPER__PLUGIN__COMPONENT_MAX".to_owned(), "1024".to_owned()));
    let large = small.run(&["plugin", "install", text(&guests::path("echo"))]).expect(1);
    assert!(large.err.contains("larger than 1024 bytes"), "{}", large.err);
    let id = program.run(&["plugin", "show", "../etc"]).expect(1);
    assert!(id.err.contains("is not of the form"), "{}", id.err);
    assert_eq!(program.json(&["plugin", "list"]), json!({"data": []}));
}

#[test]
fn a_filter_is_applied_to_models() {
    let program = Program::new();
    program.run(&["plugin", "install", text(&guests::path("context-clip"))]).expect(0);
    let settings = |arguments: &[&str]| {
        program.json(&[&["plugin", "enable", "context-clip"], arguments].concat())["settings"].clone()
    };
    let some = settings(&["--model", "echo", "--model", "other", "--priority", "-3", "--on-failure", "skip"]);
    assert_eq!(some["models"], json!(["echo", "other"]));
    assert_eq!(
        (&some["global"], &some["priority"], &some["on_failure"]),
        (&json!(false), &json!(-3), &json!("skip"))
    );
    assert_eq!(settings(&[]), some);
    let all = settings(&["--global"]);
    assert_eq!((&all["global"], &all["models"], &all["priority"]), (&json!(true), &json!([]), &json!(-3)));
    program.run(&["plugin", "enable", "context-clip", "--global", "--model", "echo"]).expect(2);
    let shown = program.run(&["plugin", "show", "context-clip"]).expect(0).out;
    assert!(shown.contains("applies to  every model"), "{shown}");
}

#[test]
fn text_of_plugins_cannot_reach_the_terminal_unescaped() {
    let program = Program::new();
    program.run(&["user", "add", "--name", "Ada", "--email", "ada@example.org"]).expect(0);
    program.run(&["plugin", "install", text(&guests::path("ask-user")), "--grant-requested"]).expect(0);
    let asked = program.run(&[
        "plugin",
        "call",
        "ask-user",
        "confirm",
        "--user",
        "ada@example.org",
        "--args",
        "{\"question\": \"\\u001b[31mred\\u202etxt\"}",
    ]);
    // Nobody is at the terminal, so the question is shown, and declined.
    let asked = asked.expect(0);
    assert!(asked.err.contains("confirmation: ") && asked.err.contains("[31mred"), "{}", asked.err);
    assert!(asked.out.starts_with("no\n"), "{}", asked.out);
    assert!(!asked.err.contains(['\u{1b}', '\u{202e}']) && !asked.out.contains('\u{1b}'), "{}", asked.err);
}

#[test]
fn the_compilers_process_makes_machine_code_within_its_memory() {
    let program = Program::new();
    let compile = |memory: &str| {
        let mut command = program.command(&["compile-worker", memory]);
        let component = std::fs::File::open(guests::path("calculator")).unwrap();
        command.stdin(component).output().unwrap()
    };
    let made = compile("4294967296");
    assert!(made.status.success() && !made.stdout.is_empty(), "{}", String::from_utf8_lossy(&made.stderr));
    let bounded = compile("8388608");
    assert!(!bounded.status.success() && bounded.stdout.is_empty());
    program.run(&["compile-worker", "x"]).expect(1);
}

/// A guest whose texts are changed, in a file of its own.
fn changed(program: &Program, name: &str, changes: &[(&str, &str)]) -> PathBuf {
    let path = program.dir.path().join(format!("{name}.wasm"));
    std::fs::write(&path, guests::changed(name, changes)).unwrap();
    path
}

#[test]
fn what_a_plugin_says_of_itself_cannot_reach_the_terminal_unescaped() {
    let program = Program::new();
    let install = |name: &str, changes: &[(&str, &str)]| {
        let component = changed(&program, name, changes);
        program.run(&["plugin", "install", text(&component)]).expect(0).out
    };
    install(
        "export-markdown",
        &[
            ("Export markdown", "Export\u{202e}rkdown"),
            ("Saves a chat as", "Saves\u{202e}chat as"),
            ("links the file", "links\u{202e}e file"),
            ("Export as Markdown", "Export\u{202e} Markdown"),
        ],
    );
    install("notes", &[("Lists notes.", "Lists\u{202e}tes.")]);
    let shows = |arguments: &[&str], expected: &[&str]| {
        let said = program.run(arguments).expect(0).out;
        assert!(!said.contains('\u{202e}'), "{said}");
        for text in expected {
            assert!(said.contains(text), "`{text}` is not in {said}");
        }
    };
    let (name, action) = ("Export\\u{202e}rkdown", "Export\\u{202e} Markdown");
    let (about, reason) = ("Saves\\u{202e}chat as", "links\\u{202e}e file");
    shows(&["plugin", "show", "export-markdown"], &[name, about, reason, action]);
    shows(&["plugin", "show", "notes"], &["Lists\\u{202e}tes."]);
    shows(&["plugin", "list"], &[name]);
}

#[test]
fn a_plugin_is_installed_once_unless_it_is_to_be_replaced() {
    let program = Program::new();
    let component = guests::path("calculator");
    let install = |more: &[&str]| program.run(&[&["plugin", "install", text(&component)], more].concat());
    install(&[]).expect(0);
    let again = install(&[]).expect(1);
    assert_eq!(again.out, "");
    assert!(again.err.contains("`calculator` is installed already"), "{}", again.err);
    assert!(again.err.contains("--replace"), "{}", again.err);
    assert_eq!(program.json(&["plugin", "show", "calculator"])["revision"], json!(1));
    program.run(&["plugin", "disable", "calculator"]).expect(0);
    // Another program under the same id; settings stay.
    let further = changed(&program, "calculator", &[("calculatorCalculator", "calculatorReckoner_x")]);
    let replaced = program.json(&["plugin", "install", text(&further), "--replace"]);
    assert_eq!((&replaced["id"], &replaced["revision"]), (&json!("calculator"), &json!(2)));
    assert_eq!((&replaced["name"], &replaced["state"]), (&json!("Reckoner_x"), &json!("disabled")));
    program.run(&["plugin", "enable", "calculator"]).expect(0);
    assert_eq!(program.json(&["plugin", "list"])["data"].as_array().unwrap().len(), 1);
}

#[test]
fn a_call_that_fails_shows_its_receipt() {
    let program = Program::new();
    program.run(&["user", "add", "--name", "Ada", "--email", "ada@example.org"]).expect(0);
    program.run(&["plugin", "install", text(&guests::path("misbehave")), "--grant-requested"]).expect(0);
    let call = |how: &str, more: &[&str]| {
        let args = json!({ "how": how }).to_string();
        let call = ["plugin", "call", "misbehave", "misbehave", "--user", "ada@example.org", "--args", &args];
        program.run(&[&call[..], more].concat()).expect(1)
    };
    for (how, outcome, says) in [
        ("trap", "trapped", "plugin `misbehave` crashed"),
        ("loop", "limit-exceeded", "plugin `misbehave` exceeded its limit `fuel`"),
    ] {
        let broken = call(how, &[]);
        assert!(broken.err.contains(says), "{}", broken.err);
        assert!(broken.out.starts_with("receipt"), "{}", broken.out);
        assert!(broken.out.contains(&format!("outcome     {outcome}")), "{}", broken.out);
        let broken = call(how, &["--json"]);
        let error: serde_json::Value = serde_json::from_str(&broken.err).unwrap();
        assert!(error["error"]["message"].as_str().unwrap().contains(says), "{error}");
        let said = broken.json();
        assert_eq!((&said["result"], &said["receipts"][1]), (&json!(null), &json!(null)));
        let receipt = &said["receipts"][0];
        assert_eq!(
            (&receipt["outcome"], &receipt["id"], &receipt["turn"]),
            (&json!(outcome), &said["call"], &said["turn"])
        );
        assert!(receipt["delivered"]["fuel"].as_u64().unwrap() > 0, "{receipt}");
    }
}
