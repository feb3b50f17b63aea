//! The `innkeeper` program: its commands, and a server that ends with this process.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::http::Client;
use crate::workspace;

const TIME_TO_START: Duration = Duration::from_secs(60);
const TIME_TO_STOP: Duration = Duration::from_secs(30);

/// The program, on one data directory.
pub(super) struct Innkeeper {
    data_dir: PathBuf,
}

impl Innkeeper {
    pub(super) fn new(data_dir: &Path) -> Self {
        Self { data_dir: data_dir.to_owned() }
    }

    /// What a command answers with `--json`.
    pub(super) fn call(&self, arguments: &[&str]) -> Result<Value> {
        let text = workspace::read(self.command().args(arguments))?;
        serde_json::from_str(&text)
            .with_context(|| format!("`innkeeper {}` did not print JSON", arguments.join(" ")))
    }

    /// Where the server writes its log.
    pub(super) fn log(&self) -> PathBuf {
        self.data_dir.with_extension("log")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(workspace::target_dir().join("debug").join("innkeeper"));
        command.current_dir(workspace::root()).arg("--json").arg("--data-dir").arg(&self.data_dir);
        command
    }
}

/// A running server. Dropping it ends the process at once; [`Server::stop`] lets it end in order.
pub(super) struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// Starts it on loopback and waits until it is ready.
    pub(super) fn start(innkeeper: &Innkeeper, port: u16) -> Result<Self> {
        let log = innkeeper.log();
        if let Some(parent) = log.parent() {
            fs::create_dir_all(parent).with_context(|| format!("cannot create `{}`", parent.display()))?;
        }
        let errors = File::create(&log).with_context(|| format!("cannot create `{}`", log.display()))?;
        let mut command = innkeeper.command();
        command.args(["serve", "--listen", &format!("127.0.0.1:{port}")]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
        let mut child = command.spawn().context("cannot start `innkeeper serve`")?;
        let output = child.stdout.take();
        // From here on an error ends the process, by its drop.
        let mut server = Self { child, port };
        let mut line = String::new();
        let mut output = BufReader::new(output.context("the server has no standard output")?);
        output.read_line(&mut line).context("cannot read what the server prints")?;
        let listening: Option<Value> = serde_json::from_str(&line).ok();
        let address = listening.as_ref().and_then(|line| line.get("listening")?.as_str()?.rsplit_once(':'));
        let Some(port) = address.and_then(|(_, port)| port.parse().ok()) else {
            let log = fs::read_to_string(&log).unwrap_or_default();
            bail!("the server did not come up:\n{log}");
        };
        server.port = port;
        server.wait_until("it is ready", || Client::new(port).get("/readyz").is_ok())?;
        Ok(server)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn client(&self, key: &str) -> Client {
        Client::new(self.port).with_key(key)
    }

    /// The plugins were installed by other processes, whose work a server notices within two seconds.
    pub(super) fn wait_for_plugins(&self, key: &str, number: usize) -> Result<()> {
        let client = self.client(key);
        let is_ready = |plugin: &Value| plugin.get("state").is_some_and(|state| state == "ready");
        self.wait_until("all plugins are ready", || {
            let plugins = client.get("/api/plugins?limit=100").unwrap_or_default();
            let plugins =
                plugins.get("data").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            plugins.len() >= number && plugins.iter().all(is_ready)
        })
    }

    /// Asks the server to end and waits for it.
    pub(super) fn stop(&mut self) -> Result<()> {
        workspace::run(Command::new("kill").arg("-TERM").arg(self.child.id().to_string()))?;
        let begun = Instant::now();
        while begun.elapsed() < TIME_TO_STOP {
            match self.child.try_wait().context("cannot ask for the server's state")? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("the server ended with {status}"),
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        bail!("the server did not end within {} s", TIME_TO_STOP.as_secs())
    }

    /// Waits until somebody else ends it.
    pub(super) fn wait(&mut self) -> Result<()> {
        let status = self.child.wait().context("cannot wait for the server")?;
        if status.success() { Ok(()) } else { bail!("the server ended with {status}") }
    }

    fn wait_until(&self, what: &str, mut is_so: impl FnMut() -> bool) -> Result<()> {
        let begun = Instant::now();
        while !is_so() {
            if begun.elapsed() > TIME_TO_START {
                bail!("waited {} s until {what}, in vain", TIME_TO_START.as_secs());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
