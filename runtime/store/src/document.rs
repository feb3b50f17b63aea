//! Changing a stored JSON document without rewriting what is not touched: members that nobody changes keep their exact
//! text, unknown fields and number lexemes included.
//!
//! `chat.chat` holds all messages of a chat. It is read and written once per change of a message, however many events
//! the change consists of, and never when chats or messages are only read.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use crate::chats::TITLE_MAX;
use crate::error::StoreError;

/// The limit of a chat's size, as errors name it.
pub const CHAT_BYTES: &str = "chat-bytes";
/// Bytes that a chat may have with all its messages, just below what MariaDB takes in one packet by default.
pub const CHAT_BYTES_MAX: usize = 15 << 20;
/// What a title takes in a document at most, each of its bytes escaped.
const TITLE_ROOM: usize = 6 * TITLE_MAX;

/// A JSON object whose members are text until they are looked at. Where a name comes twice, the last one counts, as everywhere.
#[derive(Clone, Debug, Default)]
pub(crate) struct RawObject(Vec<(String, Box<RawValue>)>);

impl RawObject {
    /// Reads a column; absent documents are NULL or the text `null`.
    pub(crate) fn parse(what: &'static str, text: Option<&str>) -> Result<Self, StoreError> {
        match text.map(str::trim) {
            None | Some("" | "null") => Ok(Self::default()),
            Some(text) => serde_json::from_str(text).map_err(|error| StoreError::corrupt(what, error)),
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&RawValue> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| &**value)
    }

    /// A member as a value; none where it is absent or cannot be taken apart.
    pub(crate) fn read<'a, T: Deserialize<'a>>(&'a self, key: &str) -> Option<T> {
        serde_json::from_str(self.get(key)?.get()).ok()
    }

    pub(crate) fn contains(&self, key: &str) -> bool {
        self.0.iter().any(|(name, _)| name == key)
    }

    /// Puts a member in the place of the one of that name, or at the end.
    pub(crate) fn set(&mut self, key: &str, value: &(impl Serialize + ?Sized)) -> Result<(), StoreError> {
        let value = to_raw_value(value).map_err(|error| StoreError::corrupt(key, error))?;
        match self.0.iter_mut().rev().find(|(name, _)| name == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key.to_owned(), value)),
        }
        Ok(())
    }

    pub(crate) fn to_text(&self) -> Result<String, StoreError> {
        serde_json::to_string(self).map_err(|error| StoreError::corrupt("document", error))
    }

    /// A member as an object; empty where it is absent or `null`.
    fn object(&self, key: &str) -> Result<Self, StoreError> {
        Self::parse("chat", self.get(key).map(RawValue::get))
    }
}

/// The document of a chat.
#[derive(Debug)]
pub(crate) struct ChatDocument {
    root: RawObject,
    history: RawObject,
    messages: RawObject,
    /// Bytes that its text may have.
    most: usize,
}

impl ChatDocument {
    /// Reads `chat.chat`. A chat from before there were branches gets its messages as one branch, as upstream reads it.
    ///
    /// # Errors
    /// `Corrupt`.
    pub(crate) fn parse(text: Option<&str>) -> Result<Self, StoreError> {
        let root = RawObject::parse("chat", text)?;
        let history = root.object("history")?;
        let messages = history.object("messages")?;
        // A chat that is too large already, as upstream allows, may still be changed, but not grow.
        let most = Ord::max(CHAT_BYTES_MAX, text.map_or(0, str::len));
        let mut document = Self { root, history, messages, most };
        if document.history.0.is_empty() {
            document.import_linear()?;
        }
        Ok(document)
    }

    /// Whether there is a message of that id.
    pub(crate) fn contains(&self, id: &str) -> bool {
        self.messages.contains(id)
    }

    /// A message's fields; empty where there is none.
    pub(crate) fn message(&self, id: &str) -> Result<RawObject, StoreError> {
        RawObject::parse("chat message", self.messages.get(id).map(RawValue::get))
    }

    /// Puts a message.
    pub(crate) fn set_message(&mut self, id: &str, message: &RawObject) -> Result<(), StoreError> {
        self.messages.set(id, message)
    }

    /// Adds a message at the end of a branch and makes it current.
    pub(crate) fn append(
        &mut self,
        id: &str,
        parent: Option<&str>,
        message: &RawObject,
    ) -> Result<(), StoreError> {
        if let Some(parent) = parent.filter(|parent| self.contains(parent)) {
            let mut fields = self.message(parent)?;
            let mut children: Vec<Box<RawValue>> = fields.read("childrenIds").unwrap_or_default();
            children.push(to_raw_value(id).map_err(|error| StoreError::corrupt("message id", error))?);
            fields.set("childrenIds", &children)?;
            self.set_message(parent, &fields)?;
        }
        self.set_message(id, message)?;
        self.history.set("currentId", id)
    }

    /// Changes the title, which upstream keeps in the document too.
    pub(crate) fn set_title(&mut self, title: &str) -> Result<(), StoreError> {
        // No chat is too large for another title.
        self.most = self.most.saturating_add(TITLE_ROOM);
        self.root.set("title", title)
    }

    /// The document's text.
    ///
    /// # Errors
    /// `Quota` where the chat would grow too large: its document is read and written as a whole for each message.
    pub(crate) fn into_text(mut self) -> Result<String, StoreError> {
        self.history.set("messages", &self.messages)?;
        self.root.set("history", &self.history)?;
        let text = self.root.to_text()?;
        if text.len() > self.most { Err(StoreError::Quota(CHAT_BYTES)) } else { Ok(text) }
    }

    fn import_linear(&mut self) -> Result<(), StoreError> {
        let Some(list) = self.root.read::<Vec<RawObject>>("messages") else { return Ok(()) };
        let ids: Vec<String> = list.iter().map(|message| message.read("id").unwrap_or_default()).collect();
        if ids.iter().any(String::is_empty) {
            return Ok(());
        }
        for (index, mut message) in list.into_iter().enumerate() {
            if !message.contains("parentId") {
                message.set("parentId", &index.checked_sub(1).and_then(|before| ids.get(before)))?;
            }
            if !message.contains("childrenIds") {
                message.set("childrenIds", &ids.get(index + 1).as_slice())?;
            }
            if let Some(id) = ids.get(index) {
                self.messages.set(id, &message)?;
            }
        }
        self.history.set("currentId", &ids.last())
    }
}

impl Serialize for RawObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for RawObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = RawObject;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawObject, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<String, Box<RawValue>>()? {
                    members.push(member);
                }
                Ok(RawObject(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn object(value: Value) -> RawObject {
        RawObject::parse("test", Some(&value.to_string())).unwrap()
    }

    #[test]
    fn what_is_not_touched_keeps_its_text() {
        let text = r#"{"x":1.0e2,"history":{"messages":{"a":{"id":"a","n":12345678901234567890123},"b":{ "id":"b" }},"z":0.10}}"#;
        let mut document = ChatDocument::parse(Some(text)).unwrap();
        let mut message = document.message("b").unwrap();
        message.set("content", "new").unwrap();
        document.set_message("b", &message).unwrap();
        assert_eq!(
            document.into_text().unwrap(),
            r#"{"x":1.0e2,"history":{"messages":{"a":{"id":"a","n":12345678901234567890123},"b":{"id":"b","content":"new"}},"z":0.10}}"#
        );
    }

    #[test]
    fn appending_links_the_parent_and_moves_the_end() {
        let text = r#"{"history":{"messages":{"a":{"id":"a","childrenIds":null}},"currentId":"a"}}"#;
        let mut document = ChatDocument::parse(Some(text)).unwrap();
        document.append("b", Some("a"), &object(json!({"id": "b"}))).unwrap();
        let value: Value = serde_json::from_str(&document.into_text().unwrap()).unwrap();
        assert_eq!(value["history"]["messages"]["a"]["childrenIds"], json!(["b"]));
        assert_eq!(value["history"]["currentId"], "b");
    }

    #[test]
    fn a_chat_without_branches_becomes_one_branch() {
        let text = r#"{"title":"t","messages":[{"id":"a","role":"user"},{"id":"b","role":"assistant"}]}"#;
        let document = ChatDocument::parse(Some(text)).unwrap();
        assert_eq!(document.message("b").unwrap().read::<String>("parentId").unwrap(), "a");
        assert_eq!(document.message("a").unwrap().read::<Value>("childrenIds").unwrap(), json!(["b"]));
        assert_eq!(document.message("a").unwrap().get("parentId").unwrap().get(), "null");
    }

    #[test]
    fn what_nobody_here_can_take_apart_stays_in_a_message_that_changes() {
        let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
        let odd = format!(r#""n":12345678901234567890123,"x":1.0e2,"y":1e400,"s":"\ud800","deep":{deep}"#);
        let text = format!(r#"{{"history":{{"messages":{{"a":{{"childrenIds":["z",1e400],{odd}}}}}}}}}"#);
        let mut document = ChatDocument::parse(Some(&text)).unwrap();
        document.append("b", Some("a"), &object(json!({"id": "b"}))).unwrap();
        let mut message = document.message("a").unwrap();
        message.set("content", "new").unwrap();
        document.set_message("a", &message).unwrap();
        let after = document.into_text().unwrap();
        let expected = format!(r#""a":{{"childrenIds":["z",1e400,"b"],{odd},"content":"new"}}"#);
        assert!(after.contains(&expected), "{after}");
    }

    #[test]
    fn of_a_name_that_comes_twice_the_last_counts() {
        let mut twice = RawObject::parse("test", Some(r#"{"a":1,"b":0,"a":2}"#)).unwrap();
        assert_eq!(twice.read::<u8>("a"), Some(2));
        twice.set("a", &3).unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&twice.to_text().unwrap()).unwrap(),
            json!({"a": 3, "b": 0})
        );
    }

    #[test]
    fn a_chat_that_is_too_large_may_shrink_and_get_another_title() {
        let large = |bytes: usize| {
            let content = "x".repeat(bytes);
            let text =
                format!(r#"{{"title":"t","history":{{"messages":{{"a":{{"content":"{content}"}}}}}}}}"#);
            ChatDocument::parse(Some(&text)).unwrap()
        };
        let with_content = |bytes: usize| {
            let mut document = large(CHAT_BYTES_MAX);
            document.set_message("a", &object(json!({"content": "x".repeat(bytes)}))).unwrap();
            document.into_text()
        };
        with_content(CHAT_BYTES_MAX).unwrap();
        with_content(CHAT_BYTES_MAX - 1).unwrap();
        assert!(matches!(with_content(CHAT_BYTES_MAX + 1), Err(StoreError::Quota(CHAT_BYTES))));
        let mut document = large(CHAT_BYTES_MAX);
        document.set_title("a longer title").unwrap();
        document.into_text().unwrap();
        let mut document = large(100);
        document.set_message("a", &object(json!({"content": "x".repeat(CHAT_BYTES_MAX)}))).unwrap();
        assert!(matches!(document.into_text(), Err(StoreError::Quota(CHAT_BYTES))));
    }

    #[test]
    fn documents_that_are_none_are_empty_or_refused() {
        for absent in [None, Some("null"), Some(""), Some("{}")] {
            assert!(!ChatDocument::parse(absent).unwrap().contains("a"));
        }
        for corrupt in ["[]", "\"x\"", "{\"history\":[]}", "{\"history\":{\"messages\":3}}", "{"] {
            assert!(
                matches!(ChatDocument::parse(Some(corrupt)), Err(StoreError::Corrupt { .. })),
                "{corrupt}"
            );
        }
        let deep = format!("{{\"x\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(ChatDocument::parse(Some(&deep)).unwrap().root.to_text().unwrap(), deep);
    }
}
