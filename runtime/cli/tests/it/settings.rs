//! Settings: where they come from, and what is said of those that make no sense.

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
        "limits.fule = 1",
        "ceilings.fuel = 1\nlimits.fuel = 2",
        "database.url = \"\"",
        "database.max_connections = 0",
        "log.format = \"xml\"",
        "plugin.component_max = 1.5",
        "[providers.local]\nmodels = [\"m\"]",
        "[providers.local]\nbase_url = \"example.org\"",
        "listen = ",
        "listen = \"a\"\nlisten = \"b\"",
    ] {
        let file = program.write("a.toml", &format!("{line}\n"));
        let said = program.run(&[&["--config", text(&file)], COMMAND].concat());
        assert_eq!(said.code, Some(2), "{line}: {}{}", said.out, said.err);
        all.push_str(&format!("{}\n  {}\n", line.replace('\n', " ⏎ "), program.plain(said.err.trim())));
    }
    insta::assert_snapshot!("wrong-settings", all);
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
    assert!(said.err.starts_with("error: settings file `missing.toml` cannot be read: "), "{}", said.err);
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
