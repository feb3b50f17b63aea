//! The data directory.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use innkeeper_testing::skips::skip;

use crate::program::{Program, Said, said, text};

const ADD: &[&str] = &["user", "add", "--name", "Ada", "--email", "ada@example.org"];

#[test]
fn a_missing_data_directory_is_made_for_its_owner_alone() {
    let program = Program::new();
    program.run(ADD).expect(0);
    let mode = |path: &str| fs::metadata(program.data().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(""), 0o700);
    assert_eq!(mode("files"), 0o700);
}

#[test]
fn a_data_directory_that_others_can_read_is_refused_once_it_is_in_use() {
    let program = Program::new();
    fs::create_dir(program.data()).unwrap();
    fs::set_permissions(program.data(), fs::Permissions::from_mode(0o755)).unwrap();
    program.run(ADD).expect(0);
    assert_eq!(fs::metadata(program.data()).unwrap().permissions().mode() & 0o777, 0o700);
    fs::set_permissions(program.data(), fs::Permissions::from_mode(0o755)).unwrap();
    let said = program.run(ADD).expect(1);
    assert_eq!(
        program.plain(said.err.trim()),
        "error: data directory `[place]/data` is open to others (mode 755); run `chmod 700 [place]/data`"
    );
}

#[test]
fn a_data_directory_that_cannot_be_used_says_why() {
    let program = Program::new();
    let file = program.write("file", "");
    let check = |said: Said, expected: &str| {
        assert_eq!(program.plain(said.expect(2).err.trim()), expected);
    };
    check(
        program.run(&[&["--data-dir", text(&file)], ADD].concat()),
        "error: setting `data_dir` (flag --data-dir): `[place]/file` is a file; name a directory",
    );
    let below = file.join("data");
    check(
        program.run(&[&["--data-dir", text(&below)], ADD].concat()),
        "error: setting `data_dir` (flag --data-dir): a folder on the way to `[place]/file/data` is a file; \
         name another directory",
    );
    // Where nobody names one, the default is to blame, and its place is said too.
    program.write("innkeeper", "");
    let mut command = program.command(ADD);
    check(
        said(command.env_remove("INNKEEPER__DATA_DIR").env("XDG_DATA_HOME", program.dir.path())),
        "error: setting `data_dir` (the default): `[place]/innkeeper` is a file; name a directory",
    );
    let said = program.run(&[&["--data-dir", "/proc/innkeeper"], ADD].concat()).expect(1);
    assert!(said.err.starts_with("error: data directory `/proc/innkeeper` cannot be made"), "{}", said.err);
}

/// Runs a script where the data directory is a file system of so many KiB. `None`, loudly, where this machine lets nobody mount one.
fn on_small_disk(test: &str, program: &Program, size: u32, script: &str) -> Option<Said> {
    fs::create_dir_all(program.data()).unwrap();
    let mount = format!("mount -t tmpfs -o size={size}k,mode=700 none '{}'", program.data().display());
    let shell = |namespaces: &str, script: &str| {
        let mut command = Command::new("unshare");
        command.args([namespaces, "sh", "-c", script]).env("INNKEEPER__DATA_DIR", program.data());
        command.env("innkeeper", env!("CARGO_BIN_EXE_innkeeper"));
        command
    };
    // As a user who is root in a namespace of their own; else as root, where those are forbidden.
    let mut refusals = String::new();
    for namespaces in ["-rm", "-m"] {
        match shell(namespaces, &mount).output() {
            Ok(tried) if tried.status.success() => {
                return Some(said(&mut shell(namespaces, &format!("{mount} && {script}"))));
            }
            Ok(tried) => refusals.push_str(&String::from_utf8_lossy(&tried.stderr)),
            Err(error) => refusals.push_str(&format!("unshare: {error}\n")),
        }
    }
    let refusals = refusals.trim().replace('\n', "; ");
    let reason = format!(
        "a small file system cannot be mounted here; allow user namespaces, or run as root ({refusals})"
    );
    skip(test, &reason);
    None
}

#[test]
fn a_full_data_directory_is_one_clear_error() {
    let program = Program::new();
    let fill = "head -c 1000000 /dev/zero > \"$INNKEEPER__DATA_DIR/fill\" 2>/dev/null";
    let script = format!("{fill}; exec \"$innkeeper\" user add --name A --email a@example.org");
    let test = "a_full_data_directory_is_one_clear_error";
    let Some(said) = on_small_disk(test, &program, 64, &script) else { return };
    let said = said.expect(1);
    assert_eq!(
        program.plain(said.err.trim()),
        "error: data directory `[place]/data` is full; free some space on its file system"
    );
}

#[test]
fn a_disk_that_fills_up_while_the_schema_is_made_is_one_clear_error_and_can_be_gone_on_from() {
    let program = Program::new();
    let add = "\"$innkeeper\" user add --name A --email a@example.org";
    let grow = "mount -o remount,size=20m \"$INNKEEPER__DATA_DIR\"";
    let script = format!("{add}; echo \"first: $?\" >&2; {grow}; exec {add}");
    let test = "a_disk_that_fills_up_while_the_schema_is_made_is_one_clear_error_and_can_be_gone_on_from";
    let Some(said) = on_small_disk(test, &program, 120, &script) else { return };
    let said = said.expect(0);
    assert!(said.err.contains("first: 1"), "{}", said.err);
    assert!(said.err.contains("no space left") || said.err.contains("is full"), "{}", said.err);
}
