//! Ids. All are opaque strings except `PluginId`, which has a grammar because routes and file names are made from it.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes any text as an id.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The id's text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The id's text, owned.
            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }
    };
}

id!(
    /// Id of a person; never an e-mail address.
    UserId
);
id!(
    /// Id of a chat: a UUID for a saved chat, `temporary:…` or `local:…` for one that nobody stores, `channel:…` for a channel.
    ChatId
);
id!(
    /// Id of a message within its chat.
    MessageId
);
id!(
    /// Id of a stored file.
    FileId
);
id!(
    /// Id of a memory.
    MemoryId
);
id!(
    /// Id of a model as a client names it.
    ModelId
);

impl ChatId {
    /// Whether a chat of this id can be stored at all.
    pub fn is_saved(&self) -> bool {
        !["temporary:", "local:", "channel:"].iter().any(|prefix| self.0.starts_with(prefix))
    }
}

/// Names that a plugin may not take, because routes of the server begin with them.
pub const RESERVED: &[&str] = &[
    "admin",
    "api",
    "assets",
    "auth",
    "docs",
    "events",
    "files",
    "health",
    "healthz",
    "innkeeper",
    "mcp",
    "metrics",
    "models",
    "openapi",
    "pipelines",
    "plugins",
    "readyz",
    "static",
    "tools",
    "v1",
    "ws",
];

/// Longest plugin id, in bytes.
pub const PLUGIN_ID_MAX: usize = 64;

/// Id of a plugin: `[a-z][a-z0-9]*([-_][a-z0-9]+)*`, at most 64 bytes, not reserved.
/// There are no capitals in it, so it is unique without regard to case by construction.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct PluginId(String);

/// Why a text is not a plugin id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PluginIdError {
    /// Too long or empty.
    #[error("plugin id has {0} bytes; it needs 1 to 64")]
    Length(usize),
    /// Outside the grammar.
    #[error(
        "plugin id `{0}` is not of the form `name-of-plugin`: lower-case letters and digits, parts joined by single `-` or `_`, a letter first"
    )]
    Grammar(String),
    /// Taken by a route of the server.
    #[error("plugin id `{0}` is reserved for a route of the server; choose another")]
    Reserved(String),
}

impl PluginId {
    /// Checks the grammar.
    pub fn parse(text: &str) -> Result<Self, PluginIdError> {
        if text.is_empty() || text.len() > PLUGIN_ID_MAX {
            return Err(PluginIdError::Length(text.len()));
        }
        let part = |p: &str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let letter_first = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
        if !letter_first || !text.split(['-', '_']).all(part) {
            return Err(PluginIdError::Grammar(text.escape_default().to_string()));
        }
        if RESERVED.contains(&text) {
            return Err(PluginIdError::Reserved(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PluginId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PluginId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugin_ids_follow_the_grammar() {
        for good in ["a", "echo", "context-clip", "a1_b2-c3"] {
            assert!(PluginId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "A", "Echo", "1a", "-a", "a-", "a--b", "a b", "a/b", "../a", "ä", "a\n", "v1", "mcp"]
        {
            assert!(PluginId::parse(bad).is_err(), "{bad}");
        }
        assert!(PluginId::parse(&"a".repeat(64)).is_ok());
        assert!(PluginId::parse(&"a".repeat(65)).is_err());
    }
}
