//! `--json`: one JSON value from every command, and errors as JSON too.

use innkeeper_testing::guests;
use serde_json::{Value, json};

use crate::help::leaves;
use crate::program::{Program, text};
use crate::server::Server;

#[test]
fn every_command_says_one_json_value() {
    let program = Program::new();
    let (calculator, notes) = (guests::path("calculator"), guests::path("notes"));
    let arguments = r#"{"expression": "6 * 7"}"#;
    let add = ["--name", "Ada", "--email", "ada@example.org"];
    let call = ["calculator", "calculate", "--args", arguments, "--user", "ada@example.org"];
    // In this order each finds what it needs; the last part is a member that its answer has.
    let commands: &[(&[&str], &[&str], &str)] = &[
        (&["db", "upgrade"], &[], "done"),
        (&["db", "current"], &[], "applied"),
        (&["db", "preview"], &[], "steps"),
        (&["user", "add"], &add, "id"),
        (&["key", "create"], &["--user", "ada@example.org"], "secret"),
        (&["key", "list"], &[], "data"),
        (&["key", "revoke"], &["the key"], "revoked"),
        (&["plugin", "install"], &[text(&notes)], "revision"),
        (&["plugin", "install"], &[text(&calculator)], "revision"),
        (&["plugin", "list"], &[], "data"),
        (&["plugin", "show"], &["notes"], "limits"),
        (&["plugin", "grant"], &["notes", "memories.read"], "grants"),
        (&["plugin", "revoke"], &["notes", "memories.read"], "grants"),
        (&["plugin", "enable"], &["notes"], "settings"),
        (&["plugin", "valves"], &["notes"], "values"),
        (&["plugin", "call"], &call, "receipts"),
        (&["plugin", "disable"], &["notes"], "settings"),
        (&["plugin", "remove"], &["notes"], "removed"),
    ];
    let mut key = String::new();
    for (command, arguments, member) in commands {
        let arguments: Vec<&str> =
            arguments.iter().map(|argument| if *argument == "the key" { &key } else { *argument }).collect();
        let said = program.run(&[*command, &arguments, &["--json"]].concat()).expect(0);
        assert_eq!(said.err, "", "{command:?}");
        assert!(said.json().get(member).is_some(), "{command:?}: {}", said.out);
        if *command == ["key", "create"] {
            key = said.json()["id"].as_str().unwrap().to_owned();
        }
    }
    let mut server = Server::start(&program);
    assert!(server.address.starts_with("127.0.0.1:"), "what `serve` says was read as JSON");
    server.signal();
    assert_eq!(server.end(std::time::Duration::from_secs(15)), Some(0));

    let mut tried: Vec<Vec<&str>> = commands.iter().map(|(command, ..)| command.to_vec()).collect();
    tried.push(vec!["serve"]);
    tried.sort();
    tried.dedup();
    let mut all = leaves(&program);
    all.sort();
    assert_eq!(tried, all, "every command is tried");
}

#[test]
fn every_error_is_one_json_value() {
    let mut program = Program::new();
    let error = |program: &Program, arguments: &[&str], code: i32| {
        let said = program.run(arguments).expect(code);
        assert_eq!(said.out, "", "{arguments:?}");
        let value: Value =
            serde_json::from_str(&said.err).unwrap_or_else(|_| panic!("{arguments:?}: {}", said.err));
        assert_eq!(value, json!({"error": {"message": value["error"]["message"]}}));
        value["error"]["message"].as_str().unwrap().to_owned()
    };
    for (arguments, expected) in [
        (&["--json"][..], "a command is missing; `--help` lists them"),
        (&["plugin", "--json"], "a command is missing; `--help` lists them"),
        (&["dance", "--json"], "unrecognized subcommand 'dance'"),
        (
            &["--json", "serve", "--listne", "x"],
            "unexpected argument '--listne' found tip: a similar argument exists: '--listen'",
        ),
        (
            &["--json", "user", "add", "--name", "x"],
            "the following required arguments were not provided: --email <EMAIL>",
        ),
        (
            &["user", "add", "--name", "x", "--email", "x", "--role", "king", "--json"],
            "invalid value 'king' for '--role <ROLE>' [possible values: pending, user, admin]",
        ),
    ] {
        assert_eq!(error(&program, arguments, 2), expected, "{arguments:?}");
    }
    assert!(!program.data().exists());
    // What follows `--` is no flag.
    let said = program.run(&["plugin", "show", "--", "--json", "x"]).expect(2);
    assert!(said.err.starts_with("error: unexpected argument"), "{}", said.err);
    // With every command, an error of its own, or the data directory's.
    assert!(error(&program, &["plugin", "show", "nothing", "--json"], 1).contains("nothing"));
    program.variables.push(("INNKEEPER__DATABASE__URL".to_owned(), "oracle://x".to_owned()));
    let (file, x) = (text(&guests::path("echo")).to_owned(), "x");
    for command in leaves(&program) {
        let rest: &[&str] = match command.join(" ").as_str() {
            "plugin install" => &[&file],
            "plugin show" | "plugin enable" | "plugin disable" | "plugin remove" | "plugin valves" => &[x],
            "plugin grant" | "plugin revoke" | "plugin call" => &[x, "kv"],
            "user add" => &["--name", x, "--email", x],
            "key create" => &["--user", x],
            "key revoke" => &[x],
            "serve" => &["--listen", "127.0.0.1:0"],
            _ => &[],
        };
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let message = error(&program, &[&command, rest, &["--json"]].concat(), 2);
        assert!(
            message.starts_with("setting `database.url` (variable INNKEEPER__DATABASE__URL)"),
            "{message}"
        );
    }
}
