//! What both servers need: a directory, an account, a port, a child process that ends.

use std::fs::{self, File};
use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::ServerError;

const TIME_TO_START: Duration = Duration::from_secs(60);
const TIME_TO_STOP: Duration = Duration::from_secs(10);

/// The file that names the process that made a directory.
const OWNER: &str = "owner";

/// How long a program may run.
#[derive(Clone, Copy)]
pub(super) enum Lifetime {
    /// Until it is done.
    Own,
    /// The system ends it when this process dies, where the system can.
    TiedToOurs,
}

/// A temporary directory that belongs to the account that a server runs as.
#[derive(Debug)]
pub(super) struct Place {
    dir: tempfile::TempDir,
    /// User and group to become, where this process is root: both servers refuse to run as root.
    account: Option<(u32, u32)>,
}

impl Place {
    pub(super) fn new(prefix: &str) -> Result<Self, ServerError> {
        let base = std::env::temp_dir();
        remove_orphans(&base, prefix);
        let created = tempfile::Builder::new().prefix(prefix).tempdir();
        let dir = created.map_err(|source| ServerError::Prepare { path: base, source })?;
        let prepare = |source| ServerError::Prepare { path: dir.path().to_owned(), source };
        let is_root = fs::metadata(dir.path()).map_err(prepare)?.uid() == 0;
        let account = is_root.then(unprivileged_account);
        if let Some((user, group)) = account {
            chown(dir.path(), Some(user), Some(group)).map_err(prepare)?;
        }
        let place = Self { account, dir };
        place.write(OWNER, &std::process::id().to_string())?;
        Ok(place)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file that only the server's account may read.
    pub(super) fn write(&self, name: &str, content: &str) -> Result<PathBuf, ServerError> {
        let path = self.path(name);
        let written = File::create(&path)
            .and_then(|_| fs::set_permissions(&path, fs::Permissions::from_mode(0o600)))
            .and_then(|()| fs::write(&path, content))
            .and_then(|()| {
                self.account.map_or(Ok(()), |(user, group)| chown(&path, Some(user), Some(group)))
            });
        written.map_err(|source| ServerError::Prepare { path: path.clone(), source })?;
        Ok(path)
    }

    /// A program that runs in this directory as its account.
    pub(super) fn command(&self, program: &Path, lifetime: Lifetime) -> Command {
        let mut command = match (lifetime, setpriv()) {
            (Lifetime::TiedToOurs, Some(setpriv)) => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", "QUIT", "--"]).arg(program);
                command
            }
            _ => Command::new(program),
        };
        command.current_dir(self.dir.path()).env("LC_ALL", "C").stdin(Stdio::null());
        if let Some((user, group)) = self.account {
            command.uid(user).gid(group);
        }
        command
    }
}

/// A server's process. Dropping it ends the process.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    signal: &'static str,
}

impl Running {
    /// Starts a server that writes to `log` and waits until `is_ready`; `signal` is how it ends fastest.
    pub(super) fn start(
        mut command: Command,
        log: &Path,
        signal: &'static str,
        is_ready: impl Fn() -> bool,
    ) -> Result<Self, ServerError> {
        let program = shown_program(&command);
        let files = File::create(log).and_then(|file| Ok((file.try_clone()?, file)));
        let (output, errors) =
            files.map_err(|source| ServerError::Prepare { path: log.to_owned(), source })?;
        // A group of its own: Ctrl-C is for this process, with whose end the server's comes.
        let child = command.stdout(output).stderr(errors).process_group(0).spawn();
        let child = child.map_err(|source| ServerError::Run { program: program.clone(), source })?;
        let mut running = Self { child, signal };
        let begun = Instant::now();
        while !is_ready() {
            if let Ok(Some(status)) = running.child.try_wait() {
                return Err(ServerError::Failed { program, status, output: tail(log) });
            }
            if begun.elapsed() > TIME_TO_START {
                return Err(ServerError::Slow { program, output: tail(log) });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(running)
    }

    fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.has_ended() {
            return;
        }
        let asked =
            Command::new("kill").arg(format!("-{}", self.signal)).arg(self.child.id().to_string()).status();
        let begun = Instant::now();
        while asked.is_ok() && begun.elapsed() < TIME_TO_STOP {
            if self.has_ended() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        // Both fail only if it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Removes what interrupted runs have left: their servers are gone, their directories are not.
fn remove_orphans(base: &Path, prefix: &str) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(prefix) {
            continue;
        }
        let Ok(owner) = fs::read_to_string(entry.path().join(OWNER)) else { continue };
        let mut probe = Command::new("kill");
        probe.args(["-0", owner.trim()]).stderr(Stdio::null());
        if probe.status().is_ok_and(|status| !status.success()) {
            // Somebody else's directory, or one that another run removes just now.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Runs a program to its end.
pub(super) fn run(command: &mut Command) -> Result<(), ServerError> {
    let program = shown_program(command);
    let output = command.output().map_err(|source| ServerError::Run { program: program.clone(), source })?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    Err(ServerError::Failed {
        program,
        status: output.status,
        output: last_lines(&String::from_utf8_lossy(&text)),
    })
}

/// Starts on a free port, and on another one if that fails: a process can take it between the look and the start.
pub(super) fn on_a_free_port<T>(
    start: impl Fn(u16) -> Result<T, ServerError>,
) -> Result<(T, u16), ServerError> {
    let mut attempts = 0;
    loop {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        let port = free.map_err(|source| ServerError::Prepare { path: "127.0.0.1:0".into(), source })?.port();
        attempts += 1;
        match start(port) {
            Err(ServerError::Failed { .. }) if attempts < 3 => {}
            result => return result.map(|started| (started, port)),
        }
    }
}

/// 128 random bits: other users of the machine can reach loopback too.
pub(super) fn random_password() -> Result<String, ServerError> {
    let device = Path::new("/dev/urandom");
    let mut bytes = [0_u8; 16];
    let read = File::open(device).and_then(|mut file| file.read_exact(&mut bytes));
    read.map_err(|source| ServerError::Prepare { path: device.to_owned(), source })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// An account that owns nothing: `nobody`, by name or by its usual number.
fn unprivileged_account() -> (u32, u32) {
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let nobody = accounts.lines().find_map(|line| match line.split(':').collect::<Vec<_>>()[..] {
        ["nobody", _, user, group, ..] => Some((user.parse().ok()?, group.parse().ok()?)),
        _ => None,
    });
    nobody.unwrap_or((65_534, 65_534))
}

/// The program of util-linux that can tie a child's life to ours.
fn setpriv() -> Option<&'static Path> {
    ["/usr/bin/setpriv", "/bin/setpriv"].map(Path::new).into_iter().find(|file| file.is_file())
}

fn shown_program(command: &Command) -> PathBuf {
    let behind_setpriv = command.get_args().skip_while(|argument| *argument != "--").nth(1);
    behind_setpriv.unwrap_or_else(|| command.get_program()).into()
}

fn tail(log: &Path) -> String {
    fs::read(log).map_or_else(|error| error.to_string(), |text| last_lines(&String::from_utf8_lossy(&text)))
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(20)).map(|line| format!("  {line}\n")).collect()
}
