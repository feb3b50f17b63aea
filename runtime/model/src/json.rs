//! JSON as text: takes objects and arrays apart without touching the spelling of what is inside, so that a body can be put together again unchanged.
//! Every function takes hostile text, scans it once without recursion and answers with an error, never with a panic.

mod same;
mod scan;

use std::borrow::Cow;
use std::collections::BTreeMap;

pub use same::same_json;
use scan::Scanner;

/// How many arrays and objects may be open at once.
pub const MAX_DEPTH: u32 = 128;

/// How many values a text of a plugin may hold, arrays, objects and all that is in them. A value that is taken
/// apart has 72 bytes and a text of two or more, `0,`: up to 36 times the memory. With this many it is about what the longest text needs
/// by itself, and a table of 9,000 rows with 20 columns still passes.
pub const MAX_VALUES: usize = 200_000;

/// Why a text is not JSON that we take. Places are bytes from the start of the text, from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// The grammar asks for something else.
    #[error("expected {expected} at byte {at}")]
    Syntax {
        /// What it asks for.
        expected: &'static str,
        /// Where.
        at: usize,
    },
    /// Too many arrays and objects inside each other.
    #[error("nested deeper than {MAX_DEPTH} levels at byte {at}")]
    TooDeep {
        /// Where the first level too many opens.
        at: usize,
    },
    /// Something follows the value.
    #[error("unexpected text after the end of the value at byte {at}")]
    Trailing {
        /// Where.
        at: usize,
    },
}

/// Why a text of a plugin is not taken apart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// It is not JSON that we take.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// It holds more values than it may.
    #[error("it holds more than {most} values; send fewer, or send them as a file")]
    TooMany {
        /// How many it may hold.
        most: usize,
    },
    /// Right by the grammar, and yet no value: a number out of range, half of a surrogate pair.
    #[error("{0}")]
    Unreadable(String),
}

/// What sort of value a text holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// A number.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// One member of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The key, decoded. A key that is no Unicode text (half a surrogate pair) stands here as it was written, quotes included.
    pub key: Cow<'a, str>,
    /// The key as it was written, quotes included.
    pub raw_key: &'a str,
    /// The value as it was written.
    pub value: &'a str,
}

/// An object's members in their order. Where a key comes twice, the last value counts, in the place of the first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object<'a> {
    entries: Vec<Entry<'a>>,
    had_duplicates: bool,
}

impl<'a> Object<'a> {
    /// The members.
    pub fn entries(&self) -> &[Entry<'a>] {
        &self.entries
    }

    /// The value of a key, as it was written.
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| entry.value)
    }

    /// Whether the text held a key twice.
    pub fn had_duplicates(&self) -> bool {
        self.had_duplicates
    }
}

/// Whether a text is one JSON value within the depth limit.
pub fn check(text: &str) -> Result<(), JsonError> {
    let mut scanner = Scanner::new(text);
    scanner.value(0)?;
    scanner.end()
}

/// As `check`, of a text that holds at most `most` values; how many it holds.
pub fn check_up_to(text: &str, most: usize) -> Result<usize, ParseError> {
    let mut scanner = Scanner::up_to(text, most);
    if let Err(error) = scanner.value(0) {
        return Err(if scanner.is_full() { ParseError::TooMany { most } } else { error.into() });
    }
    scanner.end()?;
    Ok(most - scanner.left())
}

/// The value of a text that holds at most `most` values, and how many it holds. Nothing is made of a text that holds more.
pub fn parse(text: &str, most: usize) -> Result<(serde_json::Value, usize), ParseError> {
    let values = check_up_to(text, most)?;
    match serde_json::from_str(text) {
        Ok(value) => Ok((value, values)),
        Err(error) => Err(ParseError::Unreadable(error.to_string())),
    }
}

/// Takes an object apart.
pub fn object(text: &str) -> Result<Object<'_>, JsonError> {
    let mut scanner = Scanner::new(text);
    let mut entries = Vec::new();
    scanner.expect(b'{', "an object")?;
    if !scanner.accept(b'}') {
        loop {
            let raw_key = scanner.key()?;
            let value = scanner.value(1)?;
            let key = string(raw_key).unwrap_or(Cow::Borrowed(raw_key));
            entries.push(Entry { key, raw_key, value });
            if scanner.accept(b'}') {
                break;
            }
            scanner.expect(b',', "`,` or `}`")?;
        }
    }
    scanner.end()?;
    Ok(without_duplicates(entries))
}

/// Takes an array apart.
pub fn array(text: &str) -> Result<Vec<&str>, JsonError> {
    let mut scanner = Scanner::new(text);
    let mut items = Vec::new();
    scanner.expect(b'[', "an array")?;
    if !scanner.accept(b']') {
        loop {
            items.push(scanner.value(1)?);
            if scanner.accept(b']') {
                break;
            }
            scanner.expect(b',', "`,` or `]`")?;
        }
    }
    scanner.end()?;
    Ok(items)
}

/// What sort of value a text holds, told from its first character; `None` where no value begins so.
pub fn kind(text: &str) -> Option<Kind> {
    match text.trim_ascii_start().as_bytes().first()? {
        b'n' => Some(Kind::Null),
        b't' | b'f' => Some(Kind::Bool),
        b'-' | b'0'..=b'9' => Some(Kind::Number),
        b'"' => Some(Kind::String),
        b'[' => Some(Kind::Array),
        b'{' => Some(Kind::Object),
        _ => None,
    }
}

/// The text of a string; `None` for other values, and for a string that is no Unicode text (half a surrogate pair).
pub fn string(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    let bytes = inner.as_bytes();
    if scan::plain_run(bytes, 0) == bytes.len() {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(raw).ok().map(Cow::Owned)
}

/// A whole number from 0, also when spelled `5.0` or `5e0`; exact up to 2^53 in those spellings.
pub fn whole_number(raw: &str) -> Option<u64> {
    if let Ok(number) = raw.parse() {
        return Some(number);
    }
    if kind(raw) != Some(Kind::Number) {
        return None;
    }
    let number: f64 = raw.parse().ok()?;
    let exact = (0.0..=9_007_199_254_740_992.0).contains(&number) && number.fract() == 0.0;
    exact.then_some(number as u64)
}

/// Appends a string with its quotes.
pub fn write_string(out: &mut String, text: &str) {
    out.push('"');
    let bytes = text.as_bytes();
    let mut from = 0;
    loop {
        let stop = scan::plain_run(bytes, from);
        out.push_str(text.get(from..stop).unwrap_or_default());
        let Some(&byte) = bytes.get(stop) else { break };
        write_escape(out, byte);
        from = stop + 1;
    }
    out.push('"');
}

fn write_escape(out: &mut String, byte: u8) {
    match byte {
        b'"' => out.push_str("\\\""),
        b'\\' => out.push_str("\\\\"),
        b'\n' => out.push_str("\\n"),
        b'\r' => out.push_str("\\r"),
        b'\t' => out.push_str("\\t"),
        control => {
            out.push_str("\\u00");
            for digit in [control >> 4, control & 0xf] {
                out.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
            }
        }
    }
}

/// Below this many members comparing each with each is cheaper than a map.
const FEW: usize = 24;

fn without_duplicates(entries: Vec<Entry<'_>>) -> Object<'_> {
    let few = entries.len() <= FEW;
    if few
        && entries
            .iter()
            .enumerate()
            .all(|(at, entry)| entries.iter().take(at).all(|earlier| earlier.key != entry.key))
    {
        return Object { entries, had_duplicates: false };
    }
    let mut places: BTreeMap<Cow<'_, str>, usize> = BTreeMap::new();
    let mut kept: Vec<Entry<'_>> = Vec::with_capacity(entries.len());
    let all = entries.len();
    for entry in entries {
        match places.get(&entry.key).and_then(|&place| kept.get_mut(place)) {
            Some(earlier) => *earlier = entry,
            None => {
                places.insert(entry.key.clone(), kept.len());
                kept.push(entry);
            }
        }
    }
    let had_duplicates = kept.len() != all;
    Object { entries: kept, had_duplicates }
}
