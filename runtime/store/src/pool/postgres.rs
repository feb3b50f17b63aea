//! Opens PostgreSQL.

use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, PgPool};

use super::{Backend, Options};
use crate::error::StoreError;

/// The oldest server that is supported, as `server_version_num` writes it.
const MIN_VERSION: i64 = 130_000;

pub(super) async fn connect(url: &str, options: &Options) -> Result<PgPool, StoreError> {
    let failed = |error| StoreError::from_driver(Backend::Postgres, error);
    let connect = PgConnectOptions::from_str(url)
        .map_err(failed)?
        .application_name("innkeeper")
        .disable_statement_logging();
    probe(&connect, options).await?;
    let settings = settings(options);
    let idle_test = options.idle_test;
    let pool = PgPoolOptions::new()
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

async fn probe(connect: &PgConnectOptions, options: &Options) -> Result<(), StoreError> {
    let failed = |error| StoreError::from_driver(Backend::Postgres, error);
    let first = async {
        let mut connection = PgConnection::connect_with(connect).await?;
        let version: String =
            sqlx::query_scalar("SHOW server_version_num").fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(version)
    };
    let version = match tokio::time::timeout(options.acquire_timeout, first).await {
        Ok(version) => version.map_err(failed)?,
        Err(_) => {
            let reason = "it did not answer in time".to_owned();
            return Err(StoreError::Unreachable { backend: Backend::Postgres, reason });
        }
    };
    if version.parse::<i64>().unwrap_or(0) < MIN_VERSION {
        return Err(StoreError::Unsupported(format!(
            "PostgreSQL {version} is too old; 13 or later is needed"
        )));
    }
    Ok(())
}

/// The last one lets the server notice that a connection was closed while it works; not all servers have it.
fn settings(options: &Options) -> String {
    format!(
        "SET statement_timeout = {}; SET lock_timeout = {}; SET TIME ZONE 'UTC'; \
         SET default_transaction_isolation = 'read committed'; \
         DO $$ BEGIN PERFORM set_config('client_connection_check_interval', '2s', false); \
         EXCEPTION WHEN OTHERS THEN NULL; END $$",
        options.statement_timeout.map_or(0, |time| time.as_millis()),
        options.lock_timeout.as_millis(),
    )
}
