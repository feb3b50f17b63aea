//! Arbitrary JSON and OpenAI-shaped bodies as text, odd spellings included, and edits of such texts.

use innkeeper_model::json;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::strategy::Union;

/// Fields of an object: raw key and raw value.
type Fields = Vec<(String, String)>;

pub(crate) fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

/// Replaces or adds a field.
pub(crate) fn set(object: &str, key: &str, value: &str) -> String {
    let mut fields: Fields = json::object(object)
        .unwrap()
        .entries()
        .iter()
        .filter(|entry| entry.key != key)
        .map(|entry| (entry.raw_key.to_owned(), entry.value.to_owned()))
        .collect();
    fields.push((quoted(key), value.to_owned()));
    join(&fields)
}

/// Changes one item of an array.
pub(crate) fn set_item(array: &str, index: usize, edit: impl Fn(&str) -> String) -> String {
    let items: Vec<String> = json::array(array)
        .unwrap()
        .iter()
        .enumerate()
        .map(|(at, item)| if at == index { edit(item) } else { (*item).to_owned() })
        .collect();
    format!("[{}]", items.join(","))
}

fn join(fields: &[(String, String)]) -> String {
    let fields: Vec<String> = fields.iter().map(|(key, value)| format!("{key} :{value}")).collect();
    format!("{{{}}}", fields.join(", "))
}

pub(crate) fn number() -> impl Strategy<Value = String> {
    let odd = ["1.0", "1e5", "-0", "-0.0", "1E+2", "1e400", "-1e-400", "0e0", "5.0", "100000000000000000000"];
    prop_oneof![
        3 => proptest::sample::select(odd.to_vec()).prop_map(str::to_owned),
        1 => "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,3})?",
        1 => (0u64..20).prop_map(|number| number.to_string()),
    ]
}

/// A string of Unicode text, with escapes of every kind.
pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>().prop_map(|text| quoted(&text)),
        "[a-z ]{0,40}".prop_map(|text| quoted(&text)),
        Just(r#""\u00e9\/\b\f\n\ud83d\ude00""#.to_owned()),
        Just(r#""""#.to_owned()),
        data_uri(),
    ]
}

/// A `data:` URI, short or long, in capitals or not, with an escape in it or not.
fn data_uri() -> impl Strategy<Value = String> {
    let scheme = proptest::sample::select(vec!["data:", "DATA:", r"data\u003a"]);
    (scheme, proptest::sample::select(vec!["/", r"\/"]), 0..200_usize).prop_map(|(scheme, slash, length)| {
        format!("\"{scheme}image{slash}png;base64,{}\"", "QUJD".repeat(length))
    })
}

/// Arrays and objects inside each other, as deep as a body may have them at any level of it.
fn deep() -> impl Strategy<Value = String> {
    (1..=100_usize, any::<bool>()).prop_map(|(levels, objects)| {
        let (open, close) = if objects { ("{\"extra\":", "}") } else { ("[", "]") };
        format!("{}1.0{}", open.repeat(levels), close.repeat(levels))
    })
}

/// Any string, halves of surrogate pairs included.
fn string() -> impl Strategy<Value = String> {
    prop_oneof![9 => text(), 1 => Just(r#""\ud800 x""#.to_owned()), 1 => Just(r#""\uDfff""#.to_owned())]
}

pub(crate) fn value() -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        number(),
        string(),
    ];
    let leaf = prop_oneof![30 => leaf, 1 => deep()];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|items| format!("[ {}\n]", items.join(" ,"))),
            vec((key(), inner), 0..4).prop_map(|fields| join(&fields)),
        ]
    })
    .boxed()
}

/// Keys that mean something somewhere, and any others.
fn key() -> impl Strategy<Value = String> {
    let known = [
        "id",
        "type",
        "function",
        "name",
        "arguments",
        "role",
        "content",
        "extra",
        "params",
        "url",
        "detail",
        "image_url",
        "text",
        "index",
        "stream",
        "tools",
        "event",
        "choices",
        "delta",
        "temperature",
        "usage",
        "tool_calls",
        "tool_call_id",
        "description",
        "parameters",
        "stop",
        "metadata",
    ];
    prop_oneof![proptest::sample::select(known.to_vec()).prop_flat_map(spelled), string()]
}

/// A key as it is usually written or, now and then, with one of its letters as an escape.
fn spelled(key: &'static str) -> impl Strategy<Value = String> {
    let escaped = (0..key.len(), any::<bool>()).prop_map(move |(at, capitals)| {
        let (before, rest) = key.split_at(at);
        let letter = u32::from(rest.as_bytes()[0]);
        let escape = if capitals { format!("\\u{letter:04X}") } else { format!("\\u{letter:04x}") };
        format!("\"{before}{escape}{}\"", &rest[1..])
    });
    prop_oneof![7 => Just(quoted(key)), 1 => escaped]
}

/// A field that is absent, as expected, or anything.
fn field(name: &'static str, usual: BoxedStrategy<String>) -> BoxedStrategy<Fields> {
    let value = Union::new_weighted(vec![(4, usual), (1, value()), (1, Just("null".to_owned()).boxed())]);
    option::weighted(0.7, (spelled(name), value)).prop_map(|field| field.into_iter().collect()).boxed()
}

/// An object of such fields in any order, now and then each of them twice, with unknown ones between, some named like fields of other objects.
fn object(fields: Vec<BoxedStrategy<Fields>>) -> BoxedStrategy<String> {
    object_without(fields, &[])
}

/// The same, where unknown fields must not have these names.
fn object_without(
    fields: Vec<BoxedStrategy<Fields>>,
    reserved: &'static [&'static str],
) -> BoxedStrategy<String> {
    let free = key().prop_filter("a field that must be right", |key| {
        json::string(key).is_none_or(|key| !reserved.contains(&&*key))
    });
    let unknown = option::weighted(0.4, vec((free, value()), 0..3)).prop_map(Option::unwrap_or_default);
    let again = option::weighted(0.15, fields.clone()).prop_map(Option::unwrap_or_default);
    (fields, again, unknown)
        .prop_map(|(fields, again, unknown)| [unknown, fields.concat(), again.concat()].concat())
        .prop_shuffle()
        .prop_map(|fields| join(&fields))
        .boxed()
}

fn list(item: BoxedStrategy<String>) -> BoxedStrategy<String> {
    vec(item, 0..4).prop_map(|items| format!("[{}]", items.join(", "))).boxed()
}

fn one_of(words: &'static [&'static str]) -> BoxedStrategy<String> {
    proptest::sample::select(words).prop_map(quoted).boxed()
}

pub(crate) fn tool_call() -> BoxedStrategy<String> {
    let function = object(vec![field("name", text().boxed()), field("arguments", text().boxed())]);
    object(vec![
        field("id", text().boxed()),
        field("type", one_of(&["function", "custom"])),
        field("function", function),
    ])
}

pub(crate) fn tool() -> BoxedStrategy<String> {
    let function = object(vec![
        field("name", text().boxed()),
        field("description", text().boxed()),
        field("parameters", value()),
        field("strict", value()),
    ]);
    object(vec![field("type", one_of(&["function", "web_search"])), field("function", function)])
}

pub(crate) fn part() -> BoxedStrategy<String> {
    let url = prop_oneof![text(), data_uri()].boxed();
    let place = object(vec![field("url", url), field("detail", one_of(&["auto", "low"]))]);
    let known = object(vec![
        field("type", one_of(&["text", "image_url", "file"])),
        field("text", text().boxed()),
        field("image_url", place),
    ]);
    prop_oneof![4 => known, 1 => value()].boxed()
}

pub(crate) fn message() -> BoxedStrategy<String> {
    object(vec![
        field("role", one_of(&["user", "assistant", "tool"])),
        field("content", prop_oneof![text(), list(part())].boxed()),
        field("name", text().boxed()),
        field("tool_call_id", text().boxed()),
        field("tool_calls", list(tool_call())),
    ])
}

pub(crate) fn usage() -> BoxedStrategy<String> {
    object(vec![
        field("prompt_tokens", number().boxed()),
        field("completion_tokens", number().boxed()),
        field("total_tokens", number().boxed()),
    ])
}

pub(crate) fn body() -> BoxedStrategy<String> {
    let messages = vec(message(), 0..4).prop_map(|messages| format!("[{}]", messages.join(" , ")));
    let required = ((spelled("model"), text()), (spelled("messages"), messages))
        .prop_map(|(model, messages)| vec![model, messages]);
    let stop = prop_oneof![text(), list(text().boxed())].boxed();
    let tools = prop_oneof![Just("null".to_owned()), list(tool())];
    let fields = vec![
        required.boxed(),
        field("stream", prop_oneof![Just("true".to_owned()), Just("false".to_owned())].boxed()),
        option::of((spelled("tools"), tools)).prop_map(|tools| tools.into_iter().collect()).boxed(),
        field("temperature", number().boxed()),
        field("stop", stop),
        field("max_tokens", number().boxed()),
        field("tool_choice", value()),
        field("metadata", value()),
        field("top_a", number().boxed()),
    ];
    object_without(fields, &["model", "messages", "tools"])
}
