//! Settings from a TOML file, each with its line.

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{Place, SettingError};
use super::layers::{Layers, Raw};

/// Adds what a file says. Relative paths in it are relative to it.
pub(super) fn add(layers: &mut Layers, path: &Path, named_by: Place) -> Result<(), SettingError> {
    let text = std::fs::read_to_string(path).map_err(|error| SettingError::File {
        path: path.to_owned(),
        place: named_by,
        problem: error.to_string(),
    })?;
    let table = DeTable::parse(&text).map_err(|error| SettingError::Syntax {
        place: Place::File {
            path: path.to_owned(),
            line: line(&text, error.span().map_or(0, |span| span.start)),
        },
        problem: error.message().replace('\n', ", "),
    })?;
    let reader = Reader { text: &text, path };
    reader.table(layers, "", table.get_ref())
}

struct Reader<'a> {
    text: &'a str,
    path: &'a Path,
}

impl Reader<'_> {
    fn table(&self, layers: &mut Layers, prefix: &str, table: &DeTable<'_>) -> Result<(), SettingError> {
        for (key, value) in table {
            let name = if prefix.is_empty() {
                key.get_ref().to_string()
            } else {
                format!("{prefix}.{}", key.get_ref())
            };
            if let DeValue::Table(inner) = value.get_ref() {
                self.table(layers, &name, inner)?;
                continue;
            }
            let place = self.place(key.span().start);
            if name == "config" {
                let problem = "a file cannot name another; use `--config` or INNKEEPER__CONFIG";
                return Err(SettingError::value(&name, &place, problem));
            }
            let mut raw = self.value(&name, value)?;
            if let (true, Raw::Text(text)) = (name == "data_dir", &raw) {
                let beside = self.beside(text);
                let found = beside.to_str().ok_or_else(|| SettingError::not_text(&name, &place, &beside))?;
                raw = Raw::Text(found.to_owned());
            }
            layers.set(name, raw, place);
        }
        Ok(())
    }

    fn value(&self, name: &str, value: &Spanned<DeValue<'_>>) -> Result<Raw, SettingError> {
        let wrong = |problem: String| SettingError::value(name, &self.place(value.span().start), problem);
        Ok(match value.get_ref() {
            DeValue::String(text) => Raw::Text(text.to_string()),
            DeValue::Integer(integer) => {
                let digits = integer.as_str().replace('_', "");
                let number = i128::from_str_radix(&digits, integer.radix());
                Raw::Integer(number.map_err(|_| wrong("is too large a number".to_owned()))?)
            }
            DeValue::Boolean(value) => Raw::Bool(*value),
            DeValue::Array(items) => {
                Raw::List(items.iter().map(|item| self.value(name, item)).collect::<Result<_, _>>()?)
            }
            DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => Raw::Other,
        })
    }

    fn place(&self, at: usize) -> Place {
        Place::File { path: self.path.to_owned(), line: line(self.text, at) }
    }

    fn beside(&self, text: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(text)
    }
}

fn line(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|&byte| byte == b'\n').count() + 1
}
