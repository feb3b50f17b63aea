//! When two JSON texts say the same.

use super::{Kind, array, check, kind, object, string};

/// Whether two texts hold the same value: objects without regard to order (of a key that comes twice the last value counts),
/// strings by what they decode to, numbers by their exact spelling (`1`, `1.0` and `1e0` differ).
/// Texts that are no JSON, or nested too deep, equal nothing.
pub fn same_json(a: &str, b: &str) -> bool {
    check(a).is_ok() && check(b).is_ok() && same_value(a.trim_ascii(), b.trim_ascii())
}

/// Recursion is bounded: both texts have been checked against the depth limit.
fn same_value(a: &str, b: &str) -> bool {
    if kind(a) != kind(b) {
        return false;
    }
    match kind(a) {
        Some(Kind::Object) => same_object(a, b),
        Some(Kind::Array) => match (array(a), array(b)) {
            (Ok(a), Ok(b)) => a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| same_value(a, b)),
            _ => false,
        },
        Some(Kind::String) => a == b || same_string(a, b),
        _ => a == b,
    }
}

fn same_object(a: &str, b: &str) -> bool {
    let (Ok(a), Ok(b)) = (object(a), object(b)) else { return false };
    let mut a: Vec<_> = a.entries().iter().map(|entry| (&*entry.key, entry.value)).collect();
    let mut b: Vec<_> = b.entries().iter().map(|entry| (&*entry.key, entry.value)).collect();
    a.sort_unstable();
    b.sort_unstable();
    a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a.0 == b.0 && same_value(a.1, b.1))
}

fn same_string(a: &str, b: &str) -> bool {
    match (string(a), string(b)) {
        (Some(a), Some(b)) => a == b,
        // Halves of surrogate pairs are no Unicode text, but still comparable.
        (None, None) => code_units(a) == code_units(b),
        _ => false,
    }
}

/// The UTF-16 code units of a checked string, quotes included.
fn code_units(raw: &str) -> Vec<u16> {
    let mut units = Vec::with_capacity(raw.len());
    let mut rest = raw.chars();
    let mut unit = [0; 2];
    while let Some(character) = rest.next() {
        if character != '\\' {
            units.extend_from_slice(character.encode_utf16(&mut unit));
            continue;
        }
        match rest.next() {
            Some('u') => {
                let digits = rest.by_ref().take(4).filter_map(|digit| digit.to_digit(16));
                units.push(digits.fold(0, |unit, digit| (unit << 4) | digit as u16));
            }
            Some('b') => units.push(0x8),
            Some('f') => units.push(0xc),
            Some('n') => units.push(0xa),
            Some('r') => units.push(0xd),
            Some('t') => units.push(0x9),
            other => units.extend(other.map(|plain| plain as u16)),
        }
    }
    units
}
