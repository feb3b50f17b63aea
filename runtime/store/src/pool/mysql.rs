//! Opens MySQL and MariaDB.

use std::str::FromStr;

use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, MySqlConnection, MySqlPool};

use super::{Backend, Options};
use crate::error::StoreError;

pub(super) async fn connect(url: &str, options: &Options) -> Result<MySqlPool, StoreError> {
    let failed = |error| StoreError::from_driver(Backend::MySql, error);
    let connect = MySqlConnectOptions::from_str(url)
        .map_err(failed)?
        .charset("utf8mb4")
        .collation("utf8mb4_bin")
        .disable_statement_logging();
    let settings = settings(options, probe(&connect, options).await?);
    let idle_test = options.idle_test;
    let pool = MySqlPoolOptions::new()
        .max_connections(options.max_connections.max(1))
        .acquire_timeout(options.acquire_timeout)
        .test_before_acquire(false)
        .before_acquire(move |connection, meta| {
            Box::pin(async move { Ok(meta.idle_for < idle_test || connection.ping().await.is_ok()) })
        })
        .after_connect(move |connection, _| {
            let settings = settings.clone();
            Box::pin(
                async move { sqlx::raw_sql(AssertSqlSafe(settings)).execute(connection).await.map(drop) },
            )
        });
    Ok(pool.connect_lazy_with(connect))
}

/// Whether it is MariaDB, which names its statement time-out differently.
async fn probe(connect: &MySqlConnectOptions, options: &Options) -> Result<bool, StoreError> {
    let failed = |error| StoreError::from_driver(Backend::MySql, error);
    let first = async {
        let mut connection = MySqlConnection::connect_with(connect).await?;
        let version: String = sqlx::query_scalar("SELECT version()").fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(version)
    };
    let version = match tokio::time::timeout(options.acquire_timeout, first).await {
        Ok(version) => version.map_err(failed)?,
        Err(_) => {
            let reason = "it did not answer in time".to_owned();
            return Err(StoreError::Unreachable { backend: Backend::MySql, reason });
        }
    };
    let mariadb = version.to_ascii_lowercase().contains("mariadb");
    let mut parts = version.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
    let number = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if number < if mariadb { (10, 6) } else { (8, 0) } {
        return Err(StoreError::Unsupported(format!(
            "database server {version} is too old; MySQL 8.0 or MariaDB 10.6 or later is needed"
        )));
    }
    Ok(mariadb)
}

fn settings(options: &Options, mariadb: bool) -> String {
    let timeout = options.statement_timeout.map_or(0, |time| time.as_millis());
    let timeout = match mariadb {
        true => format!("max_statement_time = {}.{:03}", timeout / 1000, timeout % 1000),
        false => format!("max_execution_time = {timeout}"),
    };
    let lock = options.lock_timeout.as_secs().max(1);
    format!(
        "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,\
         NO_ENGINE_SUBSTITUTION,PIPES_AS_CONCAT', time_zone = '+00:00', innodb_lock_wait_timeout = {lock}, \
         lock_wait_timeout = {lock}, {timeout}; \
         SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"
    )
}
