//! Starts PostgreSQL: `initdb`, then `postgres`.

use std::path::{Path, PathBuf};
use std::{env, fs};

use super::process::{self, Lifetime, Place, Running};
use super::{Backend, Server, ServerError};

const GET: &str = "`apt-get install postgresql` on Debian and Ubuntu, `dnf install postgresql-server` on Fedora, \
                   `brew install postgresql` on macOS, or set `INNKEEPER_TEST_POSTGRES_URL`";

/// What makes it fast and small: nothing here outlives the run.
const SETTINGS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_connections=300",
    "shared_buffers=64MB",
    "jit=off",
];

pub(super) fn start() -> Result<Server, ServerError> {
    let programs = programs().ok_or(ServerError::NotInstalled { server: "PostgreSQL", get: GET })?;
    let place = Place::new("innkeeper-postgres-")?;
    let data = place.path("data");
    let password = process::random_password()?;
    let password_file = place.write("password", &password)?;

    let mut initdb = place.command(&programs.join("initdb"), Lifetime::Own);
    initdb.arg("--pgdata").arg(&data).arg("--pwfile").arg(&password_file);
    // Answering a `scram` challenge costs a client without optimisation tens of milliseconds per connection.
    initdb.args(["--username=innkeeper", "--auth=password", "--encoding=UTF8", "--locale=C", "--no-sync"]);
    process::run(&mut initdb)?;

    let (running, port) = process::on_a_free_port(|port| {
        let mut postgres = place.command(&programs.join("postgres"), Lifetime::TiedToOurs);
        postgres.arg("-D").arg(&data).arg("-p").arg(port.to_string());
        for setting in SETTINGS {
            postgres.args(["-c", setting]);
        }
        let state = data.join("postmaster.pid");
        // The port alone proves nothing: it accepts connections before the server serves them.
        Running::start(postgres, &place.path("log"), "QUIT", || {
            fs::read_to_string(&state).is_ok_and(|text| text.lines().any(|line| line.trim_end() == "ready"))
        })
    })?;
    let url = format!("postgres://innkeeper:{password}@127.0.0.1:{port}/postgres");
    Ok(Server { backend: Backend::Postgres, url, _running: running, _place: place })
}

/// The directory with `initdb` and `postgres`: the newest of the distribution's versions, else what is in `PATH`.
fn programs() -> Option<PathBuf> {
    let mut versions = Vec::new();
    for entry in fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten() {
        let version = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        versions.push((version, entry.path().join("bin")));
    }
    versions.sort();
    let in_path =
        env::var_os("PATH").map(|paths| env::split_paths(&paths).collect::<Vec<_>>()).unwrap_or_default();
    let other = ["/usr/local/bin", "/usr/local/pgsql/bin", "/opt/homebrew/bin"].map(PathBuf::from);
    let newest_first = versions.into_iter().rev().map(|(_, dir)| dir);
    newest_first.chain(in_path).chain(other).find(|dir| is_complete(dir))
}

fn is_complete(dir: &Path) -> bool {
    ["initdb", "postgres"].iter().all(|program| dir.join(program).is_file())
}
