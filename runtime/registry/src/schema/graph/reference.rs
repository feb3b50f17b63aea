//! References inside a schema: JSON pointers from its root. There are no others.

use serde_json::Value;

use super::Flaw;
use crate::error::shown;

/// Where a reference leads, and what is there. The pointer is written in one way only, so that one place is one node.
pub(super) fn resolve<'a>(root: &'a Value, at: &str, reference: &Value) -> Result<(String, &'a Value), Flaw> {
    let flaw = |problem: String| Flaw { at: at.to_owned(), problem };
    let Some(reference) = reference.as_str() else { return Err(flaw("a reference is a string".to_owned())) };
    let pointer =
        reference.strip_prefix('#').filter(|pointer| pointer.is_empty() || pointer.starts_with('/'));
    let Some(pointer) = pointer else {
        let problem = format!(
            "`{}` leads out of this schema; nothing is fetched, only `#/$defs/name` works",
            shown(reference)
        );
        return Err(flaw(problem));
    };
    let nothing = || flaw(format!("`{}` leads nowhere", shown(reference)));
    let pointer = decode(pointer).ok_or_else(nothing)?;
    let target = root.pointer(&pointer).ok_or_else(nothing)?;
    Ok((pointer, target))
}

/// Undoes the percent-encoding of an address.
fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let (high, low) = (digit(bytes.next()?)?, digit(bytes.next()?)?);
        decoded.push(u8::try_from(high.checked_mul(16)?.checked_add(low)?).ok()?);
    }
    String::from_utf8(decoded).ok()
}
