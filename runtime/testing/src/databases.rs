//! An empty database for a test, on each backend.
//!
//! [`servers`] starts the servers, once for a whole run; [`database`] makes a database of its own for each test.
//! What is in a database is left to the test.

#[cfg(feature = "client")]
mod client;
pub mod servers;

#[cfg(feature = "client")]
pub use self::client::{DatabaseError, TestDatabase, database};

/// The URL of a PostgreSQL server whose user may create databases.
pub const POSTGRES_URL: &str = "INNKEEPER_TEST_POSTGRES_URL";

/// The URL of a MySQL or MariaDB server whose user may create databases.
pub const MYSQL_URL: &str = "INNKEEPER_TEST_MYSQL_URL";

/// Set to `1` where a backend without a server must fail tests instead of skipping them.
pub const REQUIRE_DATABASES: &str = "INNKEEPER_TEST_REQUIRE_DATABASES";

/// The databases that Innkeeper runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// A temporary file.
    Sqlite,
    /// The server of [`POSTGRES_URL`].
    Postgres,
    /// The server of [`MYSQL_URL`].
    MySql,
}

impl Backend {
    /// All of them, SQLite first.
    pub const ALL: [Self; 3] = [Self::Sqlite, Self::Postgres, Self::MySql];

    /// The variable that names this backend's server; none for SQLite.
    #[must_use]
    pub fn variable(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some(POSTGRES_URL),
            Self::MySql => Some(MYSQL_URL),
        }
    }
}

/// Makes one test for each backend of an async function that takes the [`Backend`].
#[macro_export]
macro_rules! on_each_backend {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            use $crate::databases::Backend;

            #[tokio::test]
            async fn sqlite() {
                super::$name(Backend::Sqlite).await;
            }

            #[tokio::test]
            async fn postgres() {
                super::$name(Backend::Postgres).await;
            }

            #[tokio::test]
            async fn mysql() {
                super::$name(Backend::MySql).await;
            }
        }
    )*};
}
