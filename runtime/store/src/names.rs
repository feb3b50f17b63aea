//! What an id, a name or a text must be like before it reaches a statement.

use std::borrow::Cow;

use serde_json::Value;

use crate::error::StoreError;

/// Longest id, in bytes: what MySQL's keys hold.
pub(crate) const ID_MAX: usize = 255;

/// Whether an id can name a row. Servers cut or refuse NUL, and MySQL ignores blanks at the end when it compares,
/// so that ids of that kind would name another row or fail.
pub(crate) fn can_name(id: &str) -> bool {
    !id.is_empty() && id.len() <= ID_MAX && !id.contains('\0') && !id.ends_with(' ')
}

/// An id that a caller chose for a new row.
pub(crate) fn new_id(what: &'static str, id: &str) -> Result<(), StoreError> {
    if can_name(id) && !id.chars().any(char::is_control) {
        return Ok(());
    }
    Err(StoreError::Invalid(format!(
        "`{}` is no {what}; it needs 1 to {ID_MAX} bytes without control characters or a blank at the end",
        id.chars().take(80).flat_map(char::escape_default).collect::<String>()
    )))
}

/// Text without NUL characters, which upstream strips as well and PostgreSQL refuses.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "")) } else { Cow::Borrowed(text) }
}

/// The same for all text in a document.
pub(crate) fn clean_json(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(cleaned) = clean(text) {
                *text = cleaned;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(clean_json),
        Value::Object(fields) => {
            if fields.keys().any(|key| key.contains('\0')) {
                *fields = std::mem::take(fields)
                    .into_iter()
                    .map(|(key, value)| (key.replace('\0', ""), value))
                    .collect();
            }
            fields.values_mut().for_each(clean_json);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// JSON text from a guest, as a value without NUL.
pub(crate) fn parse_json(field: &'static str, text: &str) -> Result<Value, StoreError> {
    let mut value = serde_json::from_str(text)
        .map_err(|error| StoreError::Invalid(format!("`{field}` is not JSON: {error}")))?;
    clean_json(&mut value);
    Ok(value)
}

/// JSON text from a guest that must be an array.
pub(crate) fn parse_array(field: &'static str, text: &str) -> Result<Value, StoreError> {
    match parse_json(field, text)? {
        array @ Value::Array(_) => Ok(array),
        _ => Err(StoreError::Invalid(format!("`{field}` is not a JSON array"))),
    }
}

/// A text that changes when any of the parts does.
pub(crate) fn version<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().to_hex().chars().take(32).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn ids_that_could_name_another_row_name_none() {
        for bad in ["", "a ", "a\0", &"a".repeat(256)] {
            assert!(!can_name(bad), "{bad:?}");
        }
        assert!(can_name("a b") && can_name("ä") && can_name("'; DROP TABLE chat; --"));
        assert!(new_id("message id", "a\n").is_err());
    }

    #[test]
    fn nul_goes_from_texts_and_documents() {
        assert_eq!(clean("a\0b"), "ab");
        let value = parse_array("files", r#"[{"a\u0000":"b\u0000c"}, 1]"#).unwrap();
        assert_eq!(value.to_string(), r#"[{"a":"bc"},1]"#);
        assert!(parse_array("files", "{}").is_err());
        assert!(parse_array("files", "[").is_err());
    }

    #[test]
    fn a_version_tells_parts_apart() {
        assert_ne!(version([b"ab".as_slice(), b"c"]), version([b"a".as_slice(), b"bc"]));
        assert_eq!(version([b"a".as_slice()]).len(), 32);
    }
}
