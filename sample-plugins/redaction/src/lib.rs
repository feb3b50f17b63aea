//! A filter that takes personal data out of chats. What is found is in `patterns`, what is held back in `tail`.

mod patterns;
mod tail;

use std::cell::{Cell, RefCell};

use innkeeper_sdk::chat_request::{Content, ContentPart, Delta, Media, ToolCallDelta, Usage};
use innkeeper_sdk::prelude::*;
use innkeeper_sdk::serde_json::{self, Value};

use crate::patterns::Patterns;
use crate::tail::{ARGUMENTS, Tails};

/// Takes e-mail addresses, card numbers and chosen words out of chats.
///
/// A match may be split over pieces of an answer, so the end of the text that came so far is held back while it may be the beginning of one.
/// Arguments of tools are held back until they are complete: JSON may write a match with escapes.
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

/// Where the ends of an answer's texts are, if not in the instance. The turn has one such place: where plugins ask models for answers of their
/// own meanwhile, what is held back of one can come out in another.
const TAILS: &str = "tails";

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
            redact_message(&patterns, message);
        }
        Ok(request)
    }

    async fn stream(&self, chunks: Vec<Chunk>) -> Result<Vec<Chunk>, PluginError> {
        let patterns = patterns()?;
        if self.kept.get() {
            return Ok(release(&patterns, &mut self.tails.borrow_mut(), chunks));
        }
        // Without what was held back a match could pass in halves. A guard's error ends the turn.
        let before = kv::Turn.get_json::<Tails>(TAILS).await?.unwrap_or_default();
        let mut tails = before.clone();
        let released = release(&patterns, &mut tails, chunks);
        if tails != before {
            kv::Turn.set_json(TAILS, &tails, None).await?;
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

fn patterns() -> Result<Patterns, PluginError> {
    let Settings { emails, cards, words } = config::valves()?;
    Ok(Patterns::new(emails, cards, &words))
}

/// Takes matches out of what a message says: its texts, who speaks, what it calls tools with, and fields that nobody has a name for.
/// Addresses of images stay as they are, since they would lead nowhere else.
fn redact_message(patterns: &Patterns, message: &mut Message) {
    let redact_extra = |extra: &mut Option<String>| {
        if let Some(extra) = extra {
            *extra = redact_json(patterns, extra);
        }
    };
    message.for_each_text(|text| *text = patterns.redact(text));
    if let Some(name) = &mut message.name {
        *name = patterns.redact(name);
    }
    match &mut message.content {
        Some(Content::Other(json)) => *json = redact_json(patterns, json),
        Some(Content::Parts(parts)) => parts.iter_mut().for_each(|part| match part {
            ContentPart::Text(part) => redact_extra(&mut part.extra),
            ContentPart::Image(part) => {
                if let Media::Other(json) = &mut part.image {
                    *json = redact_json(patterns, json);
                }
                redact_extra(&mut part.extra);
            }
            ContentPart::Other(json) => *json = redact_json(patterns, json),
        }),
        Some(Content::Text(_)) | None => {}
    }
    for call in &mut message.tool_calls {
        call.arguments = redact_arguments(patterns, &call.arguments);
        redact_extra(&mut call.extra);
    }
    redact_extra(&mut message.extra);
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
            Chunk::Finish(mut finish) => {
                released.extend(flush(tails.flush(patterns, Some(finish.choice))));
                finish.usage = finish.usage.map(|usage| redact_usage(patterns, usage));
                finish.extra = finish.extra.map(|extra| redact_json(patterns, &extra));
                released.push(Chunk::Finish(finish));
            }
            Chunk::Failed(message) => {
                released.extend(flush(tails.flush(patterns, None)));
                released.push(Chunk::Failed(patterns.redact(&message)));
            }
            Chunk::Event(mut event) => {
                event.data = redact_json(patterns, &event.data);
                event.extra = event.extra.map(|extra| redact_json(patterns, &extra));
                released.push(Chunk::Event(event));
            }
            Chunk::Raw(json) => released.push(Chunk::Raw(redact_json(patterns, &json))),
            Chunk::Other(json) => released.push(Chunk::Other(redact_json(patterns, &json))),
            Chunk::Usage(usage) => released.push(Chunk::Usage(redact_usage(patterns, usage))),
        }
    }
    released
}

fn redact_usage(patterns: &Patterns, mut usage: Usage) -> Usage {
    usage.extra = usage.extra.map(|extra| redact_json(patterns, &extra));
    usage
}

/// `None` where all that the piece said is held back.
fn release_delta(patterns: &Patterns, tails: &mut Tails, mut delta: Delta) -> Option<Delta> {
    let choice = delta.choice;
    let mut push = |channel: &str, text: Option<String>| {
        text.map(|text| tails.push(patterns, choice, channel, &text)).filter(|text| !text.is_empty())
    };
    let spoke = delta.content.is_some() || delta.reasoning.is_some() || !delta.tool_calls.is_empty();
    delta.content = push("content", delta.content.take());
    delta.reasoning = push("reasoning", delta.reasoning.take());
    delta.tool_calls.retain_mut(|call| {
        if let Some(arguments) = &mut call.arguments {
            tails.hold(choice, &format!("{ARGUMENTS}{}", call.index), &std::mem::take(arguments));
        }
        call.extra = call.extra.take().map(|extra| redact_json(patterns, &extra));
        call.id.is_some() || call.name.is_some() || call.extra.is_some()
    });
    delta.extra = delta.extra.take().map(|extra| redact_json(patterns, &extra));
    let silent = delta.content.is_none() && delta.reasoning.is_none() && delta.tool_calls.is_empty();
    let empty = delta.role.is_none() && delta.extra.is_none();
    (!(spoke && silent && empty)).then_some(delta)
}

/// What was held back, as pieces.
fn flush(held: Vec<(u32, String, String)>) -> impl Iterator<Item = Chunk> {
    held.into_iter().map(|(choice, channel, text)| {
        if choice == 0 && channel == "content" {
            return Chunk::Text(text);
        }
        let mut delta =
            Delta { choice, role: None, content: None, reasoning: None, tool_calls: Vec::new(), extra: None };
        match channel.strip_prefix(ARGUMENTS).and_then(|index| index.parse().ok()) {
            Some(index) => {
                let arguments = Some(text);
                delta.tool_calls =
                    vec![ToolCallDelta { index, id: None, name: None, arguments, extra: None }];
            }
            None if channel == "content" => delta.content = Some(text),
            None => delta.reasoning = Some(text),
        }
        Chunk::Delta(delta)
    })
}

/// Takes matches out of the texts of a JSON value; names and numbers stay, since frames are known by them.
fn redact_json(patterns: &Patterns, json: &str) -> String {
    fn walk(patterns: &Patterns, value: &mut Value) {
        match value {
            Value::String(text) => *text = patterns.redact(text),
            Value::Array(items) => items.iter_mut().for_each(|item| walk(patterns, item)),
            Value::Object(fields) => fields.values_mut().for_each(|field| walk(patterns, field)),
            _ => {}
        }
    }
    rewrite(patterns, json, walk)
}

/// Takes matches out of what a tool is called with: out of texts, names and numbers where it is JSON, which models do not always write.
fn redact_arguments(patterns: &Patterns, arguments: &str) -> String {
    fn walk(patterns: &Patterns, value: &mut Value) {
        match value {
            Value::String(text) => *text = patterns.redact(text),
            Value::Array(items) => items.iter_mut().for_each(|item| walk(patterns, item)),
            Value::Object(fields) => {
                let named = std::mem::take(fields).into_iter().map(|(name, mut field)| {
                    walk(patterns, &mut field);
                    (patterns.redact(&name), field)
                });
                *fields = named.collect();
            }
            Value::Number(number) => {
                let text = number.to_string();
                let redacted = patterns.redact(&text);
                if redacted != text {
                    *value = Value::String(redacted);
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }
    rewrite(patterns, arguments, walk)
}

/// Changes a JSON value; text that is none is taken as it stands.
fn rewrite(patterns: &Patterns, json: &str, walk: fn(&Patterns, &mut Value)) -> String {
    let Ok(before) = serde_json::from_str::<Value>(json) else { return patterns.redact(json) };
    let mut value = before.clone();
    walk(patterns, &mut value);
    // What did not change keeps its exact text, unless that says more than the value: of two fields of one name the last counts.
    if value == before && patterns.redact(json) == json { json.to_owned() } else { value.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use innkeeper_sdk::chat_request::{Finish, ImagePart, StreamEvent};

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
    fn who_speaks_and_media_of_other_kinds_are_looked_at() {
        let mut message = Message::user("hi");
        message.name = Some("ann@example.org".to_owned());
        let other = Media::Other(r#"{"alt":"ann@example.org"}"#.to_owned());
        let image = ImagePart { image: other, detail: None, extra: None };
        message.content = Some(Content::Parts(vec![ContentPart::Image(image)]));
        redact_message(&Patterns::new(true, true, &[]), &mut message);
        assert_eq!(message.name.as_deref(), Some("[e-mail]"));
        let Some(Content::Parts(parts)) = message.content else { panic!("it has parts") };
        assert!(
            matches!(&parts[0], ContentPart::Image(ImagePart { image: Media::Other(json), .. }) if json == r#"{"alt":"[e-mail]"}"#)
        );
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

    fn calls(chunks: &[Chunk]) -> String {
        let deltas = chunks.iter().filter_map(|chunk| match chunk {
            Chunk::Delta(delta) => Some(&delta.tool_calls),
            _ => None,
        });
        deltas
            .flatten()
            .map(|call| format!("{}:{};", call.index, call.arguments.as_deref().unwrap_or_default()))
            .collect()
    }

    #[test]
    fn arguments_come_whole_and_without_matches_wherever_the_pieces_are_cut() {
        let patterns = Patterns::new(true, true, &["Project Falcon".to_owned()]);
        let call = |index: u32, id: Option<&str>, arguments: &str| {
            let (id, name) = (id.map(str::to_owned), id.map(|_| "send".to_owned()));
            let arguments = Some(arguments.to_owned());
            let tool_calls = vec![ToolCallDelta { index, id, name, arguments, extra: None }];
            Chunk::Delta(Delta {
                choice: 0,
                role: None,
                content: None,
                reasoning: None,
                tool_calls,
                extra: None,
            })
        };
        let text = r#"{"to":"ann\u0040example.org","body":"Hi\nbob@example.org, project falcon","card":4111111111111111}"#;
        let expected = r#"{"to":"[e-mail]","body":"Hi\n[e-mail], [redacted]","card":"[card number]"}"#;
        for at in 0..=text.len() {
            let mut tails = Tails::default();
            let mut chunks = Vec::new();
            for piece in [
                call(0, Some("a"), &text[..at]),
                call(1, Some("b"), "carol@exam"),
                call(0, None, &text[at..]),
                call(1, None, "ple.org is no JSON"),
                Chunk::finish("tool_calls"),
            ] {
                chunks.extend(release(&patterns, &mut tails, vec![piece]));
            }
            let given = calls(&chunks);
            let (names, given) = given.split_at("0:;1:;".len());
            assert_eq!(names, "0:;1:;", "id and name come when they are known");
            let first = given.strip_prefix("0:").and_then(|rest| rest.split_once(";1:"));
            let (first, second) = first.unwrap_or_else(|| panic!("{given}"));
            let parsed: Value = serde_json::from_str(first).unwrap();
            assert_eq!(parsed, serde_json::from_str::<Value>(expected).unwrap(), "cut at {at}");
            assert_eq!(second, "[e-mail] is no JSON;", "cut at {at}");
            assert!(matches!(chunks.last(), Some(Chunk::Finish(_))));
        }
    }

    #[test]
    fn further_fields_are_seen() {
        let patterns = Patterns::new(true, true, &[]);
        let mut tails = Tails::default();
        let extra = || Some(r#"{"refusal":"ask ann@example.org"}"#.to_owned());
        let tool_calls =
            vec![ToolCallDelta { index: 0, id: None, name: None, arguments: None, extra: extra() }];
        let delta =
            Delta { choice: 0, role: None, content: None, reasoning: None, tool_calls, extra: extra() };
        let shown = format!("{:?}", release(&patterns, &mut tails, vec![Chunk::Delta(delta)]));
        assert_eq!((shown.matches("[e-mail]").count(), shown.contains("ann@")), (2, false), "{shown}");
        let end = Finish { choice: 0, reason: "stop".to_owned(), usage: None, extra: extra() };
        let event = StreamEvent { kind: "status".to_owned(), data: "{}".to_owned(), extra: extra() };
        let shown =
            format!("{:?}", release(&patterns, &mut tails, vec![Chunk::Finish(end), Chunk::Event(event)]));
        assert_eq!((shown.matches("[e-mail]").count(), shown.contains("ann@")), (2, false), "{shown}");
    }

    #[test]
    fn of_two_fields_of_one_name_none_passes() {
        let patterns = Patterns::new(true, true, &[]);
        let twice = r#"{"to": "ann@example.org", "to": 1}"#;
        for redacted in [redact_json(&patterns, twice), redact_arguments(&patterns, twice)] {
            assert_eq!(redacted, r#"{"to":1}"#);
        }
    }

    #[test]
    fn json_that_holds_no_match_keeps_its_text() {
        let patterns = Patterns::new(true, true, &[]);
        assert_eq!(redact_json(&patterns, "{ \"n\": 1.0 }"), "{ \"n\": 1.0 }");
        assert_eq!(redact_json(&patterns, "{\"to\": [\"ann@example.org\"]}"), "{\"to\":[\"[e-mail]\"]}");
    }
}
