//! Reads the three drivers' error codes.

use std::io::ErrorKind;

use super::StoreError;
use crate::pool::Backend;

/// Longest part of a database's message that is kept, in characters.
const MESSAGE_MAX: usize = 300;

pub(super) fn classify(backend: Backend, error: sqlx::Error) -> StoreError {
    match &error {
        sqlx::Error::Database(database) => {
            let code = database.code().map(|code| code.into_owned()).unwrap_or_default();
            let constraint = database.constraint().map(ToOwned::to_owned);
            let message = database.message().to_owned();
            let unique = database.is_unique_violation();
            let mysql =
                database.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>().map(|error| error.number());
            let sorted = match backend {
                Backend::Sqlite => sqlite(&code, &message),
                Backend::Postgres => postgres(&code, &message),
                Backend::MySql => mysql.and_then(|number| self::mysql(number, &message)),
            };
            if unique {
                return StoreError::Conflict(
                    constraint.map_or_else(|| "a key".to_owned(), |name| format!("key `{name}`")),
                );
            }
            sorted.unwrap_or_else(|| StoreError::Backend {
                backend,
                code: mysql.map_or(code, |number| number.to_string()),
                message: message.chars().take(MESSAGE_MAX).collect(),
                source: Box::new(error),
            })
        }
        sqlx::Error::PoolTimedOut => StoreError::Busy("all connections are in use"),
        sqlx::Error::PoolClosed => {
            StoreError::Unreachable { backend, reason: "the pool is closed".to_owned() }
        }
        sqlx::Error::WorkerCrashed => {
            StoreError::Unreachable { backend, reason: "the connection ended".to_owned() }
        }
        sqlx::Error::Io(io) if io.kind() == ErrorKind::StorageFull => StoreError::Full,
        sqlx::Error::Io(io) => StoreError::Unreachable { backend, reason: io.to_string() },
        sqlx::Error::Tls(reason) => StoreError::Unreachable { backend, reason: format!("TLS: {reason}") },
        sqlx::Error::Configuration(reason) => StoreError::Url(reason.to_string()),
        sqlx::Error::ColumnNotFound(name) => StoreError::SchemaMissing(format!("column `{name}`")),
        sqlx::Error::ColumnDecode { index, source } => StoreError::corrupt(format!("column {index}"), source),
        sqlx::Error::Decode(reason) => StoreError::corrupt("value", reason),
        other => StoreError::Backend {
            backend,
            code: "-".to_owned(),
            message: other.to_string().chars().take(MESSAGE_MAX).collect(),
            source: Box::new(error),
        },
    }
}

fn sqlite(code: &str, message: &str) -> Option<StoreError> {
    // Extended codes keep the primary one in their low byte.
    let code: i32 = code.parse().ok()?;
    Some(match code & 0xff {
        5 | 6 => StoreError::Busy("another program holds the file's lock"),
        8 => StoreError::ReadOnly(message.to_owned()),
        // SQLITE_IOERR_WRITE and _FSYNC also come from a disk quota.
        13 => StoreError::Full,
        14 => StoreError::Unreachable { backend: Backend::Sqlite, reason: message.to_owned() },
        11 | 26 => StoreError::corrupt("database file", message),
        1 if message.starts_with("no such table") || message.starts_with("no such column") => {
            StoreError::SchemaMissing(message.replacen("no such ", "", 1))
        }
        1 if message.contains("has no column named") => StoreError::SchemaMissing(message.to_owned()),
        _ => return None,
    })
}

fn postgres(code: &str, message: &str) -> Option<StoreError> {
    Some(match code {
        "25006" => StoreError::ReadOnly(message.to_owned()),
        "53100" => StoreError::Full,
        "55P03" | "40001" | "40P01" => StoreError::Busy("another transaction holds a lock"),
        "53300" => StoreError::Busy("the server has too many connections"),
        "0A000" if message.contains("cached plan") => StoreError::Busy("a table was changed at this moment"),
        "22021" | "22P05" => StoreError::Invalid("a text holds a character that cannot be stored".to_owned()),
        "22001" | "22003" => {
            StoreError::Invalid("a value is too long or too large for its column".to_owned())
        }
        "57014" => StoreError::Timeout,
        "57P01" | "57P02" | "57P03" => {
            StoreError::Unreachable { backend: Backend::Postgres, reason: message.to_owned() }
        }
        "42P01" | "42703" | "3F000" => StoreError::SchemaMissing(message.to_owned()),
        "28P01" | "28000" | "3D000" | "42501" => {
            StoreError::Unreachable { backend: Backend::Postgres, reason: message.to_owned() }
        }
        _ if code.starts_with("08") => {
            StoreError::Unreachable { backend: Backend::Postgres, reason: message.to_owned() }
        }
        _ => return None,
    })
}

fn mysql(number: u16, message: &str) -> Option<StoreError> {
    Some(match number {
        1205 | 1213 | 3572 => StoreError::Busy("another transaction holds a lock"),
        1040 | 1203 | 1226 => StoreError::Busy("the server has too many connections"),
        1290 | 1792 | 1836 => StoreError::ReadOnly(message.to_owned()),
        1021 | 1114 => StoreError::Full,
        3024 | 1969 | 1317 => StoreError::Timeout,
        1146 | 1054 => StoreError::SchemaMissing(message.to_owned()),
        1044 | 1045 | 1049 | 1142 | 1053 | 1927 => {
            StoreError::Unreachable { backend: Backend::MySql, reason: message.to_owned() }
        }
        1366 => StoreError::Invalid("a text holds a character that cannot be stored".to_owned()),
        1406 | 1264 => StoreError::Invalid("a value is too long or too large for its column".to_owned()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_become_what_a_caller_can_do() {
        assert!(matches!(sqlite("5", "database is locked"), Some(StoreError::Busy(_))));
        assert!(
            matches!(sqlite("517", "database is locked"), Some(StoreError::Busy(_))),
            "SQLITE_BUSY_SNAPSHOT"
        );
        assert!(matches!(
            sqlite("1032", "attempt to write a readonly database"),
            Some(StoreError::ReadOnly(_))
        ));
        assert!(matches!(sqlite("13", "database or disk is full"), Some(StoreError::Full)));
        assert!(
            matches!(sqlite("1", "no such table: chat"), Some(StoreError::SchemaMissing(what)) if what == "table: chat")
        );
        assert!(sqlite("1", "near \"x\": syntax error").is_none());
        assert!(matches!(postgres("53100", ""), Some(StoreError::Full)));
        assert!(matches!(postgres("25006", ""), Some(StoreError::ReadOnly(_))));
        assert!(matches!(postgres("08006", ""), Some(StoreError::Unreachable { .. })));
        assert!(matches!(mysql(1205, ""), Some(StoreError::Busy(_))));
        assert!(matches!(mysql(1114, ""), Some(StoreError::Full)));
    }
}
