//! Database URLs in the forms that Open WebUI takes them, turned into what the drivers take.
//! `sqlite:///data.db` is relative and `sqlite:////srv/data.db` absolute, as in SQLAlchemy; sqlx reads them otherwise.

use std::path::PathBuf;

use crate::error::StoreError;

/// What a URL names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A file.
    Sqlite(SqliteFile),
    /// A server, as a URL that sqlx reads.
    Postgres(String),
    /// A server, as a URL that sqlx reads.
    MySql(String),
}

/// An SQLite file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SqliteFile {
    pub(crate) path: PathBuf,
    pub(crate) read_only: bool,
}

/// Parameters that sqlx knows, by the names that drivers of other languages use.
const POSTGRES_PARAMETERS: &[(&str, &str)] = &[
    ("ssl", "sslmode"),
    ("sslmode", "sslmode"),
    ("sslrootcert", "sslrootcert"),
    ("sslcert", "sslcert"),
    ("sslkey", "sslkey"),
    ("host", "host"),
    ("hostaddr", "hostaddr"),
    ("port", "port"),
    ("dbname", "dbname"),
    ("user", "user"),
    ("password", "password"),
    ("application_name", "application_name"),
    ("options", "options"),
];

const MYSQL_PARAMETERS: &[(&str, &str)] = &[
    ("ssl-mode", "ssl-mode"),
    ("ssl_mode", "ssl-mode"),
    ("sslmode", "ssl-mode"),
    ("ssl-ca", "ssl-ca"),
    ("ssl_ca", "ssl-ca"),
    ("sslca", "ssl-ca"),
    ("ssl-cert", "ssl-cert"),
    ("ssl_cert", "ssl-cert"),
    ("ssl-key", "ssl-key"),
    ("ssl_key", "ssl-key"),
    ("socket", "socket"),
    ("unix_socket", "socket"),
];

/// Reads a database URL. Its text never gets into the error, since it may hold a password.
pub(crate) fn parse(url: &str) -> Result<Target, StoreError> {
    let (scheme, rest) = url
        .split_once(':')
        .ok_or_else(|| wrong("it has no scheme; write for example `sqlite:///data.db`"))?;
    let (dialect, driver) = match scheme.split_once('+') {
        Some((dialect, driver)) => (dialect, Some(driver)),
        None => (scheme, None),
    };
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, query),
        None => (rest, ""),
    };
    match dialect.to_ascii_lowercase().as_str() {
        "sqlite" if driver == Some("sqlcipher") => {
            Err(wrong("encrypted SQLite files (`sqlite+sqlcipher`) are not supported"))
        }
        "sqlite" => sqlite(path, query).map(Target::Sqlite),
        "postgres" | "postgresql" => {
            server("postgres", path, query, POSTGRES_PARAMETERS).map(Target::Postgres)
        }
        "mysql" | "mariadb" => server("mysql", path, query, MYSQL_PARAMETERS).map(Target::MySql),
        other => Err(wrong(format!(
            "`{}` is not a kind of database that is supported; use sqlite, postgresql, mysql or mariadb",
            other.escape_default()
        ))),
    }
}

/// A URL without its password and parameters, for messages.
pub fn redact(url: &str) -> String {
    let base = url.split('?').next().unwrap_or_default();
    let Some((scheme, rest)) = base.split_once("://") else { return "…".to_owned() };
    match rest.rsplit_once('@') {
        Some((login, host)) => format!("{scheme}://{}:…@{host}", login.split(':').next().unwrap_or_default()),
        None => base.to_owned(),
    }
}

fn sqlite(path: &str, query: &str) -> Result<SqliteFile, StoreError> {
    let path = path.strip_prefix("//").ok_or_else(|| wrong("an SQLite URL begins with `sqlite://`"))?;
    let path = match path.strip_prefix('/') {
        Some(path) => path,
        None if path.is_empty() => "",
        None => {
            return Err(wrong(
                "an SQLite URL has three slashes before a relative path and four before an absolute one",
            ));
        }
    };
    if path.is_empty() || path == ":memory:" {
        return Err(wrong("an SQLite database in memory is lost with its connection; name a file"));
    }
    let mut read_only = false;
    for (key, value) in pairs(query) {
        match (key, value) {
            ("mode", "ro") => read_only = true,
            ("mode", "rw" | "rwc") => {}
            ("mode", _) => return Err(wrong("`mode` is one of ro, rw and rwc")),
            (other, _) => {
                tracing::warn!(parameter = other, "unknown parameter of the database URL is ignored")
            }
        }
    }
    Ok(SqliteFile { path: PathBuf::from(decode(path)?), read_only })
}

fn server(scheme: &str, path: &str, query: &str, known: &[(&str, &str)]) -> Result<String, StoreError> {
    let path = path.strip_prefix("//").ok_or_else(|| wrong("a server's URL begins with `<kind>://`"))?;
    let mut parameters = Vec::new();
    for (key, value) in pairs(query) {
        match known.iter().find(|(name, _)| *name == key) {
            Some((_, name)) => parameters.push(format!("{name}={value}")),
            None => tracing::warn!(parameter = key, "unknown parameter of the database URL is ignored"),
        }
    }
    let in_parameters = parameters.iter().any(|parameter| parameter.starts_with("dbname="));
    let database = path.rsplit_once('/').map_or("", |(_, database)| database);
    if database.is_empty() && !in_parameters {
        return Err(wrong("it names no database; end it with `/<name>`"));
    }
    let separator = if parameters.is_empty() { "" } else { "?" };
    Ok(format!("{scheme}://{path}{separator}{}", parameters.join("&")))
}

fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// Undoes percent signs, which a path needs for `?` and `#`.
fn decode(text: &str) -> Result<String, StoreError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
        let pair = digit().zip(digit()).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        bytes.push(pair.ok_or_else(|| {
            wrong("a `%` in the path needs two hexadecimal digits; write `%25` for a percent sign")
        })?);
    }
    String::from_utf8(bytes).map_err(|_| wrong("the path is not UTF-8"))
}

fn wrong(what: impl Into<String>) -> StoreError {
    StoreError::Url(what.into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn file(path: &str) -> Target {
        Target::Sqlite(SqliteFile { path: PathBuf::from(path), read_only: false })
    }

    #[test]
    fn forms_of_open_webui_mean_what_they_mean_there() {
        let postgres = |url: &str| Target::Postgres(url.to_owned());
        let mysql = |url: &str| Target::MySql(url.to_owned());
        for (url, expected) in [
            ("sqlite:///data.db", file("data.db")),
            ("sqlite:///./data/webui.db", file("./data/webui.db")),
            ("sqlite:////srv/data/webui.db", file("/srv/data/webui.db")),
            ("sqlite+aiosqlite:////srv/webui.db", file("/srv/webui.db")),
            ("sqlite:////srv/a%3Fb%20c.db", file("/srv/a?b c.db")),
            ("sqlite:////srv/a.db?mode=rwc", file("/srv/a.db")),
            ("postgres://u:p@h:5433/d", postgres("postgres://u:p@h:5433/d")),
            ("postgresql://u:p@h/d", postgres("postgres://u:p@h/d")),
            ("postgresql+asyncpg://u:p@h/d?ssl=require", postgres("postgres://u:p@h/d?sslmode=require")),
            ("postgresql+psycopg2://u@h/d?connect_timeout=3", postgres("postgres://u@h/d")),
            ("postgresql://u@/d?host=/run/postgresql", postgres("postgres://u@/d?host=/run/postgresql")),
            ("mysql://u:p@h/d", mysql("mysql://u:p@h/d")),
            ("mysql+aiomysql://u:p@h/d?charset=utf8mb4", mysql("mysql://u:p@h/d")),
            ("mariadb+pymysql://u:p@h:3307/d?ssl_ca=/ca.pem", mysql("mysql://u:p@h:3307/d?ssl-ca=/ca.pem")),
        ] {
            assert_eq!(parse(url).unwrap(), expected, "{url}");
        }
        assert_eq!(
            parse("sqlite:///a.db?mode=ro").unwrap(),
            Target::Sqlite(SqliteFile { path: PathBuf::from("a.db"), read_only: true })
        );
    }

    #[test]
    fn a_wrong_url_says_what_is_wrong_without_its_text() {
        for url in [
            "",
            "data.db",
            "sqlite://data.db",
            "sqlite:///",
            "sqlite://",
            "sqlite:///:memory:",
            "sqlite+sqlcipher:///a.db",
            "sqlite:///a%zz",
            "sqlite:///a.db?mode=memory",
            "oracle://u:secret@h/d",
            "postgresql://u:secret@h",
            "postgresql://u:secret@h/",
            "mysql://u:secret@h/",
            "postgresql:u:secret",
        ] {
            let error = parse(url).unwrap_err();
            assert!(matches!(error, StoreError::Url(_)), "{url}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_redacted_url_keeps_no_password() {
        assert_eq!(redact("postgresql://u:p@ss@h/d?password=x"), "postgresql://u:…@h/d");
        assert_eq!(redact("sqlite:////srv/a.db"), "sqlite:////srv/a.db");
        assert_eq!(redact("secret"), "…");
    }
}
