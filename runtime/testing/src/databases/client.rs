//! Makes and drops the databases of single tests.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, MySqlConnection, PgConnection};

use super::{Backend, REQUIRE_DATABASES};

/// Why a test has no database.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The server refused, or is not there.
    #[error("cannot {action} the test database `{name}`; is the server of `{variable}` up?")]
    Server {
        /// What was tried.
        action: &'static str,
        /// The database.
        name: String,
        /// Where the server's URL comes from.
        variable: &'static str,
        /// What the driver said.
        source: sqlx::Error,
    },
    /// The server did not answer in time.
    #[error("the server of `{variable}` took more than 30 s to {action} the test database `{name}`")]
    Slow {
        /// What was tried.
        action: &'static str,
        /// The database.
        name: String,
        /// Where the server's URL comes from.
        variable: &'static str,
    },
}

/// A new, empty database that goes away with this value.
#[derive(Debug)]
pub struct TestDatabase {
    /// Where it is, as `DATABASE_URL` would say it.
    pub url: String,
    /// What it runs on.
    pub backend: Backend,
    place: Option<Place>,
}

#[derive(Debug)]
enum Place {
    File(tempfile::TempDir),
    Server(Remote),
}

/// A database on a server, and how to reach that server without it.
#[derive(Debug)]
struct Remote {
    backend: Backend,
    variable: &'static str,
    server: String,
    name: String,
}

/// A new, empty database, or none where the backend has no server here.
///
/// # Panics
///
/// Where the server fails, and where there is none though `INNKEEPER_TEST_REQUIRE_DATABASES=1` asks for all.
pub async fn database(backend: Backend) -> Option<TestDatabase> {
    let Some(variable) = backend.variable() else {
        return Some(file());
    };
    let Some(server) = environment(variable) else {
        let message = format!(
            "{backend:?} is not tested here: `{variable}` is not set; run `cargo xtask test`, \
             or keep `cargo xtask databases` running and set what it prints"
        );
        if environment(REQUIRE_DATABASES).is_some_and(|value| value != "0") {
            panic!("{message}");
        }
        eprintln!("\n*** SKIPPED: {message} ***\n");
        return None;
    };
    let name = format!("innkeeper_test_{}", uuid::Uuid::new_v4().simple());
    let remote = Remote { backend, variable, server, name };
    match remote.create().await {
        Ok(()) => Some(TestDatabase {
            url: with_database(&remote.server, &remote.name),
            backend,
            place: Some(Place::Server(remote)),
        }),
        Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error).map(ToString::to_string)),
    }
}

impl TestDatabase {
    /// Drops the database now and says how that went. Connections to it should be closed before.
    ///
    /// # Errors
    ///
    /// Where the server cannot be reached or refuses.
    pub async fn close(mut self) -> Result<(), DatabaseError> {
        match self.place.take() {
            Some(Place::Server(remote)) => remote.drop().await,
            Some(Place::File(dir)) => {
                drop(dir);
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Some(Place::Server(remote)) = self.place.take() else {
            return;
        };
        // The test's own runtime may be shutting down, or be the thread that waits here.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => runtime.block_on(remote.drop()).map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            }
        });
        if let Ok(Err(message)) = dropping.join() {
            eprintln!("a test database stays behind: {message}");
        }
    }
}

impl Remote {
    async fn create(&self) -> Result<(), DatabaseError> {
        let statement = match self.backend {
            Backend::MySql => format!("CREATE DATABASE `{}` CHARACTER SET utf8mb4", self.name),
            Backend::Postgres | Backend::Sqlite => format!("CREATE DATABASE \"{}\"", self.name),
        };
        self.send("create", statement).await
    }

    async fn drop(&self) -> Result<(), DatabaseError> {
        let statement = match self.backend {
            Backend::MySql => format!("DROP DATABASE IF EXISTS `{}`", self.name),
            // A test that failed has left its connections open.
            Backend::Postgres | Backend::Sqlite => {
                format!("DROP DATABASE IF EXISTS \"{}\" WITH (FORCE)", self.name)
            }
        };
        self.send("drop", statement).await
    }

    async fn send(&self, action: &'static str, statement: String) -> Result<(), DatabaseError> {
        let sent = async {
            // The names are made here, of hexadecimal digits.
            let statement = sqlx::raw_sql(AssertSqlSafe(statement));
            if self.backend == Backend::MySql {
                let mut connection = MySqlConnection::connect(&self.server).await?;
                statement.execute(&mut connection).await?;
                connection.close().await
            } else {
                let mut connection = PgConnection::connect(&self.server).await?;
                statement.execute(&mut connection).await?;
                connection.close().await
            }
        };
        let (name, variable) = (self.name.clone(), self.variable);
        match tokio::time::timeout(Duration::from_secs(30), sent).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(source)) => Err(DatabaseError::Server { action, name, variable, source }),
            Err(_) => Err(DatabaseError::Slow { action, name, variable }),
        }
    }
}

fn file() -> TestDatabase {
    match tempfile::tempdir() {
        Ok(dir) => TestDatabase {
            url: format!("sqlite:///{}", dir.path().join("test.db").display()),
            backend: Backend::Sqlite,
            place: Some(Place::File(dir)),
        },
        Err(error) => panic!("cannot create a temporary directory: {error}"),
    }
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The same URL with another database in its path.
fn with_database(server: &str, name: &str) -> String {
    let (base, query) = server.split_once('?').unwrap_or((server, ""));
    let (scheme, rest) = base.split_once("://").unwrap_or(("", base));
    let authority = rest.split_once('/').map_or(rest, |(authority, _)| authority);
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{scheme}://{authority}/{name}{mark}{query}")
}

#[cfg(test)]
mod tests {
    use super::with_database;

    #[test]
    fn database_in_a_url_is_replaced_and_the_rest_stays() {
        let check = |server: &str, expected: &str| assert_eq!(with_database(server, "t"), expected);
        check("postgres://u:p@127.0.0.1:5/postgres", "postgres://u:p@127.0.0.1:5/t");
        check(
            "postgres://u:p@127.0.0.1:5/postgres?sslmode=disable",
            "postgres://u:p@127.0.0.1:5/t?sslmode=disable",
        );
        check("mysql://u@host", "mysql://u@host/t");
        check("mysql://u@host/?charset=utf8mb4", "mysql://u@host/t?charset=utf8mb4");
    }
}
