//! What is held back of each text of an answer, from piece to piece.

use std::collections::BTreeMap;

use innkeeper_sdk::serde::{self, Deserialize, Serialize};

use crate::patterns::Patterns;

/// How the kinds begin that are the arguments of a tool's call; its index follows.
pub(crate) const ARGUMENTS: &str = "tool ";

/// What is held back, by choice and kind of text.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(crate = "self::serde", transparent)]
pub(crate) struct Tails {
    by_channel: BTreeMap<String, Tail>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(crate = "self::serde")]
struct Tail {
    held: String,
    /// The letter in front of it: a number is not to be found in the middle of a longer one.
    before: Option<char>,
}

impl Tails {
    /// Takes more text of a channel and returns what can be let go.
    pub(crate) fn push(&mut self, patterns: &Patterns, choice: u32, channel: &str, text: &str) -> String {
        let tail = self.by_channel.entry(format!("{choice} {channel}")).or_default();
        tail.held.push_str(text);
        let (released, bytes) = patterns.release(&tail.held, tail.before);
        if let Some(last) = tail.held[..bytes].chars().next_back() {
            tail.before = Some(last);
        }
        tail.held.drain(..bytes);
        released
    }

    /// Takes more of a text of which nothing is let go before it is complete.
    pub(crate) fn hold(&mut self, choice: u32, channel: &str, text: &str) {
        self.by_channel.entry(format!("{choice} {channel}")).or_default().held.push_str(text);
    }

    /// Returns what is held back of one choice or of all, as `(choice, channel, text)`: nothing more comes.
    pub(crate) fn flush(&mut self, patterns: &Patterns, choice: Option<u32>) -> Vec<(u32, String, String)> {
        let mut flushed = Vec::new();
        self.by_channel.retain(|key, tail| {
            let Some((of, channel)) = key.split_once(' ') else { return false };
            let of: u32 = of.parse().unwrap_or_default();
            if choice.is_some_and(|choice| choice != of) {
                return true;
            }
            if !tail.held.is_empty() {
                let text = if channel.starts_with(ARGUMENTS) {
                    crate::redact_arguments(patterns, &tail.held)
                } else {
                    patterns.finish(&tail.held, tail.before)
                };
                flushed.push((of, channel.to_owned(), text));
            }
            false
        });
        flushed
    }
}
