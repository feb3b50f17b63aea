//! The scanner against serde_json, and when two texts are the same.

use innkeeper_model::json::{self, JsonError, ParseError, same_json};
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
fn values_are_counted_and_too_many_are_refused() {
    for (text, values) in [
        ("1", 1),
        ("[]", 1),
        ("{}", 1),
        ("[0,0]", 3),
        (r#"{"a":1,"b":[]}"#, 3),
        (r#"[[],{},"[,]",{"a":{"b":null}}]"#, 7),
        (" [ 1 , [ 2 ] ] ", 4),
    ] {
        assert_eq!(json::check_up_to(text, values), Ok(values), "{text}");
        assert_eq!(
            json::check_up_to(text, values - 1),
            Err(ParseError::TooMany { most: values - 1 }),
            "{text}"
        );
        let (value, counted) = json::parse(text, values).unwrap();
        assert_eq!((value, counted), (serde_json::from_str(text).unwrap(), values), "{text}");
        assert_eq!(json::parse(text, values - 1), Err(ParseError::TooMany { most: values - 1 }), "{text}");
    }
    assert_eq!(json::check_up_to("[1,]", 9), Err(JsonError::Syntax { expected: "a value", at: 3 }.into()));
    assert_eq!(json::check_up_to("1 2", 9), Err(JsonError::Trailing { at: 2 }.into()));
    assert!(matches!(json::parse("[1e999]", 9), Err(ParseError::Unreadable(_))));
    assert!(matches!(json::parse(r#""\ud800""#, 9), Err(ParseError::Unreadable(_))));
}

#[test]
fn a_short_text_of_very_many_values_is_refused_before_it_is_taken_apart() {
    // 8 MiB of text, which would take about 300 MiB.
    let zeros = format!("[{}0]", "0,".repeat(4 << 20));
    assert_eq!(json::parse(&zeros, json::MAX_VALUES), Err(ParseError::TooMany { most: json::MAX_VALUES }));
    // A table of 9,000 rows with 20 columns.
    let row = format!("[{}\"a cell\"]", "1234.5,".repeat(19));
    let table = format!("[{}{row}]", format!("{row},").repeat(8_999));
    assert!(json::parse(&table, json::MAX_VALUES).is_ok());
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
