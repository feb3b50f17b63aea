//! Frames taken apart and written.

use innkeeper_model::chat_request::Usage;
use innkeeper_model::chunk::{Chunk, Delta, ToolCallDelta, completion_json, frame_json};
use innkeeper_model::event::WireEvent;
use innkeeper_model::json::{self, same_json};
use proptest::prelude::*;
use serde_json::json;

use crate::bodies;

fn frame(choices: &str) -> String {
    format!(
        r#"{{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","system_fingerprint":"f","service_tier":null,"choices":{choices},"usage":null}}"#
    )
}

fn check(text: &str, expected: &[Chunk]) {
    assert_eq!(Chunk::from_frame(text).unwrap(), expected, "{text}");
}

fn text(text: &str) -> Chunk {
    Chunk::Text(text.into())
}

fn finish(usage: Option<Usage>) -> Chunk {
    Chunk::Finish { choice: 0, reason: "stop".into(), usage, extra: None }
}

fn figures() -> Usage {
    Usage { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3, extra: None }
}

const FIGURES: &str = r#""usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}"#;

#[test]
fn plain_text_is_text() {
    check(
        &frame(r#"[{"index":0,"delta":{"content":"hi"},"finish_reason":null,"logprobs":null}]"#),
        &[text("hi")],
    );
    check(&frame(r#"[{"delta":{"content":"hi","tool_calls":null}}]"#), &[text("hi")]);
    check(
        &frame(r#"[{"index":0,"delta":{"content":"","refusal":null},"finish_reason":"stop"}]"#),
        &[finish(None)],
    );
    check(&frame("[]"), &[]);
    check(&frame(r#"[{"index":0,"delta":{}}]"#), &[]);
}

#[test]
fn more_than_text_is_a_delta() {
    let role = Delta { role: Some("assistant".into()), content: Some(String::new()), ..Delta::default() };
    check(&frame(r#"[{"index":0,"delta":{"role":"assistant","content":""}}]"#), &[Chunk::Delta(role)]);
    let other = Delta { choice: 1, content: Some("hi".into()), ..Delta::default() };
    check(&frame(r#"[{"index":1,"delta":{"content":"hi"}}]"#), &[Chunk::Delta(other)]);
    let first = ToolCallDelta {
        index: 2,
        id: Some("c".into()),
        name: Some("f".into()),
        arguments: Some(String::new()),
        extra: None,
    };
    let call = |piece| Chunk::Delta(Delta { tool_calls: vec![piece], ..Delta::default() });
    check(
        &frame(
            r#"[{"delta":{"tool_calls":[{"index":2,"id":"c","type":"function","function":{"name":"f","arguments":""}}]}}]"#,
        ),
        &[call(first)],
    );
    let next = ToolCallDelta { arguments: Some("{".into()), ..ToolCallDelta::default() };
    check(&frame(r#"[{"delta":{"tool_calls":[{"id":null,"function":{"arguments":"{"}}]}}]"#), &[call(next)]);
}

#[test]
fn reasoning_is_found_under_all_its_names_and_goes_out_under_the_same() {
    for (delta, name) in [
        (r#"{"reasoning_content":"hm"}"#, r#"{"reasoning_content":"hm"}"#),
        (r#"{"reasoning":"hm"}"#, r#"{"reasoning":"hm"}"#),
        (r#"{"thinking":"hm","reasoning_content":"hm"}"#, r#"{"thinking":"hm","reasoning_content":"hm"}"#),
        (r#"{"reasoning":"other","reasoning_content":"hm"}"#, r#"{"reasoning_content":"hm"}"#),
    ] {
        let chunks = Chunk::from_frame(&frame(&format!(r#"[{{"index":0,"delta":{delta}}}]"#))).unwrap();
        let [Chunk::Delta(read)] = chunks.as_slice() else { panic!("{chunks:?}") };
        assert_eq!(read.reasoning.as_deref(), Some("hm"));
        let write = |delta: &Delta| {
            let frame = frame_json("i", 0, "m", &Chunk::Delta(delta.clone())).unwrap();
            let choice =
                json::array(json::object(&frame).unwrap().get("choices").unwrap()).unwrap()[0].to_owned();
            json::object(&choice).unwrap().get("delta").unwrap().to_owned()
        };
        assert!(same_json(&write(read), name), "{}", write(read));
        let redacted = Delta { reasoning: Some("*".into()), ..read.clone() };
        assert_eq!(write(&redacted), r#"{"reasoning_content":"*"}"#);
        assert_eq!(write(&Delta { reasoning: None, ..read.clone() }), "{}");
    }
}

#[test]
fn figures_go_with_the_end_or_alone() {
    check(&format!(r#"{{"choices":[],{FIGURES}}}"#), &[Chunk::Usage(figures())]);
    check(&format!(r#"{{"id":"c",{FIGURES}}}"#), &[Chunk::Usage(figures())]);
    check(
        &format!(r#"{{"choices":[{{"index":0,"delta":{{}},"finish_reason":"stop"}}],{FIGURES}}}"#),
        &[finish(Some(figures()))],
    );
    check(
        &format!(r#"{{"choices":[{{"delta":{{"content":"a"}}}}],{FIGURES}}}"#),
        &[text("a"), Chunk::Usage(figures())],
    );
}

#[test]
fn what_has_no_type_follows_raw_without_the_text() {
    let left = r#"{"choices":[{"index":0,"delta":{},"logprobs":{"content":[1.0]}}]}"#;
    check(
        &frame(r#"[{"index":0,"delta":{"content":"hi"},"logprobs":{"content":[1.0]}}]"#),
        &[text("hi"), Chunk::Raw(left.into())],
    );
    let sources = r#"{"choices":[{"delta":{"content":"hi"}}],"sources":[1]}"#;
    check(sources, &[text("hi"), Chunk::Raw(r#"{"choices":[],"sources":[1]}"#.into())]);
    check(r#"{"sources": [1]}"#, &[Chunk::Raw(r#"{"sources": [1]}"#.into())]);
    // A list of sources is no way round the permission for HTML.
    let html = r#"{"document":["<script>"],"metadata":[{"html":true}]}"#;
    let shown = || Chunk::Event(WireEvent::new("source", serde_json::from_str(html).unwrap()));
    check(&format!(r#"{{"sources":[{html}]}}"#), &[shown()]);
    check(&format!(r#"{{"x":1,"sources":[{html}]}}"#), &[shown(), Chunk::Raw(r#"{"x":1}"#.into())]);
    check(
        &format!(r#"{{"choices":[{{"delta":{{"content":"hi"}}}}],"sources":[{html}]}}"#),
        &[shown(), text("hi")],
    );
    check("[1]", &[Chunk::Raw("[1]".into())]);
    check("{}", &[Chunk::Raw("{}".into())]);
    let written = frame_json("i", 5, "m", &Chunk::Raw(left.into())).unwrap();
    assert!(
        written
            .starts_with(r#"{"id":"i","object":"chat.completion.chunk","created":5,"model":"m","choices":"#),
        "{written}"
    );
}

#[test]
fn further_fields_of_a_choice_that_ends_go_with_its_end() {
    let end = |extra: &str| Chunk::Finish {
        choice: 0,
        reason: "stop".into(),
        usage: Some(figures()),
        extra: Some(extra.into()),
    };
    let text_of = |fields: &str| {
        format!(
            r#"{{"choices":[{{"index":0,"delta":{{"content":"hi"}},"finish_reason":"stop",{fields}}}],{FIGURES}}}"#
        )
    };
    check(
        &text_of(r#""stop_reason":106.0,"logprobs":null,"native_finish_reason":"eos""#),
        &[text("hi"), end(r#"{"stop_reason":106.0,"native_finish_reason":"eos"}"#)],
    );
    let said = r#"{"choices":[{"index":0,"delta":{},"message":{"content":"two"},"x":1}]}"#;
    check(
        &text_of(r#""message":{"content":"two"},"x":1"#),
        &[text("hi"), finish(Some(figures())), Chunk::Raw(said.into())],
    );
    let failed = r#"{"error":"no","choices":[{"index":0,"delta":{},"finish_reason":"error","x":1}]}"#;
    let left = r#"{"choices":[{"index":0,"delta":{},"x":1}]}"#;
    check(failed, &[Chunk::Raw(left.into()), Chunk::Failed("no".into())]);
}

#[test]
fn end_of_a_choice_says_nothing_beside_its_own_fields() {
    let extra = r#"{"delta":{"content":"hidden"},"\u006dessage":{"content":"hidden"},"index":7,"finish_reason":"length","x":1.0}"#;
    let end = Chunk::Finish { choice: 1, reason: "stop".into(), usage: None, extra: Some(extra.into()) };
    let frame = frame_json("i", 0, "m", &end).unwrap();
    let expected = r#""choices":[{"index":1,"delta":{},"finish_reason":"stop","x":1.0}]}"#;
    assert!(frame.ends_with(expected), "{frame}");
    let whole = completion_json("i", 0, "m", std::slice::from_ref(&end)).unwrap();
    let expected = r#""choices":[{"index":1,"message":{"role":"assistant","content":""},"finish_reason":"stop","x":1.0}]}"#;
    assert!(whole.ends_with(expected), "{whole}");
    let broken = Chunk::Finish { choice: 0, reason: "stop".into(), usage: None, extra: Some("[1]".into()) };
    assert_eq!(frame_json("i", 0, "m", &broken).unwrap_err().path, "finish.extra");
    assert_eq!(completion_json("i", 0, "m", &[broken]).unwrap_err().path, "finish.extra");
}

#[test]
fn whole_message_in_a_frame_is_read() {
    check(
        r#"{"choices":[{"index":0,"message":{"content":"hi"},"finish_reason":"stop"}]}"#,
        &[text("hi"), finish(None)],
    );
}

#[test]
fn events_and_errors_are_never_raw() {
    let status = || Chunk::Event(WireEvent::new("status", json!({"done": true})));
    check(r#"{"event":{"type":"status","data":{"done":true}}}"#, &[status()]);
    check(r#"{"event":{"type":"message"}}"#, &[Chunk::Event(WireEvent::new("message", json!(null)))]);
    check(
        r#"{"event":{"type":"status","data":{"done":true}},"choices":[{"delta":{"content":"a"}}],"x":1}"#,
        &[status(), text("a"), Chunk::Raw(r#"{"choices":[],"x":1}"#.into())],
    );
    check(
        r#"{"event":1,"\u0065vent":{"type":"status","data":{"done":true}},"x":1}"#,
        &[status(), Chunk::Raw(r#"{"x":1}"#.into())],
    );
    check(r#"{"event":"ping"}"#, &[Chunk::Raw(r#"{"event":"ping"}"#.into())]);
    check(r#"{"event":{"type":"execute"},"event":2}"#, &[Chunk::Raw(r#"{"event":2}"#.into())]);
    for bad in [r#"{"event":{}}"#, r#"{"event":{"type":["execute"]}}"#] {
        assert_eq!(Chunk::from_frame(bad).unwrap_err().path, "event.type");
    }
    assert_eq!(Chunk::from_frame(r#"{"event":{"type":"a","data":1e999}}"#).unwrap_err().path, "event.data");
    for error in [r#"{"message":"no"}"#, r#"{"detail":"no","code":5}"#, r#""no""#] {
        check(&format!(r#"{{"error":{error}}}"#), &[Chunk::Failed("no".into())]);
    }
    let error = r#"{"error":{"code":1},"choices":[{"delta":{"content":"a"},"finish_reason":"error"}]}"#;
    check(error, &[text("a"), Chunk::Failed(r#"{"code":1}"#.into())]);
}

#[test]
fn raw_frame_cannot_carry_an_event_or_a_second_frame() {
    for raw in [r#"{"event":{"type":"execute"}}"#, r#"{"a":1, "\u0065vent" : {}}"#] {
        assert_eq!(frame_json("i", 0, "m", &Chunk::Raw(raw.into())).unwrap_err().path, "raw.event");
    }
    let first_of_two =
        frame_json("i", 0, "m", &Chunk::Raw(r#"{"event":{"type":"execute"},"event":2}"#.into())).unwrap();
    assert_eq!(first_of_two, r#"{"event":2}"#);
    let lines = frame_json("i", 0, "m", &Chunk::Raw("{\"a\":[1,\n\n2]\r}".into())).unwrap();
    assert_eq!(lines, r#"{"a":[1,  2]}"#);
    assert_eq!(frame_json("i", 0, "m", &Chunk::Raw("x\n\ndata: y".into())).unwrap_err().path, "raw");
    let delta = Delta { extra: Some("{\"a\":\n1}".into()), ..Delta::default() };
    assert!(!frame_json("i", 0, "m", &Chunk::Delta(delta)).unwrap().contains('\n'));
}

#[test]
fn written_frames_read_the_same() {
    let piece = ToolCallDelta {
        index: 1,
        id: Some("a".into()),
        name: Some("f".into()),
        arguments: Some("{\n".into()),
        extra: Some(r#"{"x":1}"#.into()),
    };
    let delta = Delta {
        choice: 2,
        role: Some("assistant".into()),
        tool_calls: vec![piece],
        extra: Some(r#"{"y":[1.0]}"#.into()),
        ..Delta::default()
    };
    let delta = Delta { content: Some("c".into()), reasoning: Some("r".into()), ..delta };
    for chunk in [
        text("a\n\"b"),
        Chunk::Delta(delta),
        Chunk::Usage(figures()),
        finish(Some(figures())),
        finish(None),
        Chunk::Finish { choice: 3, reason: "eos".into(), usage: None, extra: Some(r#"{"x":[1.0]}"#.into()) },
        Chunk::Event(WireEvent::new("status", json!({"a": [1, null]}))),
        Chunk::Failed("no\nway".into()),
        Chunk::Raw(r#"{"x":1.0}"#.into()),
    ] {
        let frame = frame_json("i\"", 1, "m", &chunk).unwrap();
        assert!(!frame.contains('\n'));
        check(&frame, &[chunk]);
    }
    let expected = r#"{"id":"i","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}"#;
    assert_eq!(frame_json("i", 1, "m", &text("a")).unwrap(), expected);
}

proptest! {
    #[test]
    fn any_further_field_of_an_end_comes_back_as_it_was(end in bodies::message(), reason in "[a-z]{1,8}") {
        let end = ["delta", "message", "index"].iter().fold(end, |end, name| bodies::set(&end, name, "null"));
        let end = bodies::set(&bodies::set(&end, "finish_reason", &bodies::quoted(&reason)), "index", "2");
        let chunks = Chunk::from_frame(&format!(r#"{{"choices":[{end}]}}"#)).unwrap();
        prop_assert!(matches!(chunks.as_slice(), [Chunk::Finish { choice: 2, .. }]), "{:?}", chunks);
        let frame = frame_json("i", 0, "m", &chunks[0]).unwrap();
        let written = json::array(json::object(&frame).unwrap().get("choices").unwrap()).unwrap()[0].to_owned();
        // Fields that are `null` count as absent, and every choice has a delta.
        let fields = json::object(&end).unwrap();
        let said = fields.entries().iter().filter(|field| field.value != "null");
        let said: Vec<String> = said.map(|field| format!("{}:{}", field.raw_key, field.value)).collect();
        let expected = format!(r#"{{{},"delta":{{}}}}"#, said.join(","));
        prop_assert!(same_json(&written, &expected), "{}\n{}", written, expected);
    }

    #[test]
    fn no_text_of_a_choice_is_left_in_a_raw_frame(delta in bodies::message(), content in "[a-z]{8}", other in bodies::value()) {
        let delta = bodies::set(&delta, "content", &bodies::quoted(&content));
        let text = format!(r#"{{"choices":[{{"index":0,"delta":{delta},"other":{other}}}],"more":{other}}}"#);
        let chunks = Chunk::from_frame(&text).unwrap();
        let typed = chunks.iter().any(|chunk| match chunk {
            Chunk::Text(text) => *text == content,
            Chunk::Delta(delta) => delta.content.as_deref() == Some(&content),
            _ => false,
        });
        prop_assert!(typed);
        for chunk in &chunks {
            let frame = frame_json("i", 0, "m", chunk).unwrap();
            prop_assert!(json::check(&frame).is_ok());
            prop_assert!(matches!(chunk, Chunk::Text(_) | Chunk::Delta(_)) || !frame.contains(&content));
        }
    }
}
