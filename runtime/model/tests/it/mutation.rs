//! One typed field changes; everything else stays as it was written.

use innkeeper_model::chat_request::{ChatRequest, Content, Message, ToolCall, ToolSpec};
use innkeeper_model::json::{self, same_json};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::bodies::{self, quoted, set, set_item};

/// Edits one message of a body as text.
fn set_message(body: &str, index: usize, key: &str, value: &str) -> String {
    let messages = json::object(body).unwrap().get("messages").unwrap().to_owned();
    set(body, "messages", &set_item(&messages, index, |message| set(message, key, value)))
}

type Edit = (&'static str, fn(&mut Message, &str), fn(&str) -> String);

const MESSAGE_EDITS: &[Edit] = &[
    ("role", |message, text| message.role = text.to_owned(), quoted),
    ("content", |message, text| message.content = Some(Content::Text(text.to_owned())), quoted),
    ("content", |message, text| message.content = Some(Content::Other(quoted(text))), quoted),
    ("name", |message, text| message.name = Some(text.to_owned()), quoted),
    ("tool_call_id", |message, text| message.tool_call_id = Some(text.to_owned()), quoted),
    (
        "tool_calls",
        |message, text| message.tool_calls = vec![ToolCall { name: text.to_owned(), ..ToolCall::default() }],
        |text| {
            format!(
                r#"[{{"id":"","type":"function","function":{{"name":{},"arguments":""}}}}]"#,
                quoted(text)
            )
        },
    ),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 384, ..ProptestConfig::default() })]

    #[test]
    fn changed_message_field_changes_nothing_else(body in bodies::body(), at in any::<Index>(), edit in any::<Index>(), text in "\\PC{1,8}") {
        let mut request = ChatRequest::from_json(&body).unwrap();
        if request.messages.is_empty() {
            return Ok(());
        }
        let at = at.index(request.messages.len());
        let (key, change, raw) = MESSAGE_EDITS[edit.index(MESSAGE_EDITS.len())];
        change(&mut request.messages[at], &text);
        let expected = set_message(&body, at, key, &raw(&text));
        let written = request.to_json().unwrap();
        prop_assert!(same_json(&written, &expected), "{}\n{}", written, expected);
    }

    #[test]
    fn changed_request_field_changes_nothing_else(body in bodies::body(), stream in any::<bool>(), model in any::<String>()) {
        let mut request = ChatRequest::from_json(&body).unwrap();
        request.stream = Some(stream);
        let expected = set(&body, "stream", &stream.to_string());
        prop_assert!(same_json(&request.to_json().unwrap(), &expected));
        request.model.clone_from(&model);
        let expected = set(&expected, "model", &quoted(&model));
        prop_assert!(same_json(&request.to_json().unwrap(), &expected));
        request.params = set(&request.params, "temperature", "0.50");
        let expected = set(&expected, "temperature", "0.50");
        prop_assert!(same_json(&request.to_json().unwrap(), &expected));
        request.tools = vec![ToolSpec { name: "t".into(), parameters: Some("{}".into()), ..ToolSpec::default() }];
        let expected = set(&expected, "tools", r#"[{"type":"function","function":{"name":"t","parameters":{}}}]"#);
        prop_assert!(same_json(&request.to_json().unwrap(), &expected));
    }
}

#[test]
fn changed_field_of_a_nested_object_keeps_its_neighbours() {
    let body = r#"{"model":"m","messages":[{"role":"a","tool_calls":[{"id":"1","index":0,"type":"function","function":{"name":"f","arguments":{"a":1.0},"x":1e1}}]}],
        "tools":[{"type":"function","function":{"name":"f","strict":true,"parameters":null}}]}"#;
    let mut request = ChatRequest::from_json(body).unwrap();
    request.messages[0].tool_calls[0].arguments = "{}".into();
    request.tools[0].parameters = Some("{\"type\":\"object\"}".into());
    let expected = body
        .replace(r#"{"a":1.0}"#, r#""{}""#)
        .replace(r#""parameters":null"#, r#""parameters":{"type":"object"}"#);
    let written = request.to_json().unwrap();
    assert!(same_json(&written, &expected), "{written}");
}

#[test]
fn raw_field_in_extra_wins_only_while_it_says_the_same() {
    let mut message = Message {
        role: "user".into(),
        extra: Some(r#"{"role":"\u0075ser","content":"old","name":null}"#.into()),
        ..Message::default()
    };
    assert_eq!(message.to_json().unwrap(), r#"{"role":"\u0075ser","name":null}"#);
    message.name = Some("n".into());
    message.role = "system".into();
    message.content = Some(Content::Text("old".into()));
    assert_eq!(message.to_json().unwrap(), r#"{"role":"system","content":"old","name":"n"}"#);
}

#[test]
fn params_win_over_extra() {
    let mut request = ChatRequest::from_json(r#"{"model":"m","messages":[],"top_a":1,"user":"u"}"#).unwrap();
    request.params = r#"{"top_a":2}"#.into();
    assert!(same_json(&request.to_json().unwrap(), r#"{"model":"m","messages":[],"top_a":2,"user":"u"}"#));
}
