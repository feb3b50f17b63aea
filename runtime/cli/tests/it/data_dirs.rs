//! The data directory.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::program::{Program, said, text};

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
    let said = program.run(&[&["--data-dir", text(&file)], ADD].concat()).expect(1);
    assert_eq!(
        program.plain(said.err.trim()),
        "error: data directory `[place]/file` is a file; name a directory by `--data-dir`"
    );
    let below = file.join("data");
    let said = program.run(&[&["--data-dir", text(&below)], ADD].concat()).expect(1);
    assert!(
        program.plain(&said.err).starts_with("error: data directory `[place]/file/data` cannot be"),
        "{}",
        said.err
    );
    let said = program.run(&[&["--data-dir", "/proc/innkeeper"], ADD].concat()).expect(1);
    assert!(said.err.starts_with("error: data directory `/proc/innkeeper` cannot be made"), "{}", said.err);
}

/// Runs a command where the data directory is a file system of so many KiB. `None` where this machine does not let us make one.
fn on_small_disk(program: &Program, size: u32, script: &str) -> Option<crate::program::Said> {
    fs::create_dir_all(program.data()).unwrap();
    let mount = format!("mount -t tmpfs -o size={size}k,mode=700 none '{}'", program.data().display());
    let shell = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["-rm", "sh", "-c", script]).env("INNKEEPER__DATA_DIR", program.data());
        command.env("innkeeper", env!("CARGO_BIN_EXE_innkeeper"));
        command
    };
    if !shell(&mount).status().is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: this machine does not let the test mount a small file system");
        return None;
    }
    Some(said(&mut shell(&format!("{mount} && {script}"))))
}

#[test]
fn a_full_data_directory_is_one_clear_error() {
    let program = Program::new();
    let fill = "head -c 1000000 /dev/zero > \"$INNKEEPER__DATA_DIR/fill\" 2>/dev/null";
    let script = format!("{fill}; exec \"$innkeeper\" user add --name A --email a@example.org");
    let Some(said) = on_small_disk(&program, 64, &script) else { return };
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
    let Some(said) = on_small_disk(&program, 120, &script) else { return };
    let said = said.expect(0);
    assert!(said.err.contains("first: 1"), "{}", said.err);
    assert!(said.err.contains("no space left") || said.err.contains("is full"), "{}", said.err);
}
