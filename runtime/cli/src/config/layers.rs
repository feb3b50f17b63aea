//! Settings by name, each with its place, taken out one by one with a check of the value; what is left over is unknown.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use innkeeper_dispatch::ProviderConfig;
use innkeeper_model::limits::Limits;
use tracing_subscriber::EnvFilter;

use super::error::{Place, SettingError};

/// A value as it was written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Raw {
    Text(String),
    Integer(i128),
    Bool(bool),
    List(Vec<Raw>),
    /// What no setting takes: a fraction, a date.
    Other,
}

/// Settings by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Layers {
    values: BTreeMap<String, (Raw, Place)>,
    /// Names that were asked for, for suggestions.
    known: Vec<String>,
}

impl Layers {
    /// Sets a value, whatever it was before.
    pub(super) fn set(&mut self, name: String, value: Raw, place: Place) {
        self.values.insert(name, (value, place));
    }

    /// Sets what a flag says, if it was given.
    pub(super) fn flag(&mut self, name: &str, flag: &'static str, value: Option<String>) {
        if let Some(value) = value {
            self.set(name.to_owned(), Raw::Text(value), Place::Flag(flag));
        }
    }

    /// Puts later settings over these.
    pub(super) fn over(&mut self, later: Self) {
        self.values.extend(later.values);
        self.known.extend(later.known);
    }

    /// Refuses a setting that must not be here.
    pub(super) fn refuse(&self, name: &str, problem: &str) -> Result<(), SettingError> {
        self.values.get(name).map_or(Ok(()), |(_, place)| Err(SettingError::value(name, place, problem)))
    }

    /// A text.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, SettingError> {
        self.take(name, |value| match value {
            Raw::Text(text) if !text.trim().is_empty() => Ok(text),
            Raw::Text(_) => Err("is empty; write a text or leave it out".to_owned()),
            _ => Err("is not a text; put it in quotes".to_owned()),
        })
    }

    /// Where a value stands that has not been taken yet.
    pub(super) fn place(&self, name: &str) -> Place {
        self.values.get(name).map_or(Place::Default, |(_, place)| place.clone())
    }

    /// A path.
    pub(super) fn path(&mut self, name: &str) -> Result<Option<PathBuf>, SettingError> {
        Ok(self.text(name)?.map(PathBuf::from))
    }

    /// An address with a port.
    pub(super) fn address(&mut self, name: &str, default: &str) -> Result<SocketAddr, SettingError> {
        let read = |text: &str| {
            let text = text.replacen("localhost:", "127.0.0.1:", 1);
            text.parse().map_err(|_| {
                format!("`{}` is no address with a port; write for example `127.0.0.1:8080`", shown(&text))
            })
        };
        let found = self.take(name, |value| match value {
            Raw::Text(text) => read(&text),
            _ => Err("is not a text; write for example \"127.0.0.1:8080\"".to_owned()),
        })?;
        match found {
            Some(address) => Ok(address),
            None => read(default).map_err(SettingError::Missing),
        }
    }

    /// A whole number within bounds.
    pub(super) fn number(
        &mut self,
        name: &str,
        default: u64,
        min: u64,
        max: u64,
    ) -> Result<u64, SettingError> {
        let found = self.take(name, |value| whole(&value, min, max, ""))?;
        Ok(found.unwrap_or(default))
    }

    /// A time in seconds.
    pub(super) fn seconds(&mut self, name: &str, default: u64, max: u64) -> Result<Duration, SettingError> {
        self.number(name, default, 0, max).map(Duration::from_secs)
    }

    /// What to log, in the form of `tracing`'s directives.
    pub(super) fn log_filter(&mut self, name: &str) -> Result<Option<String>, SettingError> {
        self.take(name, |value| {
            let example = "write for example \"info,innkeeper_dispatch=debug\"";
            let Raw::Text(text) = value else { return Err(format!("is not a text; {example}")) };
            match EnvFilter::try_new(&text) {
                Ok(_) if !text.trim().is_empty() => Ok(text),
                Ok(_) => Err(format!("is empty; {example}, or leave it out")),
                Err(error) => Err(format!("`{}` cannot be read: {error}; {example}", shown(&text))),
            }
        })
    }

    /// One of a few words; the first where it is left out.
    pub(super) fn one_of<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Result<T, SettingError> {
        let all = || words.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(" or ");
        let found = self.take(name, |value| {
            let Raw::Text(text) = value else { return Err(format!("is not a text; write {}", all())) };
            let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
            found.ok_or_else(|| format!("`{}` is none of its values; write {}", shown(&text), all()))
        })?;
        found
            .or_else(|| words.first().map(|(_, value)| *value))
            .ok_or_else(|| SettingError::Missing(name.to_owned()))
    }

    /// Origins of pages.
    pub(super) fn origins(&mut self, name: &str) -> Result<Vec<String>, SettingError> {
        let found = self.take(name, |value| {
            let origins = list(value)?;
            let is_origin = |text: &str| {
                let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
                host.is_some_and(|host| {
                    !host.is_empty() && !host.trim_end_matches('/').contains(['/', '*', '?', ' '])
                })
            };
            match origins.iter().find(|origin| !is_origin(origin)) {
                Some(wrong) => Err(format!(
                    "`{}` is no origin; write for example `https://chat.example.org`",
                    shown(wrong)
                )),
                None => Ok(origins),
            }
        })?;
        Ok(found.unwrap_or_default())
    }

    /// A block of limits.
    pub(super) fn limits(
        &mut self,
        section: &str,
        defaults: Limits,
        ceilings: &Limits,
    ) -> Result<Limits, SettingError> {
        let prefix = format!("{section}.");
        let mut limits = defaults;
        for name in self.names_under(&prefix) {
            let limit = name.strip_prefix(&prefix).unwrap_or_default().to_owned();
            let value = self.take(&name, |value| {
                let info = Limits::ALL.iter().find(|info| info.name == limit).ok_or_else(|| {
                    let all = Limits::ALL.iter().map(|info| info.name).collect::<Vec<_>>().join(", ");
                    format!("there is no such limit; there are {all}")
                })?;
                whole(&value, 0, ceilings.get(&limit).unwrap_or(info.ceiling), info.unit)
            })?;
            if let Some(value) = value {
                limits.set(&limit, value);
            }
        }
        Ok(limits)
    }

    /// `[providers.<id>]` tables.
    pub(super) fn providers(&mut self) -> Result<Vec<ProviderConfig>, SettingError> {
        let names = self.names_under("providers.");
        let mut ids: Vec<String> = names
            .iter()
            .filter_map(|name| Some(name.strip_prefix("providers.")?.rsplit_once('.')?.0.to_owned()))
            .collect();
        ids.dedup();
        ids.into_iter().map(|id| self.provider(id, &names)).collect()
    }

    fn provider(&mut self, id: String, names: &[String]) -> Result<ProviderConfig, SettingError> {
        let name = |field: &str| format!("providers.{id}.{field}");
        let place = names.iter().find(|name| name.starts_with(&format!("providers.{id}.")));
        let place = place.and_then(|name| self.values.get(name)).map(|(_, place)| place.clone());
        let base_url = self.take(&name("base_url"), |value| match value {
            Raw::Text(url) if is_address(&url) => Ok(url),
            _ => Err("is no address; write for example `https://api.example.org/v1`".to_owned()),
        })?;
        let base_url = base_url.ok_or_else(|| {
            let problem = "is missing; write the address of its API, such as `https://api.example.org/v1`";
            match &place {
                Some(place) => SettingError::value(&name("base_url"), place, problem),
                None => SettingError::Missing(problem.to_owned()),
            }
        })?;
        let api_key = self.text(&name("api_key"))?;
        let models = self.take(&name("models"), list)?.unwrap_or_default();
        Ok(ProviderConfig { id, base_url, api_key, models })
    }

    /// Refuses what nobody asked for.
    pub(super) fn finish(mut self) -> Result<(), SettingError> {
        // Those without fixed names are known by their sections.
        self.known.retain(|name| {
            !["limits.", "ceilings.", "providers."].iter().any(|section| name.starts_with(section))
        });
        self.known.extend(["limits.<name>", "ceilings.<name>", "providers.<id>.base_url"].map(str::to_owned));
        self.known.extend(["providers.<id>.api_key", "providers.<id>.models", "data_dir"].map(str::to_owned));
        self.known.sort();
        self.known.dedup();
        // Read before the file was known.
        for early in ["config", "data_dir"] {
            self.values.remove(early);
        }
        let Some((name, (_, place))) = self.values.first_key_value() else { return Ok(()) };
        let nearest = self
            .known
            .iter()
            .min_by_key(|known| distance(known, name))
            .filter(|known| distance(known, name) <= 3);
        let problem = match nearest {
            Some(known) => format!("there is no such setting; did you mean `{known}`?"),
            None => format!("there is no such setting; there are {}", self.known.join(", ")),
        };
        Err(SettingError::value(&shown(name), place, problem))
    }

    fn take<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(Raw) -> Result<T, String>,
    ) -> Result<Option<T>, SettingError> {
        self.known.push(name.to_owned());
        let Some((value, place)) = self.values.remove(name) else { return Ok(None) };
        read(value).map(Some).map_err(|problem| SettingError::value(name, &place, problem))
    }

    fn names_under(&self, prefix: &str) -> Vec<String> {
        self.values.keys().filter(|name| name.starts_with(prefix)).cloned().collect()
    }
}

/// A whole number within bounds, of a unit where it has one.
fn whole(value: &Raw, min: u64, max: u64, unit: &str) -> Result<u64, String> {
    let number = match value {
        Raw::Integer(number) => Some(*number),
        Raw::Text(text) => text.trim().replace('_', "").parse().ok(),
        Raw::Bool(_) | Raw::List(_) | Raw::Other => None,
    };
    let unit = if unit.is_empty() { String::new() } else { format!(" of {unit}") };
    let range = format!("write a whole number{unit} from {min} to {max}");
    let number = number.ok_or_else(|| format!("is not a whole number; {range}"))?;
    u64::try_from(number)
        .ok()
        .filter(|number| (min..=max).contains(number))
        .ok_or_else(|| format!("is {number}; {range}"))
}

/// Whether it begins as addresses of the web do, with a host.
fn is_address(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.starts_with(['/', '?', '#', ':']) && !rest.is_empty() && !rest.contains(char::is_whitespace)
    })
}

/// A list of texts; in variables they are separated by commas.
fn list(value: Raw) -> Result<Vec<String>, String> {
    let wrong = || "is not a list of texts; write for example [\"one\", \"another\"]".to_owned();
    match value {
        Raw::Text(text) => {
            Ok(text.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect())
        }
        Raw::List(items) => items
            .into_iter()
            .map(|item| if let Raw::Text(text) = item { Ok(text) } else { Err(wrong()) })
            .collect(),
        Raw::Integer(_) | Raw::Bool(_) | Raw::Other => Err(wrong()),
    }
}

fn shown(text: &str) -> String {
    innkeeper_host::log::escape(&text.chars().take(80).collect::<String>())
}

/// How many letters have to be changed to get from one name to the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, a) in from.chars().enumerate() {
        let mut next = vec![line + 1];
        for (column, b) in to.iter().enumerate() {
            let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX / 2);
            let change = at(&row, column) + usize::from(a != *b);
            next.push(change.min(at(&row, column + 1) + 1).min(at(&next, column) + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}
