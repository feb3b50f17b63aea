//! One pass over JSON text without recursion: the whole grammar, with the open arrays and objects in the bits of one number.

use super::{JsonError, MAX_DEPTH};

/// A place in a text.
pub(super) struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// How many values may begin from here on.
    left: usize,
    /// It stopped where a value too many would begin.
    full: bool,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, bytes: text.as_bytes(), at: 0, left: usize::MAX, full: false }
    }

    /// Refuses texts of more than `most` values.
    pub(super) fn up_to(text: &'a str, most: usize) -> Self {
        Self { left: most, ..Self::new(text) }
    }

    /// How many values are left of those that may be.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// Whether it stopped where a value too many would begin.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// Takes this byte, after blanks, or says what should be there.
    pub(super) fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), JsonError> {
        if self.accept(byte) { Ok(()) } else { Err(self.error(expected)) }
    }

    /// Takes this byte, after blanks, if it is there.
    pub(super) fn accept(&mut self, byte: u8) -> bool {
        self.blanks();
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    /// Refuses anything but blanks.
    pub(super) fn end(&mut self) -> Result<(), JsonError> {
        self.blanks();
        if self.at == self.bytes.len() { Ok(()) } else { Err(JsonError::Trailing { at: self.at }) }
    }

    /// Takes a key and its colon; gives the key with its quotes.
    pub(super) fn key(&mut self) -> Result<&'a str, JsonError> {
        self.blanks();
        let from = self.at;
        if self.peek() != Some(b'"') {
            return Err(self.error("a key in double quotes"));
        }
        self.string()?;
        let key = self.since(from);
        self.expect(b':', "`:`")?;
        Ok(key)
    }

    /// Takes one value inside `outer` open arrays and objects; gives it as it was written.
    pub(super) fn value(&mut self, outer: u32) -> Result<&'a str, JsonError> {
        self.blanks();
        let from = self.at;
        // Bit 0 tells whether the innermost open one is an object.
        let mut objects: u128 = 0;
        let mut depth = 0;
        loop {
            self.blanks();
            let Some(left) = self.left.checked_sub(1) else {
                self.full = true;
                return Err(self.error("no further value"));
            };
            self.left = left;
            let opened = match self.peek() {
                Some(b'{') => Some(true),
                Some(b'[') => Some(false),
                Some(b'"') => {
                    self.string()?;
                    None
                }
                Some(b'-' | b'0'..=b'9') => {
                    self.number()?;
                    None
                }
                Some(b't') => self.literal("true")?,
                Some(b'f') => self.literal("false")?,
                Some(b'n') => self.literal("null")?,
                _ => return Err(self.error("a value")),
            };
            if let Some(is_object) = opened {
                if depth + outer >= MAX_DEPTH {
                    return Err(JsonError::TooDeep { at: self.at });
                }
                self.at += 1;
                depth += 1;
                objects = (objects << 1) | u128::from(is_object);
                if !self.accept(if is_object { b'}' } else { b']' }) {
                    if is_object {
                        self.key()?;
                    }
                    continue;
                }
                depth -= 1;
                objects >>= 1;
            }
            // A value has ended: close what ends with it, until another one is due.
            loop {
                if depth == 0 {
                    return Ok(self.since(from));
                }
                let in_object = objects & 1 == 1;
                if self.accept(b',') {
                    if in_object {
                        self.key()?;
                    }
                    break;
                }
                if in_object {
                    self.expect(b'}', "`,` or `}`")?;
                } else {
                    self.expect(b']', "`,` or `]`")?;
                }
                depth -= 1;
                objects >>= 1;
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn since(&self, from: usize) -> &'a str {
        self.text.get(from..self.at).unwrap_or_default()
    }

    fn error(&self, expected: &'static str) -> JsonError {
        JsonError::Syntax { expected, at: self.at }
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Takes a string whose opening quote is next.
    fn string(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        loop {
            self.at = plain_run(self.bytes, self.at);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    self.at += 1;
                    match self.peek() {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
                        Some(b'u') => {
                            self.at += 1;
                            for _ in 0..4 {
                                if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                                    return Err(self.error("four hexadecimal digits"));
                                }
                                self.at += 1;
                            }
                        }
                        _ => return Err(self.error("an escape such as `\\n`")),
                    }
                }
                Some(_) => return Err(self.error("an escape instead of a control character")),
                None => return Err(self.error("the closing quote of a string")),
            }
        }
    }

    fn number(&mut self) -> Result<(), JsonError> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let from = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == from { Err(self.error("a digit")) } else { Ok(()) }
    }

    fn literal(&mut self, word: &'static str) -> Result<Option<bool>, JsonError> {
        let there = self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(word.as_bytes()));
        if !there {
            return Err(self.error(word));
        }
        self.at += word.len();
        Ok(None)
    }
}

/// The place of the first quote, backslash or control character from `from` on, or the end.
/// Eight bytes at a time: most of a body is the text of messages.
pub(super) fn plain_run(bytes: &[u8], from: usize) -> usize {
    let (words, rest) = bytes.get(from..).unwrap_or_default().as_chunks::<8>();
    let mut at = from;
    for word in words {
        let hits = special_bytes(u64::from_le_bytes(*word));
        if hits != 0 {
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    at + rest.iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < 0x20).unwrap_or(rest.len())
}

/// The high bit of the first byte that is a quote, a backslash or below a blank; higher bytes may be marked wrongly, the lowest mark is right.
fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let equal = |byte: u64| {
        let difference = word ^ (ONES * byte);
        difference.wrapping_sub(ONES) & !difference
    };
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (equal(0x22) | equal(0x5c) | control) & HIGH
}
