//! Settings: where they come from, and what is said of those that make no sense.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::program::{Program, text};

/// A command that reads settings and does little else.
const COMMAND: &[&str] = &["db", "preview"];

#[track_caller]
fn check(program: &Program, arguments: &[&str], expected: &str) {
    let said = program.run(&[arguments, COMMAND].concat()).expect(2);
    assert_eq!(program.plain(said.err.trim()), expected);
}

#[test]
fn a_wrong_setting_names_itself_and_its_place() {
    let mut program = Program::new();
    let file = program.write("a.toml", "# first line\nlisten = \"nowhere\"\n");
    let says = "`nowhere` is no address with a port; write for example `127.0.0.1:8080`";
    check(
        &program,
        &["--config", text(&file)],
        &format!("error: setting `listen` ([place]/a.toml:2): {says}"),
    );
    program.variables.push(("INNKEEPER__LISTEN".to_owned(), "nowhere".to_owned()));
    check(&program, &[], &format!("error: setting `listen` (variable INNKEEPER__LISTEN): {says}"));
    let said = program.run(&["serve", "--listen", "nowhere"]).expect(2);
    assert_eq!(said.err.trim(), format!("error: setting `listen` (flag --listen): {says}"));
    let said = program.run(&["serve", "--listen", "nowhere", "--json"]).expect(2);
    let error: serde_json::Value = serde_json::from_str(&said.err).unwrap();
    assert_eq!(error["error"]["message"], format!("setting `listen` (flag --listen): {says}"));
}

#[test]
fn every_sort_of_wrong_setting_says_what_to_write() {
    let program = Program::new();
    let mut all = String::new();
    for line in [
        "listne = \"127.0.0.1:1\"",
        "colour = \"red\"",
        "listen = 8080",
        "drain_deadline = \"soon\"",
        "drain_deadline = -1",
        "allowed_origins = [\"chat.example.org\"]",
        "allowed_origins = [1]",
        "limits.fuel = 99999999999999",
        "limits.fuel = -1",
        "limits.active = \"long\"",
        "limits.fule = 1",
        "ceilings.fuel = 1\nlimits.fuel = 2",
        "data_dir = \"a.toml\"",
        "data_dir = 1",
        "database.url = \"\"",
        "database.url = \"oracle://x\"",
        "database.url = \"postgresql://user:secret@host:port/name\"",
        "database.max_connections = 0",
        "plugin.component_max = 1.5",
        "plugin.component_max = 1023",
        "plugin.stack = 65535",
        "plugin.compile_timeout = 3601",
        "plugin.instances = 1",
        "http.json_max = 1023",
        "http.connections = 0",
        "events.ask_timeout = 86401",
        "receipts.keep_days = 0",
        "receipts.keep_rows = 0",
        "log.format = \"xml\"",
        "log.filter = \"innkeeper=loud\"",
        "log.filter = \"\"",
        "log.filter = true",
        "config = \"other.toml\"",
        "[providers.local]\nmodels = [\"m\"]",
        "[providers.local]\nbase_url = \"example.org\"",
        "[providers.local]\nbase_url = \"https://\"",
        "[providers.local]\nbase_url = \"https://example.org/v1\"\napi_key = 1",
        "[providers.local]\nbase_url = \"https://example.org/v1\"\nmodels = [1]",
        "[providers.local]\nbase_url = \"https://example.org/v1\"\nmodel = \"m\"",
        "listen = ",
        "listen = \"a\"\nlisten = \"b\"",
    ] {
        let file = program.write("a.toml", &format!("{line}\n"));
        let mut command = program.command(&[&["--config", text(&file)], COMMAND].concat());
        if line.starts_with("data_dir") {
            command.env_remove("INNKEEPER__DATA_DIR");
        }
        let said = crate::program::said(&mut command);
        assert_eq!(said.code, Some(2), "{line}: {}{}", said.out, said.err);
        assert!(!said.err.contains("secret"), "{}", said.err);
        all.push_str(&format!("{}\n  {}\n", line.replace('\n', " ⏎ "), program.plain(said.err.trim())));
    }
    insta::assert_snapshot!("wrong-settings", all);
}

#[test]
fn a_wrong_variable_names_itself() {
    let program = Program::new();
    let mut all = String::new();
    for (name, value) in [
        (&b"LISTEN"[..], &b"nowhere"[..]),
        (b"ALLOWED_ORIGINS", b"https://a.example.org,b"),
        (b"DRAIN_DEADLINE", b"soon"),
        (b"DATABASE__URL", b"oracle://x"),
        (b"DATABASE__MAX_CONNECTIONS", b"1001"),
        (b"PLUGIN__COMPONENT_MAX", b"1.5"),
        (b"PLUGIN__COMPILE_TIMEOUT", b"3601"),
        (b"PLUGIN__INSTANCES", b"-1"),
        (b"HTTP__JSON_MAX", b""),
        (b"HTTP__CONNECTIONS", b"many"),
        (b"EVENTS__ASK_TIMEOUT", b"99999999999999999999"),
        (b"RECEIPTS__KEEP_DAYS", b"36501"),
        (b"RECEIPTS__KEEP_ROWS", b"0"),
        (b"LOG__FORMAT", b"xml"),
        (b"LOG__FILTER", b"innkeeper=loud"),
        (b"LIMITS__FUEL_PER_KIB", b"x"),
        (b"CEILINGS__MEMORY", b"1073741824"),
        (b"PROVIDERS__LOCAL__BASE_URL", b"example.org"),
        (b"DATA_DIR", b""),
        (b"CONFIG", b"missing.toml"),
        (b"LISTNE", b"127.0.0.1:1"),
        (b"LISTEN", b"\xff"),
        (b"LIS\xffTEN", b"x"),
    ] {
        let variable = [b"INNKEEPER__", name].concat();
        let mut command = program.command(COMMAND);
        command.env(OsStr::from_bytes(&variable), OsStr::from_bytes(value));
        let said = crate::program::said(&mut command);
        let (name, value) = (String::from_utf8_lossy(&variable), String::from_utf8_lossy(value));
        let shown = format!("{name}={value}");
        assert_eq!(said.code, Some(2), "{shown}: {}{}", said.out, said.err);
        assert!(said.err.contains(&format!("(variable {name})")), "{shown}: {}", said.err);
        all.push_str(&format!("{shown}\n  {}\n", program.plain(said.err.trim())));
    }
    insta::assert_snapshot!("wrong-variables", all);
}

#[test]
fn a_wrong_flag_names_itself() {
    let program = Program::new();
    let check = |arguments: &[&OsStr], expected: &str| {
        let mut command = program.command(&[]);
        let said = crate::program::said(command.args(arguments)).expect(2);
        assert_eq!(said.err.trim(), expected);
    };
    let flag = |command: &[&str], flag: &str, value: &[u8], expected: &str| {
        let mut arguments: Vec<&OsStr> = command.iter().map(OsStr::new).collect();
        arguments.extend([OsStr::new(flag), OsStr::from_bytes(value)]);
        check(&arguments, expected);
    };
    flag(
        COMMAND,
        "--database-url",
        b"oracle://x",
        "error: setting `database.url` (flag --database-url): `oracle` is not a kind of database that is supported; \
         use sqlite, postgresql, mysql or mariadb",
    );
    flag(
        &["serve"],
        "--drain-deadline",
        b"soon",
        "error: setting `drain_deadline` (flag --drain-deadline): is not a whole number; \
         write a whole number from 0 to 86400",
    );
    flag(
        &["serve"],
        "--log-format",
        b"xml",
        "error: setting `log.format` (flag --log-format): `xml` is none of its values; write `text` or `json`",
    );
    flag(
        COMMAND,
        "--data-dir",
        b"da\xffta",
        "error: setting `data_dir` (flag --data-dir): the path `da\u{fffd}ta` is not UTF-8; choose another",
    );
}

#[test]
fn later_layers_win() {
    let mut program = Program::new();
    std::fs::create_dir(program.data()).unwrap();
    let url = |name: &str| format!("sqlite:///{}/{name}.db", program.dir.path().display());
    let preview = |program: &Program, arguments: &[&str]| {
        program.run(&[arguments, &["db", "upgrade"]].concat()).expect(0)
    };
    let exists = |program: &Program, name: &str| program.dir.path().join(format!("{name}.db")).exists();

    std::fs::write(program.data().join("innkeeper.toml"), format!("database.url = \"{}\"\n", url("file")))
        .unwrap();
    set_private(&program);
    preview(&program, &[]);
    assert!(exists(&program, "file"));
    let (by_variable, by_flag) = (url("variable"), url("flag"));
    program.variables.push(("INNKEEPER__DATABASE__URL".to_owned(), by_variable));
    preview(&program, &[]);
    assert!(exists(&program, "variable"));
    preview(&program, &["--database-url", &by_flag]);
    assert!(exists(&program, "flag"));
}

#[test]
fn a_file_that_is_named_must_be_there() {
    let program = Program::new();
    let said = program.run(&[&["--config", "missing.toml"], COMMAND].concat()).expect(2);
    let expected = "error: settings file `missing.toml` (flag --config) cannot be read: ";
    assert!(said.err.starts_with(expected), "{}", said.err);
}

#[test]
fn a_file_can_name_the_data_directory_beside_itself() {
    let mut program = Program::new();
    let file = program.write("a.toml", "data_dir = \"elsewhere\"\n");
    let mut command =
        program.command(&["--config", text(&file), "user", "add", "--name", "A", "--email", "a@example.org"]);
    command.env_remove("INNKEEPER__DATA_DIR");
    crate::program::said(&mut command).expect(0);
    assert!(program.dir.path().join("elsewhere/innkeeper.db").exists());
    program.variables.clear();
    let said = crate::program::said(program.command(COMMAND).env_remove("INNKEEPER__DATA_DIR"));
    assert!(said.expect(2).err.contains("--data-dir"));
}

fn set_private(program: &Program) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(program.data(), std::fs::Permissions::from_mode(0o700)).unwrap();
}
