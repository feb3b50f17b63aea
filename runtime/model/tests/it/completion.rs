//! Completed answers, and answers put together from chunks.

use innkeeper_model::chat_request::{Completion, Content, Message, Usage};
use innkeeper_model::chunk::{Chunk, Collector, Delta, ToolCallDelta, completion_json};
use innkeeper_model::json::same_json;
use proptest::prelude::*;

use crate::bodies;

const ANSWER: &str = r#"{"id":"c1","object":"chat.completion","created":1.0e9,"model":"m","system_fingerprint":null,
    "choices":[{"index":1,"message":{"role":"assistant","content":"second"},"finish_reason":"length"},
               {"index":0,"message":{"role":"assistant","content":"first","refusal":null},"logprobs":null,"finish_reason":"stop"}],
    "usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"details":{"cached":0}}}"#;

proptest! {
    #[test]
    fn any_answer_comes_back_unchanged(message in bodies::message(), usage in bodies::usage(), reason in bodies::value(), id in bodies::value()) {
        let answer = format!(r#"{{"id":{id},"choices":[{{"message":{message},"finish_reason":{reason},"x":1.0}},5],"usage":{usage},"y":{reason}}}"#);
        let completion = Completion::from_json(&answer).unwrap();
        prop_assert!(same_json(&completion.to_json().unwrap(), &answer));
    }
}

#[test]
fn answer_is_read_by_its_choice_0() {
    let completion = Completion::from_json(ANSWER).unwrap();
    assert_eq!(
        (completion.id.as_str(), completion.model.as_str(), completion.finish_reason.as_deref()),
        ("c1", "m", Some("stop"))
    );
    assert_eq!(completion.message.content, Some(Content::Text("first".into())));
    assert_eq!(completion.usage.as_ref().unwrap().total_tokens, 3);
    assert!(same_json(&completion.to_json().unwrap(), ANSWER));
}

#[test]
fn changed_answer_keeps_everything_else() {
    let mut completion = Completion::from_json(ANSWER).unwrap();
    completion.message.content = Some(Content::Text("changed".into()));
    completion.finish_reason = Some("length".into());
    completion.usage = None;
    let written = completion.to_json().unwrap();
    let expected = ANSWER.replace("\"first\"", "\"changed\"").replace("\"stop\"", "\"length\"");
    let expected = &expected[..expected.find(",\n    \"usage\"").unwrap()];
    assert!(same_json(&written, &format!("{expected}}}")), "{written}");
}

#[test]
fn answer_made_by_hand_is_written_in_full() {
    let message =
        Message { role: "assistant".into(), content: Some(Content::Text("hi".into())), ..Message::default() };
    let completion = Completion {
        id: "i".into(),
        model: "m".into(),
        message,
        finish_reason: None,
        usage: Some(Usage::default()),
        extra: None,
    };
    let expected = r#"{"id":"i","object":"chat.completion","created":0,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},
        "finish_reason":null}],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}"#;
    assert!(same_json(&completion.to_json().unwrap(), expected));
}

#[test]
fn answers_without_a_message_are_refused() {
    for (answer, path) in [
        (r#"{"error":{"message":"x"}}"#, "choices"),
        (r#"{"choices":[]}"#, "choices"),
        (r#"{"choices":[1]}"#, "choices"),
        (r#"{"choices":[{"index":2},{"index":0}]}"#, "choices[1].message"),
        ("x", ""),
    ] {
        assert_eq!(Completion::from_json(answer).unwrap_err().path, path, "{answer}");
    }
}

#[test]
fn chunks_make_one_answer() {
    let piece = |index, id: Option<&str>, name: Option<&str>, arguments: &str| ToolCallDelta {
        index,
        id: id.map(str::to_owned),
        name: name.map(str::to_owned),
        arguments: Some(arguments.into()),
        extra: None,
    };
    let calls = |tool_calls| Chunk::Delta(Delta { tool_calls, ..Delta::default() });
    let chunks = [
        Chunk::Delta(Delta { role: Some("assistant".into()), reasoning: Some("hm".into()), ..Delta::default() }),
        Chunk::Delta(Delta { reasoning: Some("m".into()), extra: Some(r#"{"reasoning":"m","annotations":[1]}"#.into()), ..Delta::default() }),
        Chunk::Text("Hel".into()),
        Chunk::Raw(r#"{"choices":[{"index":0,"delta":{},"logprobs":{"content":[{"token":"a"}],"refusal":null}}],"sources":[1]}"#.into()),
        Chunk::Text("lo".into()),
        Chunk::Raw(r#"{"choices":[{"index":0,"delta":{"content":"!"},"logprobs":{"content":[{"token":"b"}]}}],"sources":[2]}"#.into()),
        Chunk::Delta(Delta { extra: Some(r#"{"annotations":[2],"refusal":"n\n"}"#.into()), ..Delta::default() }),
        Chunk::Delta(Delta { extra: Some(r#"{"refusal":"o"}"#.into()), ..Delta::default() }),
        calls(vec![piece(1, Some("b"), Some("g"), ""), piece(0, Some("a"), Some("f"), "{")]),
        calls(vec![piece(0, None, None, "}"), piece(1, None, Some("g"), "1")]),
        Chunk::Delta(Delta { choice: 1, content: Some("other".into()), ..Delta::default() }),
        Chunk::Finish { choice: 0, reason: "tool_calls".into(), usage: None, extra: None },
        Chunk::Usage(Usage { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3, extra: None }),
    ];
    let expected = r#"{"id":"i","object":"chat.completion","created":7,"model":"m","choices":[
        {"index":0,"message":{"role":"assistant","content":"Hello!","reasoning_content":"hmm","tool_calls":[
            {"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"b","type":"function","function":{"name":"g","arguments":"1"}}],
            "annotations":[1,2],"refusal":"n\no"},
         "finish_reason":"tool_calls","logprobs":{"content":[{"token":"a"},{"token":"b"}],"refusal":null}},
        {"index":1,"message":{"role":"assistant","content":"other"},"finish_reason":null}],
        "usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3},"sources":[1,2]}"#;
    let written = completion_json("i", 7, "m", &chunks).unwrap();
    assert!(same_json(&written, expected), "{written}");
    let mut collector = Collector::default();
    chunks.iter().for_each(|chunk| collector.add(chunk).unwrap());
    assert_eq!((collector.text(0), collector.text(1), collector.text(2)), ("Hello!", "other", ""));
    assert_eq!((collector.finish_reason(0), collector.finish_reason(1)), (Some("tool_calls"), None));
}

#[test]
fn no_chunks_make_an_empty_answer() {
    let expected = r#"{"id":"i","object":"chat.completion","created":0,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":""},"finish_reason":null}]}"#;
    assert!(same_json(&completion_json("i", 0, "m", &[]).unwrap(), expected));
}
