//! JSON, record, JSON: nothing changes.

use innkeeper_model::chat_request::{
    ChatRequest, Content, ContentPart, Media, Message, ToolCall, ToolSpec, Usage,
};
use innkeeper_model::json::same_json;
use proptest::prelude::*;

use crate::bodies;

fn check(body: &str) -> ChatRequest {
    let request = ChatRequest::from_json(body).unwrap();
    let written = request.to_json().unwrap();
    assert!(same_json(body, &written), "\n{body}\n{written}\n{request:?}");
    request
}

fn check_message(message: &str) -> Message {
    check(&format!(r#"{{"model":"m","messages":[{message}]}}"#)).messages.remove(0)
}

fn check_tool(tool: &str) -> ToolSpec {
    check(&format!(r#"{{"model":"m","messages":[],"tools":[{tool}]}}"#)).tools.remove(0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_body_comes_back_unchanged(body in bodies::body()) {
        let request = ChatRequest::from_json(&body).unwrap();
        let written = request.to_json().unwrap();
        prop_assert!(same_json(&body, &written), "{}\n{}", body, written);
        prop_assert_eq!(ChatRequest::from_json(&written).unwrap().to_json().unwrap(), written);
    }

    #[test]
    fn any_piece_comes_back_unchanged(
        message in bodies::message(), call in bodies::tool_call(), tool in bodies::tool(), part in bodies::part(), usage in bodies::usage()
    ) {
        prop_assert!(same_json(&message, &Message::from_json(&message).unwrap().to_json().unwrap()));
        prop_assert!(same_json(&call, &ToolCall::from_json(&call).unwrap().to_json().unwrap()));
        prop_assert!(same_json(&tool, &ToolSpec::from_json(&tool).unwrap().to_json().unwrap()));
        prop_assert!(same_json(&part, &ContentPart::from_json(&part).unwrap().to_json().unwrap()));
        prop_assert!(same_json(&usage, &Usage::from_json(&usage).unwrap().to_json().unwrap()));
    }
}

#[test]
fn plain_body_leaves_nothing_over() {
    let request = check(
        r#"{"model":"m","stream":true,"messages":[
            {"role":"user","content":"hi"},
            {"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},
            {"role":"tool","tool_call_id":"c","content":"1"}],
            "tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"}}}]}"#,
    );
    assert_eq!((request.extra, request.params.as_str(), request.stream), (None, "{}", Some(true)));
    assert!(request.messages.iter().all(|message| message.extra.is_none()));
    assert_eq!(
        request.messages[1].tool_calls,
        [ToolCall { id: "c".into(), name: "f".into(), arguments: "{}".into(), extra: None }]
    );
    assert_eq!(request.tools[0].parameters.as_deref(), Some(r#"{"type":"object"}"#));
    assert_eq!(request.tools[0].extra, None);
}

#[test]
fn keys_that_come_twice_or_are_spelled_oddly_count_as_what_they_say() {
    let request = check(
        r#"{"\u006dodel":"first","model":"m","messages":[{"role":"lost"}],"m\u0065ssages":[{"rol\u0065":"user","role":"tool"}],
            "stream":"no","stre\u0061m":true,"\u0074emperature":-0.0,"temperature":1E+2,"seed":1e400,"extra":{"extra":1},"params":{"model":2}}"#,
    );
    assert_eq!((request.model.as_str(), request.stream), ("m", Some(true)));
    assert_eq!(request.messages.iter().map(|message| message.role.as_str()).collect::<Vec<_>>(), ["tool"]);
    assert_eq!(request.params, r#"{"temperature":1E+2,"seed":1e400}"#);
    assert_eq!(request.extra.as_deref(), Some(r#"{"extra":{"extra":1},"params":{"model":2}}"#));
}

#[test]
fn number_spellings_stay() {
    let request = check(
        r#"{"model":"m","messages":[],"temperature":1.0,"max_tokens":1e5,"seed":100000000000000000000,"foo":-0}"#,
    );
    assert_eq!(request.params, r#"{"temperature":1.0,"max_tokens":1e5,"seed":100000000000000000000}"#);
    assert_eq!(request.extra.as_deref(), Some(r#"{"foo":-0}"#));
}

#[test]
fn stop_stays_a_string_or_a_list_or_null() {
    for stop in [r#""END""#, r#"["a","b"]"#, "[]", "null"] {
        let request = check(&format!(r#"{{"model":"m","messages":[],"stop":{stop}}}"#));
        assert_eq!(request.params, format!(r#"{{"stop":{stop}}}"#));
    }
}

#[test]
fn null_stays_apart_from_absent() {
    for fields in [
        r#""stream":null"#,
        r#""tools":null"#,
        r#""tools":[]"#,
        r#""temperature":null"#,
        r#""stream":null,"user":null"#,
        r#""stream":"yes""#,
    ] {
        let request = check(&format!(r#"{{"model":"m","messages":[],{fields}}}"#));
        assert_eq!((request.stream, request.tools.len()), (None, 0));
    }
}

#[test]
fn content_keeps_its_form() {
    let content = |content: &str| check_message(&format!(r#"{{"role":"user","content":{content}}}"#)).content;
    assert_eq!(check_message(r#"{"role":"user"}"#).content, None);
    assert_eq!(content("null"), None);
    assert_eq!(content(r#""a\u00e9""#), Some(Content::Text("aé".into())));
    assert_eq!(content("1.0"), Some(Content::Other("1.0".into())));
    assert_eq!(content(r#"{"a" : 1}"#), Some(Content::Other(r#"{"a" : 1}"#.into())));
    assert_eq!(content(r#""\ud800""#), Some(Content::Other(r#""\ud800""#.into())));
    assert_eq!(content("[]"), Some(Content::Parts(vec![])));
    let Some(Content::Parts(parts)) = content(
        r#"["x", {"type":"text","text":"t","cache_control":{}}, {"type":"text","text":5}, {"type":"image_url","image_url":"http://a"},
            {"type":"image_url","image_url":{"url":"http://a","detail":null,"size":1.50}}, {"type":"file","file":{}}]"#,
    ) else {
        panic!("parts expected")
    };
    assert_eq!(parts[0], ContentPart::Other(r#""x""#.into()));
    assert_eq!(
        parts[1],
        ContentPart::Text { text: "t".into(), extra: Some(r#"{"cache_control":{}}"#.into()) }
    );
    assert!(matches!(parts[2], ContentPart::Other(_)));
    assert_eq!(
        parts[3],
        ContentPart::Image { image: Media::Other(r#""http://a""#.into()), detail: None, extra: None }
    );
    let extra = Some(r#"{"image_url":{"detail":null,"size":1.50}}"#.into());
    assert_eq!(parts[4], ContentPart::Image { image: Media::Url("http://a".into()), detail: None, extra });
    assert!(matches!(parts[5], ContentPart::Other(_)));
}

#[test]
fn odd_messages_lose_nothing() {
    for message in [
        "{}",
        r#"{"role":""}"#,
        r#"{"role":5}"#,
        r#"{"role":null,"content":null}"#,
        r#"{"role":"user","role":"system"}"#,
        r#"{"role":"a","tool_calls":[]}"#,
        r#"{"role":"a","tool_calls":null}"#,
        r#"{"role":"a","tool_calls":[1]}"#,
        r#"{"role":"a","tool_calls":{}}"#,
        r#"{"role":"a","name":null,"tool_call_id":7}"#,
        r#"{"role":"","x":1}"#,
        r#"{"\ud800":1,"\ud801":2}"#,
    ] {
        check_message(message);
    }
    let twice = check_message(r#"{"role":"user","role":"system"}"#);
    assert_eq!((twice.role.as_str(), twice.extra), ("system", None));
}

#[test]
fn odd_calls_and_tools_lose_nothing() {
    for piece in [
        "{}",
        r#"{"id":"a"}"#,
        r#"{"function":{}}"#,
        r#"{"function":null}"#,
        r#"{"type":null,"function":5}"#,
        r#"{"type":"custom","id":"a","custom":{"name":"n"}}"#,
        r#"{"type":"function","id":"","function":{"name":"","arguments":""}}"#,
        r#"{"type":"function","id":"","function":{"name":"","arguments":""},"index":0}"#,
        r#"{"type":"function","function":{"name":"n"}}"#,
        r#"{"type":"function","function":{"name":"n","arguments":{"a":1}}}"#,
        r#"{"type":"function","function":{"name":"n","strict":true,"parameters":null,"description":null}}"#,
        r#"{"type":"function","name":"flat","parameters":{}}"#,
        r#"{"type":"web_search"}"#,
    ] {
        check_tool(piece);
        check_message(&format!(r#"{{"role":"assistant","tool_calls":[{piece}]}}"#));
    }
    assert_eq!(check_tool(r#"{"type":"web_search"}"#).extra.as_deref(), Some(r#"{"type":"web_search"}"#));
}

#[test]
fn records_made_by_hand_are_written_in_full() {
    let call = ToolCall { name: "f".into(), ..ToolCall::default() };
    assert_eq!(
        call.to_json().unwrap(),
        r#"{"id":"","type":"function","function":{"name":"f","arguments":""}}"#
    );
    let message = Message { content: Some(Content::Text("a\n\"".into())), ..Message::default() };
    assert_eq!(message.to_json().unwrap(), r#"{"role":"","content":"a\n\""}"#);
    assert_eq!(
        ToolSpec { name: "f".into(), ..ToolSpec::default() }.to_json().unwrap(),
        r#"{"type":"function","function":{"name":"f"}}"#
    );
    assert_eq!(
        Usage::default().to_json().unwrap(),
        r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#
    );
}
