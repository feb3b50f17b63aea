//! What hostile clients send, and what hostile plugins put into records.

use innkeeper_model::chat_request::{
    BodyError, ChatRequest, Completion, Content, ContentPart, Media, Message, ToolCall, ToolSpec, Usage,
};
use innkeeper_model::chunk::{Chunk, Delta, ToolCallDelta, completion_json, frame_json};
use innkeeper_model::event::MAX_VALUES;
use innkeeper_model::json;
use proptest::prelude::*;

use crate::bodies;

fn refused(body: &str) -> String {
    ChatRequest::from_json(body).unwrap_err().to_string()
}

#[test]
fn bodies_that_no_record_can_hold_are_refused_by_field() {
    for (body, expected) in [
        ("", "the body is not JSON that can be used: expected an object at byte 0; send valid JSON"),
        ("[]", "the body is not JSON that can be used: expected an object at byte 0; send valid JSON"),
        (
            "{} x",
            "the body is not JSON that can be used: unexpected text after the end of the value at byte 3; send valid JSON",
        ),
        (r#"{"messages":[]}"#, "`model` is missing; name a model"),
        (r#"{"model":5,"messages":[]}"#, "`model` is not a string; name a model"),
        (r#"{"model":"m"}"#, "`messages` is missing; send an array of messages"),
        (r#"{"model":"m","messages":"hi"}"#, "`messages` is not an array; send an array of objects"),
        (r#"{"model":"m","messages":[{},"hi"]}"#, "`messages[1]` is not an object; send an object"),
        (r#"{"model":"m","messages":[],"tools":{}}"#, "`tools` is not an array; send an array of objects"),
        (r#"{"model":"m","messages":[],"tools":[null]}"#, "`tools[0]` is not an object; send an object"),
    ] {
        assert_eq!(refused(body), expected, "{body}");
    }
}

#[test]
fn body_nested_10000_deep_is_refused() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = format!("{}1{}", open.repeat(10_000), close.repeat(10_000));
        for body in [
            format!(r#"{{"model":"m","messages":[{{"content":{nested}}}]}}"#),
            format!(r#"{{"model":"m","x":{nested}}}"#),
            format!("{{\"a\":{open}{nested}{close}}}"),
        ] {
            assert!(refused(&body).contains("nested deeper than 128 levels at byte"), "{}", refused(&body));
        }
        assert!(Chunk::from_frame(&nested).is_err());
        assert!(Completion::from_json(&nested).is_err());
        let request = ChatRequest {
            extra: Some(format!("{{\"x\":{nested}}}")),
            ..ChatRequest::from_json(r#"{"model":"m","messages":[]}"#).unwrap()
        };
        assert_eq!(request.to_json().unwrap_err().path, "extra");
        assert!(!json::same_json(&nested, &nested));
    }
}

#[test]
fn event_of_very_many_values_is_refused() {
    let event = |values: usize| {
        let data = format!("[{}0]", "0,".repeat(values - 2));
        Chunk::from_frame(&format!(r#"{{"event":{{"type":"status","data":{data}}}}}"#))
    };
    assert!(event(MAX_VALUES).is_ok());
    assert_eq!(event(MAX_VALUES + 1).unwrap_err().path, "event.data");
}

#[test]
fn body_just_deep_enough_comes_back() {
    let body = |levels: usize| {
        format!(r#"{{"model":"m","messages":[],"x":{}{}}}"#, "[".repeat(levels), "]".repeat(levels))
    };
    let deepest = body(127);
    assert!(json::same_json(&ChatRequest::from_json(&deepest).unwrap().to_json().unwrap(), &deepest));
    assert!(refused(&body(128)).contains("nested deeper"));
}

#[test]
fn body_of_10_megabytes_comes_back() {
    let text = "a\\n\u{e9}".repeat(2_500_000);
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{text}"}}]}}"#);
    assert!(body.len() > 10_000_000);
    assert!(json::same_json(&ChatRequest::from_json(&body).unwrap().to_json().unwrap(), &body));
}

#[test]
fn hundreds_of_thousands_of_keys_do_not_take_quadratic_time() {
    let keys: Vec<String> = (0..300_000).map(|key| format!("\"k{key}\":{key}")).collect();
    let body = format!(r#"{{"model":"m","messages":[],{}}}"#, keys.join(","));
    let started = std::time::Instant::now();
    let written = ChatRequest::from_json(&body).unwrap().to_json().unwrap();
    assert!(written.len() > 3_000_000);
    assert!(started.elapsed() < std::time::Duration::from_secs(20));
}

#[test]
fn broken_json_of_a_plugin_is_refused_by_field() {
    let good = ChatRequest::from_json(r#"{"model":"m","messages":[{"role":"a"}]}"#).unwrap();
    let check = |expected: &str, change: fn(&mut ChatRequest)| {
        let mut request = good.clone();
        change(&mut request);
        let BodyError { path, problem } = request.to_json().unwrap_err();
        assert_eq!(path, expected, "{problem}");
    };
    check("params", |request| request.params = "{".into());
    check("params", |request| request.params = String::new());
    check("params", |request| request.params = "[]".into());
    check("params.messages", |request| request.params = r#"{"messages":[]}"#.into());
    check("extra", |request| request.extra = Some(r#"{"a":1},"model":{"#.into()));
    check("messages[0].extra", |request| request.messages[0].extra = Some("null".into()));
    check("messages[0].content", |request| request.messages[0].content = Some(Content::Other("}".into())));
    check("messages[0].content[1]", |request| {
        let parts = vec![ContentPart::Other("1".into()), ContentPart::Other("1 2".into())];
        request.messages[0].content = Some(Content::Parts(parts));
    });
    check("messages[0].content[0].image_url", |request| {
        let part = ContentPart::Image { image: Media::Other(String::new()), detail: None, extra: None };
        request.messages[0].content = Some(Content::Parts(vec![part]));
    });
    check("messages[0].tool_calls[0].extra", |request| {
        request.messages[0].tool_calls = vec![ToolCall { extra: Some("x".into()), ..ToolCall::default() }];
    });
    check("tools[0].function.parameters", |request| {
        request.tools = vec![ToolSpec { parameters: Some("{]".into()), ..ToolSpec::default() }];
    });
}

fn loose_text() -> impl Strategy<Value = String> {
    prop_oneof![3 => bodies::value(), 2 => bodies::message(), 1 => any::<String>(), 2 => Just("{}".to_owned())]
}

fn loose() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(loose_text())
}

proptest! {
    #[test]
    fn arbitrary_texts_never_panic(text in "\\PC*", frame in "[\\[\\]{}\",:a-z0-9.eE+\\-\\\\ \n]{0,40}") {
        for text in [&text, &frame] {
            let _ = ChatRequest::from_json(text);
            let _ = Message::from_json(text);
            let _ = ToolCall::from_json(text);
            let _ = ToolSpec::from_json(text);
            let _ = Usage::from_json(text);
            let _ = ContentPart::from_json(text);
            let _ = Completion::from_json(text);
            let _ = Chunk::from_frame(text);
            let _ = json::string(text);
            let _ = json::whole_number(text);
            let _ = json::same_json(text, &frame);
        }
    }

    #[test]
    fn whatever_a_plugin_makes_is_valid_or_refused(
        role in any::<String>(), extra in loose(), params in loose_text(), content in loose_text(), call in loose(), tool in loose(), parameters in loose()
    ) {
        let message = Message {
            role,
            content: Some(Content::Parts(vec![
                ContentPart::Other(content.clone()),
                ContentPart::Image { image: Media::Url(content.clone()), detail: call.clone(), extra: tool.clone() },
            ])),
            tool_calls: vec![ToolCall { extra: call.clone(), ..ToolCall::default() }],
            extra: extra.clone(),
            ..Message::default()
        };
        let tools = vec![ToolSpec { parameters, extra: tool.clone(), ..ToolSpec::default() }];
        let request = ChatRequest { model: content, messages: vec![message], stream: Some(true), tools, params, extra: extra.clone() };
        if let Ok(written) = request.to_json() {
            prop_assert!(json::check(&written).is_ok(), "{}", written);
            let again = ChatRequest::from_json(&written).unwrap();
            prop_assert!(json::same_json(&again.to_json().unwrap(), &written));
            prop_assert_eq!(again.messages.len(), 1);
            prop_assert_eq!(&again.messages[0].role, &request.messages[0].role);
            prop_assert!(!json::object(&written).unwrap().had_duplicates());
        }
        let pieces = vec![ToolCallDelta { extra: call, ..ToolCallDelta::default() }];
        let delta = Chunk::Delta(Delta { tool_calls: pieces, extra: extra.clone(), ..Delta::default() });
        for chunk in [delta, Chunk::Raw(extra.unwrap_or_default()), Chunk::Usage(Usage { extra: tool, ..Usage::default() })] {
            if let Ok(frame) = frame_json("i", 0, "m", &chunk) {
                prop_assert!(json::check(&frame).is_ok(), "{}", frame);
                prop_assert!(!frame.contains(['\n', '\r']));
            }
            if let Ok(answer) = completion_json("i", 0, "m", &[chunk.clone(), chunk]) {
                prop_assert!(Completion::from_json(&answer).is_ok(), "{}", answer);
            }
        }
    }
}
