//! Starts MariaDB: `mariadb-install-db`, then `mariadbd`.

use std::path::PathBuf;
use std::{env, fs};

use super::process::{self, Lifetime, Place, Running};
use super::{Backend, Server, ServerError};

const GET: &str = "`apt-get install mariadb-server` on Debian and Ubuntu, `dnf install mariadb-server` on Fedora, \
                   `brew install mariadb` on macOS, or set `INNKEEPER_TEST_MYSQL_URL`";

/// What makes it fast and small: nothing here outlives the run.
const SETTINGS: &[&str] = &[
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--character-set-server=utf8mb4",
    "--max-connections=300",
    "--skip-log-bin",
    "--performance-schema=OFF",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-flush-method=nosync",
    "--innodb-doublewrite=OFF",
    "--innodb-buffer-pool-size=64M",
    "--innodb-log-file-size=32M",
];

pub(super) fn start() -> Result<Server, ServerError> {
    let not_installed = || ServerError::NotInstalled { server: "MariaDB", get: GET };
    let server = program("mariadbd").ok_or_else(not_installed)?;
    let installer = program("mariadb-install-db").ok_or_else(not_installed)?;
    // The installer asks this program for its defaults; Debian has it in another package.
    program("my_print_defaults").ok_or_else(not_installed)?;

    let place = Place::new("innkeeper-mariadb-")?;
    let data = place.path("data");
    let password = process::random_password()?;
    let mut install = place.command(&installer, Lifetime::Own);
    install.arg("--no-defaults").arg(format!("--datadir={}", data.display()));
    install.args(["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]);
    install.args(["--innodb-flush-method=nosync", "--innodb-log-file-size=32M"]);
    process::run(&mut install)?;
    let users = place.write(
        "users.sql",
        &format!(
            "DELETE FROM mysql.global_priv WHERE User IN ('', 'root');\nFLUSH PRIVILEGES;\n\
             CREATE USER 'innkeeper'@'127.0.0.1' IDENTIFIED BY '{password}';\n\
             GRANT ALL PRIVILEGES ON *.* TO 'innkeeper'@'127.0.0.1' WITH GRANT OPTION;\n"
        ),
    )?;

    let (running, port) = process::on_a_free_port(|port| {
        let mut mariadbd = place.command(&server, Lifetime::TiedToOurs);
        mariadbd.arg("--no-defaults").arg(format!("--datadir={}", data.display()));
        mariadbd.arg(format!("--port={port}")).arg(format!("--init-file={}", users.display()));
        mariadbd.arg(format!("--socket={}", place.path("socket").display())).args(SETTINGS);
        let log = place.path("log");
        // Written when the port is open and the users are made.
        Running::start(mariadbd, &log, "KILL", || {
            fs::read(&log).is_ok_and(|text| String::from_utf8_lossy(&text).contains("ready for connections"))
        })
    })?;
    let url = format!("mysql://innkeeper:{password}@127.0.0.1:{port}/mysql");
    Ok(Server { backend: Backend::MySql, url, _running: running, _place: place })
}

fn program(name: &str) -> Option<PathBuf> {
    let in_path =
        env::var_os("PATH").map(|paths| env::split_paths(&paths).collect::<Vec<_>>()).unwrap_or_default();
    let other =
        ["/usr/sbin", "/usr/libexec", "/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"].map(PathBuf::from);
    in_path.into_iter().chain(other).map(|dir| dir.join(name)).find(|file| file.is_file())
}
