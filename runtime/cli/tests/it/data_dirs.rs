//! The data directory.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use innkeeper_testing::guests;
use innkeeper_testing::skips::skip;
use serde_json::{Value, json};

use crate::program::{Program, Said, client, said, text};

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
    shell_on_small_disk(test, program, &program.data(), size, script).map(|mut shell| said(&mut shell))
}

/// A shell that runs a script where this directory is a file system of so many KiB.
fn shell_on_small_disk(
    test: &str,
    program: &Program,
    directory: &Path,
    size: u32,
    script: &str,
) -> Option<Command> {
    fs::create_dir_all(directory).unwrap();
    let mount = format!("mount -t tmpfs -o size={size}k,mode=700 none '{}'", directory.display());
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
                return Some(shell(namespaces, &format!("{mount} || exit 9; {script}")));
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

#[test]
fn a_data_directory_that_is_only_read_is_one_clear_error() {
    let program = Program::new();
    let script = "mount -o remount,ro \"$INNKEEPER__DATA_DIR\" && exec \"$innkeeper\" user add --name A --email a@example.org";
    let test = "a_data_directory_that_is_only_read_is_one_clear_error";
    let Some(said) = on_small_disk(test, &program, 64, script) else { return };
    let said = said.expect(1);
    let expected = "error: data directory `[place]/data` cannot be written; change its owner or name another by `--data-dir`";
    assert!(program.plain(&said.err).starts_with(expected), "{}", said.err);
    assert!(said.err.contains("Read-only file system"), "{}", said.err);
}

/// Lets a server run where its file system is small, and commands run beside it. Both are where only they see that file system.
const SERVE: &str = r#"
    "$innkeeper" serve --listen 127.0.0.1:0 --json 2>/dev/null &
    while read -r command; do eval "$command" 2>/dev/null; echo "exit $?"; done
    kill -TERM $!
    wait $!"#;

/// A server whose files lie on a small file system, with somebody who may store files there by a plugin.
struct Small {
    shell: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    address: String,
    key: String,
    client: reqwest::Client,
}

impl Small {
    /// `None`, loudly, where this machine lets nobody mount one.
    fn start(test: &str, program: &Program) -> Option<Self> {
        program.run(ADD).expect(0);
        let key = program.json(&["key", "create", "--user", "ada@example.org"]);
        let key = key["secret"].as_str().unwrap().to_owned();
        let probe = guests::path("probe");
        let grants = ["--grant", "files.read", "--grant", "files.write"];
        program.run(&[&["plugin", "install", text(&probe)], &grants[..]].concat()).expect(0);
        // Only the files: the database keeps its own open, and a file system in use cannot become read-only.
        let files = program.data().join("files");
        let mut shell = shell_on_small_disk(test, program, &files, 1024, SERVE)?;
        let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let commands = shell.stdin.take();
        let mut answers = BufReader::new(shell.stdout.take().unwrap());
        let mut line = String::new();
        answers.read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        let address = said["listening"].as_str().unwrap().to_owned();
        Some(Self { shell, commands, answers, address, key, client: client() })
    }

    /// Runs a command where the file system is; gives back what it says.
    fn run(&mut self, command: &str) -> Vec<String> {
        writeln!(self.commands.as_mut().unwrap(), "{command}").unwrap();
        let mut said = Vec::new();
        loop {
            let mut line = String::new();
            assert!(self.answers.read_line(&mut line).unwrap() > 0, "the shell has ended");
            match line.trim().strip_prefix("exit ") {
                Some(_) => return said,
                None => said.push(line.trim().to_owned()),
            }
        }
    }

    /// What is in the folder of files.
    fn files(&mut self) -> Vec<String> {
        self.run("ls -A \"$INNKEEPER__DATA_DIR/files\"")
    }

    /// What the plugin hears that makes one of its host calls.
    async fn probe(&self, import: &str, args: Value) -> Value {
        let call = self.client.post(format!("http://{}/api/tools/probe/call", self.address));
        let call = call.bearer_auth(&self.key).json(&json!({"import": import, "args": args}));
        let said: Value = call.send().await.unwrap().json().await.unwrap();
        said["result"]["content"][0]["value"].clone()
    }

    /// What the plugin hears that stores a file of so many bytes.
    async fn store(&self, size: u32) -> Value {
        let file = json!({"name": "n", "content_type": "text/plain"});
        self.probe("files.create", json!({"file": file, "size": size, "piece": 10_000})).await
    }

    /// Waits until the server is ready, or is not for this reason.
    async fn until(&self, reason: Option<&str>) {
        let begun = Instant::now();
        loop {
            let said = self.client.get(format!("http://{}/readyz", self.address)).send().await.unwrap();
            let (status, said) = (said.status().as_u16(), said.json::<Value>().await.unwrap());
            let is = said["reason"].as_str().unwrap_or_default();
            match reason {
                None if status == 200 => return,
                Some(reason) if status == 503 && is.starts_with("disk: ") && is.contains(reason) => return,
                _ => assert!(begun.elapsed() < Duration::from_secs(10), "{said}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Stops the server as a signal does.
    fn stop(mut self) {
        drop(self.commands.take());
        assert_eq!(self.shell.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Without its commands the shell ends, and the server with it.
        drop(self.commands.take());
        let _ = self.shell.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_do_not_fit_the_disk_are_unavailable_and_leave_nothing_until_there_is_room() {
    let test = "files_that_do_not_fit_the_disk_are_unavailable_and_leave_nothing_until_there_is_room";
    let program = Program::new();
    let Some(mut small) = Small::start(test, &program) else { return };
    small.until(None).await;
    let mut stored = Vec::new();
    let refused = loop {
        let said = small.store(200_000).await;
        match said["ok"]["id"].as_str() {
            Some(id) => stored.push(id.to_owned()),
            None => break said,
        }
        assert!(stored.len() < 10, "the disk did not fill up");
    };
    assert!(!stored.is_empty());
    assert_eq!(refused["error"]["code"], json!("unavailable"), "{refused}");
    assert_eq!(small.files().len(), stored.len(), "nothing is half-written");

    small.run("cat /dev/zero > \"$INNKEEPER__DATA_DIR/files/full\"");
    small.until(Some("no storage space")).await;
    let read = small.probe("files.read", json!({"id": stored[0]})).await;
    assert!(read["ok"].is_object(), "what was stored is read: {read}");
    small.run("rm \"$INNKEEPER__DATA_DIR/files/full\"");
    small.until(None).await;
    small.probe("files.delete", json!({"id": stored[0]})).await;
    let said = small.store(200_000).await;
    assert!(said["ok"]["id"].is_string(), "{said}");
    small.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn files_on_a_disk_that_is_only_read_are_unavailable_until_it_can_be_written() {
    let test = "files_on_a_disk_that_is_only_read_are_unavailable_until_it_can_be_written";
    let program = Program::new();
    let Some(mut small) = Small::start(test, &program) else { return };
    small.until(None).await;
    let kept = small.store(1_000).await["ok"]["id"].clone();
    small.run("mount -o remount,ro \"$INNKEEPER__DATA_DIR/files\"");
    let refused = small.store(1_000).await;
    assert_eq!(refused["error"]["code"], json!("unavailable"), "{refused}");
    small.until(Some("read-only")).await;
    let read = small.probe("files.read", json!({"id": kept})).await;
    assert!(read["ok"].is_object(), "what was stored is read: {read}");
    small.run("mount -o remount,rw \"$INNKEEPER__DATA_DIR/files\"");
    small.until(None).await;
    assert!(small.store(1_000).await["ok"]["id"].is_string());
    assert_eq!(small.files().len(), 2);
    small.stop();
}
