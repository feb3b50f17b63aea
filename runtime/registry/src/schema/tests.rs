//! Schemas that mean well, and schemas that do not.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{MASK, Schema, Sum};
use crate::error::{SchemaError, ValueProblem};

fn schema(source: &Value) -> Schema {
    Schema::compile("valves", source).unwrap()
}

fn refused(source: &Value) -> SchemaError {
    let begun = Instant::now();
    let error = Schema::compile("valves", source).err().expect("the schema is refused");
    assert!(begun.elapsed() < Duration::from_secs(2), "{error}");
    error
}

/// Where a schema is refused, and a part of the reason.
fn check_refused(source: &Value, at: &str, reason: &str) {
    let error = refused(source);
    assert_eq!(error.at, at, "{error}");
    assert!(error.problem.contains(reason), "{error}");
}

fn problems(source: &Value, value: &Value) -> Vec<ValueProblem> {
    let schema = schema(source);
    let begun = Instant::now();
    let problems = schema.problems(value);
    assert!(begun.elapsed() < Duration::from_secs(3), "{problems:?}");
    problems
}

fn check_too_much(source: &Value, value: &Value, reason: &str) {
    let problems = problems(source, value);
    assert!(problems.iter().any(|problem| problem.message.contains(reason)), "{problems:?}");
}

#[test]
fn a_broken_schema_names_the_place() {
    check_refused(
        &json!({"type": "object", "properties": {"a": {"type": "strnig"}}}),
        "/properties/a/type",
        "strnig",
    );
    check_refused(&json!({"type": "object", "properties": {"a": 5}}), "/properties/a", "object");
    check_refused(&json!({"type": "object", "required": "a"}), "/required", "array");
    check_refused(
        &json!({"type": "object", "properties": {"a/b": {"$ref": "#/$defs/no"}}}),
        "/properties/a~1b/$ref",
        "nowhere",
    );
    let error = refused(&json!({"type": "object", "minProperties": -1}));
    assert!(
        error
            .to_string()
            .starts_with("manifest: `valves` is not a JSON Schema that can be used: at `/minProperties`"),
        "{error}"
    );
}

#[test]
fn nothing_is_fetched() {
    for reference in
        ["https://example.org/schema", "file:///etc/passwd", "other.json", "other.json#/a", "#name", "//x"]
    {
        check_refused(
            &json!({"type": "object", "properties": {"a": {"$ref": reference}}}),
            "/properties/a/$ref",
            "nothing is fetched",
        );
    }
    for dialect in ["https://example.org/meta", "http://json-schema.org/draft-04/schema#", ""] {
        check_refused(&json!({"$schema": dialect, "type": "object"}), "/$schema", "dialect");
    }
}

#[test]
fn names_that_move_what_references_mean_are_refused() {
    let defs = |inner: Value| json!({"type": "object", "$defs": {"a": inner}});
    for keyword in ["$id", "$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveRef", "$schema"] {
        check_refused(&defs(json!({keyword: "#x"})), &format!("/$defs/a/{keyword}"), "not allowed");
    }
    schema(
        &json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "https://example.org/a", "type": "object",
        "properties": {"a": {"$ref": "#/$defs/a"}, "$id": {"type": "string"}}, "$defs": {"a": {"type": "string"}}}),
    );
}

#[test]
fn references_in_a_circle_for_one_value_are_refused() {
    let circle = json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}},
        "$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"anyOf": [{"not": {"$ref": "#/$defs/a"}}]}}});
    assert!(refused(&circle).problem.contains("never end"));
    check_refused(&json!({"type": "object", "$ref": "#"}), "", "never end");
    check_refused(&json!({"type": "object", "allOf": [{"$ref": "#/allOf/0"}]}), "/allOf/0", "never end");
}

#[test]
fn schemas_that_multiply_are_refused() {
    let mut defs = serde_json::Map::new();
    for level in 0..30 {
        let next = format!("#/$defs/{}", level + 1);
        defs.insert(level.to_string(), json!({"allOf": [{"$ref": next}, {"$ref": next}]}));
    }
    defs.insert("30".to_owned(), json!({"type": "string"}));
    let error =
        refused(&json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/0"}}, "$defs": defs}));
    assert!(error.problem.contains("apply to one value"), "{error}");
    let many: Vec<Value> = (0..5_000).map(|_| json!({"type": "string"})).collect();
    assert!(refused(&json!({"type": "object", "anyOf": many})).problem.contains("subschemas"));
    let deep = (0..60).fold(json!({"type": "string"}), |inner, _| json!({"not": inner}));
    assert!(refused(&json!({"type": "object", "properties": {"a": deep}})).problem.contains("in a row"));
    let deep = (0..110).fold(json!({"type": "string"}), |inner, _| json!({"items": inner}));
    assert!(refused(&json!({"type": "object", "properties": {"a": deep}})).problem.contains("deeper"));
}

#[test]
fn a_tree_of_any_depth_can_be_described() {
    let tree = json!({"type": "object", "properties": {"tree": {"$ref": "#/$defs/tree"}}, "$defs": {"tree": {
        "type": "object", "required": ["name"], "properties": {"name": {"type": "string"},
        "children": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}}}});
    let leaf = json!({"name": "leaf"});
    let value = (0..20).fold(leaf, |inner, level| {
        let children = vec![inner; if level < 5 { 2 } else { 1 }];
        json!({"name": level.to_string(), "children": children})
    });
    assert_eq!(problems(&tree, &json!({"tree": value})), []);
    let wrong = problems(&tree, &json!({"tree": {"name": "a", "children": [{"name": 5}]}}));
    assert_eq!(wrong.first().map(|problem| problem.path.as_str()), Some("/tree/children/0/name"));
}

#[test]
fn a_check_that_doubles_with_every_level_is_not_begun() {
    let doubling = json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"properties": {"a": {
        "allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}, {"anyOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]}]}}}}});
    let deep = |levels: u32| (0..levels).fold(json!({}), |inner, _| json!({"a": inner}));
    assert_eq!(problems(&doubling, &deep(4)), []);
    check_too_much(&doubling, &deep(50), "too long");
}

#[test]
fn values_are_bounded_in_depth_and_size() {
    let any = json!({"type": "object"});
    let deep = (0..100).fold(json!({}), |inner, _| json!({"a": inner}));
    check_too_much(&any, &deep, "deeper than");
    let listed =
        json!({"type": "object", "properties": {"a": {"items": {"enum": (0..2_000).collect::<Vec<_>>()}}}});
    check_too_much(&listed, &json!({"a": vec![1; 5_000]}), "too long");
    let text = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    assert_eq!(problems(&text, &json!({"a": "x".repeat(8 << 20)})), []);
    let unique = json!({"type": "object", "properties": {"a": {"uniqueItems": true}}});
    assert_eq!(problems(&unique, &json!({"a": (0..10_000).collect::<Vec<_>>()})), []);
}

#[test]
fn patterns_run_in_linear_time_or_not_at_all() {
    let with = |pattern: &str| json!({"type": "object", "properties": {"a": {"type": "string", "pattern": pattern}}});
    for pattern in ["(?=a)b", "(a)\\1", "(?<!a)b", "["] {
        check_refused(&with(pattern), "/properties/a/pattern", "");
    }
    let error = refused(&with("((\\w{100}){100}){100}"));
    assert_eq!(error.at, "/properties/a/pattern", "{error}");
    check_refused(&with(&"a".repeat(2_000)), "/properties/a/pattern", "bytes");
    assert_eq!(problems(&with("^(a+)+$"), &json!({"a": "a".repeat(10_000)})), []);
    assert_eq!(problems(&with("^(a|a)*$"), &json!({"a": format!("{}b", "a".repeat(10_000))})).len(), 1);
    assert_eq!(problems(&with("^[a-z]{1,64}$"), &json!({"a": "abc"})), []);
    check_too_much(&with("(.{0,50}a){5,10}$"), &json!({"a": "b".repeat(1 << 20)}), "too long");
    let names = json!({"type": "object", "patternProperties": {"^[a-z]{1,200}$": {"type": "string"}}});
    check_too_much(&names, &json!({"b".repeat(1 << 20): 1}), "too long");
    let many: Vec<Value> = (0..100).map(|n| json!({"pattern": format!("a{n}")})).collect();
    assert!(refused(&json!({"type": "object", "allOf": many})).problem.contains("patterns"));
}

#[test]
fn defaults_are_filled_in_where_values_are_missing() {
    let valves = schema(&json!({"type": "object", "required": ["a"], "properties": {
        "a": {"type": "integer", "default": 7},
        "b": {"type": "object", "properties": {"c": {"type": "string", "default": "x"}}},
        "d": {"$ref": "#/$defs/d"},
        "e": {"type": "string"}},
        "$defs": {"d": {"type": "string", "enum": ["one", "two"], "default": "two"}}}));
    let complete = |value: Value| valves.complete(value).unwrap();
    assert_eq!(complete(json!({})), json!({"a": 7, "d": "two"}));
    assert_eq!(complete(json!({"a": 1, "b": {}, "d": "one"})), json!({"a": 1, "b": {"c": "x"}, "d": "one"}));
    let problems = valves.complete(json!({"a": "no", "d": "three"})).unwrap_err();
    let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(paths, ["/a", "/d"]);
}

#[test]
fn defaults_that_grow_without_end_are_stopped() {
    let inner = json!({"$ref": "#/$defs/a", "default": {}});
    let endless = schema(
        &json!({"type": "object", "properties": {"a": inner}, "$defs": {"a": {"properties": {"a": inner}}}}),
    );
    assert_eq!(endless.complete(json!({})).unwrap(), json!({"a": {}}));
    let text = "x".repeat(200_000);
    let properties: serde_json::Map<_, _> =
        (0..10).map(|n| (n.to_string(), json!({"$ref": "#/$defs/a"}))).collect();
    let large =
        schema(&json!({"type": "object", "properties": properties, "$defs": {"a": {"default": text}}}));
    assert!(large.complete(json!({})).unwrap_err()[0].message.contains("too large"));
}

#[test]
fn secrets_are_hidden_and_kept_when_the_mask_comes_back() {
    let valves = schema(&json!({"type": "object", "properties": {
        "url": {"type": "string", "default": "https://example.org"},
        "key": {"type": "string", "format": "password"},
        "token": {"type": "string", "writeOnly": true, "default": ""},
        "old": {"type": "string", "input": {"type": "password"}},
        "maybe": {"anyOf": [{"$ref": "#/$defs/secret"}, {"type": "null"}]},
        "list": {"type": "array", "items": {"$ref": "#/$defs/secret"}},
        "inner": {"type": "object", "additionalProperties": {"$ref": "#/$defs/secret"}}},
        "$defs": {"secret": {"type": "string", "format": "password"}}}));
    let set = json!({"key": "k", "old": "o", "maybe": "m", "list": ["l"], "inner": {"a": "i"}});
    let shown = valves.masked(set.clone());
    assert_eq!(
        shown,
        json!({"url": "https://example.org", "token": "", "key": MASK, "old": MASK, "maybe": MASK, "list": [MASK], "inner": {"a": MASK}})
    );
    let back = valves.unmasked(shown.clone(), Some(&set)).unwrap();
    assert_eq!(
        back,
        json!({"url": "https://example.org", "token": "", "key": "k", "old": "o", "maybe": "m", "list": ["l"], "inner": {"a": "i"}})
    );
    let changed = valves.unmasked(json!({"key": "new", "old": MASK, "token": MASK}), Some(&set)).unwrap();
    assert_eq!(changed, json!({"key": "new", "old": "o"}));
    let problem = valves.unmasked(json!({"list": [MASK, MASK]}), Some(&set)).unwrap_err();
    assert_eq!(problem[0].path, "/list/1");
}

#[test]
fn problems_do_not_repeat_the_value() {
    let valves = json!({"type": "object", "properties": {"key": {"type": "string", "format": "password", "maxLength": 3,
        "pattern": "^a", "enum": ["abc"]}}});
    let problems = problems(&valves, &json!({"key": "hunter2-hunter2"}));
    assert!(problems.len() >= 3);
    assert!(problems.iter().all(|problem| !problem.message.contains("hunter2")), "{problems:?}");
}

#[test]
fn schemas_are_bounded_together() {
    let patterns: Vec<Value> = (0..40).map(|n| json!({"pattern": format!("a{n}")})).collect();
    let schema = schema(&json!({"type": "object", "allOf": patterns}));
    let mut sum = Sum::default();
    sum.add("a", Some(&schema)).unwrap();
    let error = sum.add("b", Some(&schema)).unwrap_err();
    assert_eq!(error.field, "b");
}
