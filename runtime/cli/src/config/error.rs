//! What is wrong with a setting, and where it stands.

use std::fmt;
use std::path::{Path, PathBuf};

/// Where a setting stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a file.
    File {
        /// Which.
        path: PathBuf,
        /// From 1.
        line: usize,
    },
    /// In a variable of the environment.
    Variable(String),
    /// In a flag.
    Flag(&'static str),
    /// Nowhere: it is the default.
    Default,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
            Self::Default => f.write_str("the default"),
        }
    }
}

/// A value that shows only in use whether it makes sense, with what is needed to complain of it then.
#[derive(Clone, Debug)]
pub(crate) struct Placed<T> {
    pub(crate) value: T,
    name: &'static str,
    place: Place,
}

impl<T> Placed<T> {
    pub(super) fn new(name: &'static str, place: Place, value: T) -> Self {
        Self { value, name, place }
    }

    /// The value makes no sense.
    pub(crate) fn wrong(&self, problem: impl Into<String>) -> SettingError {
        SettingError::value(self.name, &self.place, problem)
    }
}

/// A setting that makes no sense.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingError {
    /// A value.
    #[error("setting `{name}` ({place}): {problem}")]
    Value {
        /// Which setting.
        name: String,
        /// Where it stands.
        place: Place,
        /// What is wrong, and what to write.
        problem: String,
    },
    /// A file that cannot be read.
    #[error("settings file `{}` ({place}) cannot be read: {problem}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What names it.
        place: Place,
        /// Why.
        problem: String,
    },
    /// A file that is not TOML.
    #[error("settings file {place}: {problem}")]
    Syntax {
        /// Where.
        place: Place,
        /// What is wrong.
        problem: String,
    },
    /// Something that cannot be told at all.
    #[error("{0}")]
    Missing(String),
}

impl SettingError {
    /// A value that makes no sense.
    pub(crate) fn value(name: &str, place: &Place, problem: impl Into<String>) -> Self {
        Self::Value { name: name.to_owned(), place: place.clone(), problem: problem.into() }
    }

    /// Nobody says where the data is.
    pub(crate) fn no_data_dir() -> Self {
        Self::Missing(
            "there is no home directory to keep data in; name a directory with `--data-dir`".to_owned(),
        )
    }

    /// A path that is not text.
    pub(crate) fn not_text(name: &str, place: &Place, path: &Path) -> Self {
        Self::value(name, place, format!("the path `{}` is not UTF-8; choose another", path.display()))
    }
}
