//! The scanner against serde_json, and when two texts are the same.

use innkeeper_model::json::{self, JsonError, same_json};
use proptest::prelude::*;
use proptest::sample::Index;
use serde::de::IgnoredAny;

use crate::bodies;

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn the_grammar_is_that_of_serde_json(text in bodies::value(), at in any::<Index>(), replacement in "[\\[\\]{}\",:a-z0-9.eE+\\-\\\\ \n\t\u{1}]{0,2}") {
        prop_assert!(json::check(&text).is_ok());
        let mut characters: Vec<char> = text.chars().collect();
        let at = at.index(characters.len());
        characters.splice(at..=at, replacement.chars());
        let broken: String = characters.into_iter().collect();
        let expected = serde_json::from_str::<IgnoredAny>(&broken).is_ok();
        prop_assert_eq!(json::check(&broken).is_ok(), expected, "{}", broken);
        if json::object(&broken).is_ok() || json::array(&broken).is_ok() {
            prop_assert!(expected);
        }
    }

    #[test]
    fn strings_come_back(text in any::<String>()) {
        let mut raw = String::new();
        json::write_string(&mut raw, &text);
        prop_assert_eq!(json::string(&raw).unwrap(), text.as_str());
        prop_assert_eq!(serde_json::from_str::<String>(&raw).unwrap(), text);
    }

    #[test]
    fn every_text_is_the_same_as_itself(text in bodies::value()) {
        prop_assert!(same_json(&text, &text));
    }
}

#[test]
fn sameness_is_strict_about_numbers_and_loose_about_order() {
    for (a, b) in [
        (r#"{"a":1,"b":[1.0]}"#, r#" {"b": [1.0] ,"a":1}"#),
        (r#""\u00e9\/""#, r#""é/""#),
        (r#"{"\u0061":1}"#, r#"{"a":1}"#),
        (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
        (r#""\ud800\n""#, r#""\uD800\u000a""#),
    ] {
        assert!(same_json(a, b), "{a} {b}");
    }
    for (a, b) in [
        ("1", "1.0"),
        ("1e5", "100000"),
        ("null", "false"),
        (r#"{"a":null}"#, "{}"),
        ("[1,2]", "[2,1]"),
        (r#""\ud800""#, r#""\ud801""#),
        (r#""\ud800""#, r#""\ufffd""#),
        ("[]", "{}"),
        (r#""1""#, "1"),
        ("x", "x"),
        ("", ""),
    ] {
        assert!(!same_json(a, b), "{a} {b}");
    }
}

#[test]
fn errors_say_where() {
    assert_eq!(json::check("[1,]"), Err(JsonError::Syntax { expected: "a value", at: 3 }));
    assert_eq!(json::check("{\"a\" 1}"), Err(JsonError::Syntax { expected: "`:`", at: 5 }));
    assert_eq!(json::check("1 2"), Err(JsonError::Trailing { at: 2 }));
    assert_eq!(json::check(&"[".repeat(200)), Err(JsonError::TooDeep { at: 128 }));
}

#[test]
fn whole_numbers_are_read_in_other_spellings() {
    for (raw, expected) in [
        ("5", Some(5)),
        ("5.0", Some(5)),
        ("5e2", Some(500)),
        ("18446744073709551615", Some(u64::MAX)),
        ("-0", Some(0)),
        ("-1", None),
        ("1.5", None),
        ("1e30", None),
        ("\"5\"", None),
        ("null", None),
    ] {
        assert_eq!(json::whole_number(raw), expected, "{raw}");
    }
}
