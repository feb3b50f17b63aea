//! What a plugin may ask for and what an operator may grant.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! permissions {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $risk:ident, $about:literal;)*) => {
        /// A permission. `wit/README.md` lists them for plugin authors.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Permission { $($(#[$doc])* #[doc = $about] $variant,)* }

        impl Permission {
            /// Every permission.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name in manifests, grants and messages.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it allows, for the operator who grants it.
            pub fn about(self) -> &'static str {
                match self { $(Self::$variant => $about,)* }
            }

            /// What granting it risks.
            pub fn risk(self) -> Risk {
                match self { $(Self::$variant => Risk::$risk,)* }
            }
        }
    };
}

/// What granting a permission risks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    /// Only the plugin's own things.
    Low,
    /// Data of people.
    Data,
    /// Acts on people or carries data between them; never part of a default set.
    People,
}

permissions! {
    UsersRead = "users.read", Data, "sees names and profiles of people";
    EmailRead = "email.read", People, "sees e-mail addresses";
    ChatsRead = "chats.read", Data, "reads titles and attributes of chats";
    ChatsWrite = "chats.write", Data, "makes, changes and deletes chats";
    ChatMessagesRead = "chat-messages.read", Data, "reads messages of chats";
    ChatMessagesWrite = "chat-messages.write", Data, "adds and changes messages of chats";
    FilesRead = "files.read", Data, "reads stored files";
    FilesWrite = "files.write", Data, "stores and deletes files";
    MemoriesRead = "memories.read", Data, "reads what is remembered about a person";
    MemoriesWrite = "memories.write", Data, "changes what is remembered about a person";
    ConfigRead = "config.read", Low, "reads settings of the server that are on the list of readable ones";
    Kv = "kv", Low, "keeps data of its own, apart for each person and each turn";
    KvShared = "kv.shared", People, "keeps data of its own that every call of it can read: it can carry one person's data to another";
    EventsEmit = "events.emit", Low, "shows progress, text, files and sources in the chat";
    EventsCall = "events.call", Low, "asks the person for a confirmation or an input";
    EventsHtml = "events.html", People, "shows HTML of its own making to the person";
    EventsScript = "events.script", People, "runs script in the person's page: it can act as whoever sees it";
    EventsOther = "events.other", People, "sends events of the types that the grant lists";
    Completions = "completions", Data, "has models answer requests, at the server's cost";
    Toolbox = "toolbox", Data, "calls other plugins' tools that the person may use";
    ActAsAdmin = "act-as-admin", People, "reaches all rows that its grants name when an admin runs it";
}

impl Permission {
    /// Finds a permission by its name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|permission| permission.as_str() == name)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Permission {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Permission {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::parse(&name).ok_or_else(|| serde::de::Error::custom(format!("unknown permission `{name}`")))
    }
}

/// How far a grant reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// What the principal owns or was given.
    #[default]
    Own,
    /// All rows, where the principal is an admin and the plugin may act as one.
    All,
}

/// One permission as an operator granted it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// How far it reaches.
    #[serde(default)]
    pub scope: Scope,
    /// Whether it holds for jobs, behind which there is no person.
    #[serde(default)]
    pub unattended: bool,
    /// For `events.other`: the types on the wire that it allows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub event_types: Vec<String>,
}

/// Everything that an operator granted a plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Grants(pub BTreeMap<Permission, Grant>);

impl Grants {
    /// The grant of a permission.
    pub fn get(&self, permission: Permission) -> Option<&Grant> {
        self.0.get(&permission)
    }

    /// Adds a grant with its defaults.
    pub fn with(mut self, permission: Permission) -> Self {
        self.0.insert(permission, Grant::default());
        self
    }
}
