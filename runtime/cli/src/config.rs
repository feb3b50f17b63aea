//! Settings: a file, then the environment, then flags; the later one wins.
//! A setting that makes no sense names itself and the place where it stands.

mod environment;
mod error;
mod file;
mod layers;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use innkeeper_dispatch::ProviderConfig;
use innkeeper_model::limits::Limits;

use self::error::Place;
pub(crate) use self::error::{Placed, SettingError};
use self::layers::Layers;
use crate::args::{Args, Command};

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For programs, one object a line.
    Json,
}

/// All settings.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) data_dir: Placed<PathBuf>,
    pub(crate) listen: SocketAddr,
    pub(crate) allowed_origins: Vec<String>,
    pub(crate) drain_deadline: Duration,
    pub(crate) database_url: Placed<String>,
    pub(crate) database_connections: u32,
    pub(crate) limits: Limits,
    pub(crate) ceilings: Limits,
    pub(crate) component_max: u64,
    pub(crate) compile_timeout: Duration,
    pub(crate) instances: u32,
    pub(crate) stack: usize,
    pub(crate) json_max: u64,
    pub(crate) connections: u64,
    pub(crate) ask_timeout: Duration,
    pub(crate) providers: Vec<ProviderConfig>,
    pub(crate) log_format: LogFormat,
    pub(crate) log_filter: Option<String>,
    pub(crate) receipts_days: u64,
    pub(crate) receipts_rows: u64,
}

impl Settings {
    /// Reads everything that there is.
    pub(crate) fn load(args: &Args, environment: Vec<(OsString, OsString)>) -> Result<Self, SettingError> {
        let home = environment::default_data_dir(&environment);
        let mut outer = Layers::default();
        environment::add(&mut outer, environment)?;
        add_flags(&mut outer, args)?;

        // The file may be in the data directory, and the data directory may be in the file.
        let mut layers = Layers::default();
        let named_by =
            args.config.as_ref().map_or_else(|| outer.place("config"), |_| Place::Flag("--config"));
        let named = match &args.config {
            Some(path) => Some(path.clone()),
            None => outer.path("config")?,
        };
        if let Some(path) = &named {
            file::add(&mut layers, path, named_by)?;
        }
        layers.over(outer);
        let place = layers.place("data_dir");
        let data_dir = match layers.path("data_dir")? {
            Some(path) => path,
            None => home.ok_or_else(SettingError::no_data_dir)?,
        };
        let data_dir = Placed::new("data_dir", place, data_dir);
        let inside = data_dir.value.join("innkeeper.toml");
        if named.is_none() && inside.exists() {
            let mut base = Layers::default();
            file::add(&mut base, &inside, Place::Default)?;
            base.refuse(
                "data_dir",
                "is in the data directory's own file; name the directory by `--data-dir`",
            )?;
            base.over(layers);
            layers = base;
        }
        Self::of(layers, data_dir)
    }

    fn of(mut from: Layers, data_dir: Placed<PathBuf>) -> Result<Self, SettingError> {
        let ceilings = from.limits("ceilings", Limits::default_ceilings(), &Limits::ceilings())?;
        let defaults = capped(Limits::default(), &ceilings);
        let settings = Self {
            listen: from.address("listen", "127.0.0.1:8080")?,
            allowed_origins: from.origins("allowed_origins")?,
            drain_deadline: from.seconds("drain_deadline", 30, 24 * 3600)?,
            database_url: database_url(&mut from, &data_dir)?,
            database_connections: u32_of(from.number("database.max_connections", 8, 1, 1_000)?),
            limits: from.limits("limits", defaults, &ceilings)?,
            ceilings,
            component_max: from.number("plugin.component_max", 64 << 20, 1 << 10, 1 << 30)?,
            compile_timeout: from.seconds("plugin.compile_timeout", 60, 3600)?,
            instances: u32_of(from.number("plugin.instances", 1_000, 2, 100_000)?),
            stack: usize_of(from.number("plugin.stack", 512 << 10, 64 << 10, 16 << 20)?),
            json_max: from.number("http.json_max", 8 << 20, 1 << 10, 1 << 30)?,
            connections: from.number("http.connections", 16_384, 1, 1_000_000)?,
            ask_timeout: from.seconds("events.ask_timeout", 120, 24 * 3600)?,
            providers: from.providers()?,
            log_format: from.one_of("log.format", &[("text", LogFormat::Text), ("json", LogFormat::Json)])?,
            log_filter: from.log_filter("log.filter")?,
            receipts_days: from.number("receipts.keep_days", 30, 1, 36_500)?,
            receipts_rows: from.number("receipts.keep_rows", 1_000_000, 1, u64::MAX >> 1)?,
            data_dir,
        };
        from.finish()?;
        Ok(settings)
    }
}

fn add_flags(layers: &mut Layers, args: &Args) -> Result<(), SettingError> {
    let text = |path: &PathBuf| {
        let place = Place::Flag("--data-dir");
        path.to_str().map(str::to_owned).ok_or_else(|| SettingError::not_text("data_dir", &place, path))
    };
    layers.flag("data_dir", "--data-dir", args.data_dir.as_ref().map(text).transpose()?);
    layers.flag("database.url", "--database-url", args.database_url.clone());
    if let Command::Serve(serve) = &args.command {
        layers.flag("listen", "--listen", serve.listen.clone());
        layers.flag("drain_deadline", "--drain-deadline", serve.drain_deadline.clone());
        layers.flag("log.format", "--log-format", serve.log_format.clone());
    }
    Ok(())
}

/// Defaults that an operator's ceilings leave.
fn capped(mut limits: Limits, ceilings: &Limits) -> Limits {
    for info in Limits::ALL {
        if let (Some(value), Some(ceiling)) = (limits.get(info.name), ceilings.get(info.name)) {
            limits.set(info.name, value.min(ceiling));
        }
    }
    limits
}

fn usize_of(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn u32_of(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The database, which is an SQLite file in the data directory where nobody names another.
fn database_url(from: &mut Layers, data_dir: &Placed<PathBuf>) -> Result<Placed<String>, SettingError> {
    let place = from.place("database.url");
    let url = match from.text("database.url")? {
        Some(url) => url,
        None => sqlite_url(data_dir)?,
    };
    Ok(Placed::new("database.url", place, url))
}

/// The URL of an SQLite file. A path that is not text cannot be one.
fn sqlite_url(data_dir: &Placed<PathBuf>) -> Result<String, SettingError> {
    let path = data_dir.value.join("innkeeper.db");
    let path = std::path::absolute(&path).unwrap_or(path);
    let unfit = || data_dir.wrong(format!("the path `{}` is not UTF-8; choose another", path.display()));
    let escaped = path.to_str().ok_or_else(unfit)?;
    let escaped = escaped.replace('%', "%25").replace('?', "%3F").replace('#', "%23");
    Ok(format!("sqlite:///{escaped}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn a_server_that_nobody_has_set_up_listens_on_this_machine_alone() {
        let args = Args::try_parse_from(["innkeeper", "serve"]).unwrap();
        let settings = Settings::load(&args, vec![("HOME".into(), "/proc/nobody".into())]).unwrap();
        assert!(settings.listen.ip().is_loopback(), "{}", settings.listen);
        assert_eq!(settings.allowed_origins, [""; 0]);
    }
}
