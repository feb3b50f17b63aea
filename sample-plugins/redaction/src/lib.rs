//! A filter that takes personal data out of chats. What is found is in `patterns`, what is held back in `tail`.

mod patterns;
mod tail;

use std::cell::{Cell, RefCell};

use innkeeper_sdk::chat_request::{Content, Delta};
use innkeeper_sdk::prelude::*;
use innkeeper_sdk::serde_json::{self, Value};

use crate::patterns::Patterns;
use crate::tail::Tails;

/// Takes e-mail addresses, card numbers and chosen words out of chats.
///
/// A match may be split over pieces of an answer, so the end of the text that came so far is held back while it may be the beginning of one.
/// Where the instance lives through the turn, it keeps that end itself; else it goes through the turn's storage from piece to piece.
#[derive(Plugin, Default)]
#[plugin(
    id = "redaction",
    permissions(kv = "keeps the end of an answer's text until more of it comes"),
    valves = Settings
)]
struct Redaction {
    /// Whether this instance has seen the turn's inlet, and so will see the rest of it.
    kept: Cell<bool>,
    tails: RefCell<Tails>,
}

/// What to take out.
#[valves]
struct Settings {
    /// Whether to take out e-mail addresses.
    #[valve(default = true)]
    emails: bool,
    /// Whether to take out card numbers.
    #[valve(default = true)]
    cards: bool,
    /// Words and phrases to take out, without regard to case.
    words: Vec<String>,
}

#[filter(priority = 100, guard, keep_instance)]
impl Filter for Redaction {
    async fn inlet(
        &self,
        _invocation: Invocation,
        mut request: ChatRequest,
    ) -> Result<ChatRequest, PluginError> {
        let patterns = patterns()?;
        self.kept.set(true);
        for message in &mut request.messages {
            message.for_each_text(|text| *text = patterns.redact(text));
            if let Some(Content::Other(json)) = &mut message.content {
                *json = redact_json(&patterns, json);
            }
        }
        Ok(request)
    }

    async fn stream(&self, chunks: Vec<Chunk>) -> Result<Vec<Chunk>, PluginError> {
        let patterns = patterns()?;
        if self.kept.get() {
            return Ok(release(&patterns, &mut self.tails.borrow_mut(), chunks));
        }
        let key = key();
        let before = match kv::Turn.get_json::<Tails>(key.clone()).await {
            Ok(tails) => tails.unwrap_or_default(),
            // An error would let the pieces pass as they are, so take out what each holds whole.
            Err(error) => return Ok(without_tails(&patterns, chunks, &error)),
        };
        let mut tails = before.clone();
        let released = release(&patterns, &mut tails, chunks.clone());
        if tails != before
            && let Err(error) = kv::Turn.set_json(key, &tails, None).await
        {
            return Ok(without_tails(&patterns, chunks, &error));
        }
        Ok(released)
    }

    async fn outlet(
        &self,
        _invocation: Invocation,
        mut messages: Vec<StoredMessage>,
    ) -> Result<Vec<StoredMessage>, PluginError> {
        let patterns = patterns()?;
        for message in &mut messages {
            message.content = patterns.redact(&message.content);
        }
        Ok(messages)
    }
}

/// A turn may have several answers under way where plugins ask models themselves; each model's has a key of its own.
fn key() -> String {
    let model = context::model().and_then(|model| model.get("id")?.as_str().map(str::to_owned));
    format!("tails {}", model.unwrap_or_default())
}

fn patterns() -> Result<Patterns, PluginError> {
    let Settings { emails, cards, words } = config::valves()?;
    Ok(Patterns::new(emails, cards, &words))
}

/// Lets through what can no longer become part of a match.
fn release(patterns: &Patterns, tails: &mut Tails, chunks: Vec<Chunk>) -> Vec<Chunk> {
    let mut released = Vec::with_capacity(chunks.len());
    for chunk in chunks {
        match chunk {
            Chunk::Text(text) => {
                let text = tails.push(patterns, 0, "content", &text);
                if !text.is_empty() {
                    released.push(Chunk::Text(text));
                }
            }
            Chunk::Delta(delta) => released.extend(release_delta(patterns, tails, delta).map(Chunk::Delta)),
            Chunk::Finish(finish) => {
                released.extend(flush(tails.flush(patterns, Some(finish.choice))));
                released.push(Chunk::Finish(finish));
            }
            Chunk::Failed(message) => {
                released.extend(flush(tails.flush(patterns, None)));
                released.push(Chunk::Failed(patterns.redact(&message)));
            }
            Chunk::Event(mut event) => {
                event.data = redact_json(patterns, &event.data);
                released.push(Chunk::Event(event));
            }
            Chunk::Raw(json) => released.push(Chunk::Raw(redact_json(patterns, &json))),
            Chunk::Other(json) => released.push(Chunk::Other(redact_json(patterns, &json))),
            Chunk::Usage(usage) => released.push(Chunk::Usage(usage)),
        }
    }
    released
}

/// `None` where all that the piece said is held back.
fn release_delta(patterns: &Patterns, tails: &mut Tails, mut delta: Delta) -> Option<Delta> {
    let choice = delta.choice;
    let mut push = |channel: &str, text: Option<String>| {
        text.map(|text| tails.push(patterns, choice, channel, &text)).filter(|text| !text.is_empty())
    };
    let spoke = delta.content.is_some() || delta.reasoning.is_some();
    delta.content = push("content", delta.content.take());
    delta.reasoning = push("reasoning", delta.reasoning.take());
    let silent = delta.content.is_none() && delta.reasoning.is_none();
    let empty = delta.role.is_none() && delta.tool_calls.is_empty() && delta.extra.is_none();
    (!(spoke && silent && empty)).then_some(delta)
}

/// What was held back, as pieces.
fn flush(held: Vec<(u32, String, String)>) -> impl Iterator<Item = Chunk> {
    held.into_iter().map(|(choice, channel, text)| {
        if choice == 0 && channel == "content" {
            return Chunk::Text(text);
        }
        let (content, reasoning) = if channel == "content" { (Some(text), None) } else { (None, Some(text)) };
        Chunk::Delta(Delta { choice, role: None, content, reasoning, tool_calls: Vec::new(), extra: None })
    })
}

fn without_tails(patterns: &Patterns, chunks: Vec<Chunk>, error: &Error) -> Vec<Chunk> {
    log::warn(format!("matches that are split over pieces are missed: {error}"));
    let mut tails = Tails::default();
    let mut released = release(patterns, &mut tails, chunks);
    released.extend(flush(tails.flush(patterns, None)));
    released
}

/// Takes matches out of each text of a JSON value.
fn redact_json(patterns: &Patterns, json: &str) -> String {
    fn walk(patterns: &Patterns, value: &mut Value) {
        match value {
            Value::String(text) => *text = patterns.redact(text),
            Value::Array(items) => items.iter_mut().for_each(|item| walk(patterns, item)),
            Value::Object(fields) => fields.values_mut().for_each(|field| walk(patterns, field)),
            _ => {}
        }
    }
    match serde_json::from_str::<Value>(json) {
        Ok(mut value) => {
            let before = value.clone();
            walk(patterns, &mut value);
            // What did not change keeps its exact text.
            if value == before { json.to_owned() } else { value.to_string() }
        }
        Err(_) => json.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(pieces: &[&str]) -> String {
        let patterns = Patterns::new(true, true, &["Project Falcon".to_owned()]);
        let mut tails = Tails::default();
        let mut chunks: Vec<Chunk> = Vec::new();
        for piece in pieces {
            chunks.extend(release(&patterns, &mut tails, vec![Chunk::Text((*piece).to_owned())]));
        }
        chunks.extend(release(&patterns, &mut tails, vec![Chunk::finish("stop")]));
        assert!(matches!(chunks.last(), Some(Chunk::Finish(_))), "the end comes last");
        chunks.iter().filter_map(Chunk::text).collect()
    }

    #[test]
    fn a_match_is_found_wherever_the_pieces_are_cut() {
        let text =
            "Ask ann.lee@example.co.uk, or 4111 1111 1111 1111x of project falcon (€5-10 @ bob@x.org).";
        let whole = run(&[text]);
        assert_eq!(whole, "Ask [e-mail], or [card number]x of [redacted] (€5-10 @ [e-mail]).");
        let cuts: Vec<usize> = (0..=text.len()).filter(|&at| text.is_char_boundary(at)).collect();
        for &first in &cuts {
            for &second in cuts.iter().filter(|&&at| at >= first) {
                let pieces = [&text[..first], &text[first..second], &text[second..]];
                assert_eq!(run(&pieces), whole, "cut as {pieces:?}");
            }
        }
        let letters: Vec<String> = text.chars().map(String::from).collect();
        assert_eq!(run(&letters.iter().map(String::as_str).collect::<Vec<_>>()), whole);
    }

    #[test]
    fn a_match_at_the_end_is_found() {
        assert_eq!(run(&["write to ann@exam", "ple.org"]), "write to [e-mail]");
        assert_eq!(run(&["4111-1111-1111", "-1111"]), "[card number]");
    }

    #[test]
    fn a_delta_keeps_what_is_not_text() {
        let patterns = Patterns::new(true, true, &[]);
        let mut tails = Tails::default();
        let delta = |role: Option<&str>, content: &str| {
            Chunk::Delta(Delta {
                choice: 1,
                role: role.map(str::to_owned),
                content: Some(content.to_owned()),
                reasoning: None,
                tool_calls: Vec::new(),
                extra: None,
            })
        };
        let first = release(&patterns, &mut tails, vec![delta(Some("assistant"), "ann@")]);
        assert!(matches!(first.as_slice(), [Chunk::Delta(Delta { role: Some(_), content: None, .. })]));
        assert!(release(&patterns, &mut tails, vec![delta(None, "example.org")]).is_empty());
        let rest: Vec<_> = flush(tails.flush(&patterns, Some(1))).collect();
        assert!(
            matches!(rest.as_slice(), [Chunk::Delta(Delta { choice: 1, content: Some(text), .. })] if text == "[e-mail]")
        );
    }

    #[test]
    fn json_that_holds_no_match_keeps_its_text() {
        let patterns = Patterns::new(true, true, &[]);
        assert_eq!(redact_json(&patterns, "{ \"n\": 1.0 }"), "{ \"n\": 1.0 }");
        assert_eq!(redact_json(&patterns, "{\"to\": [\"ann@example.org\"]}"), "{\"to\":[\"[e-mail]\"]}");
    }
}
