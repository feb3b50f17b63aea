//! The lists of a message (`files`, `sources`, `embeds`, `status_history`) and what is stored of them at most.
//! Events make them grow without end, and every list is read with each message of its chat.

use innkeeper_model::json::{MAX_VALUES, check_up_to};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::error::StoreError;
use crate::names::clean_json;

/// Bytes that a list may have: all four of a message are little more than half of a chat, and leave room for its text.
pub(super) const BYTES_MAX: usize = 2 << 20;

/// A list while events are added to it, as text, so that what is stored is never taken apart.
pub(super) struct List {
    column: &'static str,
    /// None as long as no event changed it.
    items: Option<Vec<Item>>,
}

struct Item {
    text: Box<RawValue>,
    /// Bytes of its text and the comma after it.
    bytes: usize,
    values: usize,
}

/// Refuses a list that is longer than what is stored of one.
pub(super) fn check(column: &'static str, array: &RawValue) -> Result<(), StoreError> {
    let fits = array.get().len() <= BYTES_MAX && check_up_to(array.get(), MAX_VALUES).is_ok();
    if fits {
        return Ok(());
    }
    Err(StoreError::Invalid(format!(
        "`{column}` has more than {} MiB or {MAX_VALUES} values; store what is large as a file, and name the file",
        BYTES_MAX >> 20
    )))
}

impl List {
    pub(super) fn new(column: &'static str) -> Self {
        Self { column, items: None }
    }

    /// Adds to what is there, or, with `replace`, to nothing.
    pub(super) fn extend(
        &mut self,
        stored: Option<&str>,
        replace: bool,
        new: impl IntoIterator<Item = Value>,
    ) {
        let items = self.items.get_or_insert_with(|| {
            let stored = stored.and_then(|text| serde_json::from_str::<Vec<Box<RawValue>>>(text).ok());
            stored.unwrap_or_default().into_iter().filter_map(Item::of).collect()
        });
        if replace {
            items.clear();
        }
        for mut value in new {
            clean_json(&mut value);
            items.extend(to_raw_value(&value).ok().and_then(Item::of));
        }
    }

    /// What is stored; none where no event changed it. Of statuses that are the latest that fit. Of everything else it is
    /// the first ones: texts refer to sources by their number.
    pub(super) fn finish(self) -> Option<(&'static str, Box<RawValue>)> {
        let items = self.items?;
        let kept = match self.column {
            "status_history" => {
                let left_out = items.len() - fitting(items.iter().rev());
                items.get(left_out..)
            }
            _ => items.get(..fitting(items.iter())),
        };
        let kept = kept.unwrap_or_default();
        if kept.len() < items.len() {
            let left_out = items.len() - kept.len();
            tracing::debug!(list = self.column, left_out, "a message has more than is stored of it");
        }
        let texts: Vec<&RawValue> = kept.iter().map(|item| &*item.text).collect();
        Some((self.column, to_raw_value(&texts).ok()?))
    }
}

impl Item {
    /// None for what alone is more than a list may hold.
    fn of(text: Box<RawValue>) -> Option<Self> {
        let values = check_up_to(text.get(), MAX_VALUES).ok()?;
        let bytes = text.get().len() + 1;
        (bytes < BYTES_MAX).then_some(Self { text, bytes, values })
    }
}

/// How many items fit into a list.
fn fitting<'a>(items: impl Iterator<Item = &'a Item>) -> usize {
    // The brackets, and the array itself.
    let (mut bytes, mut values) = (2_usize, 1_usize);
    let fits = |item: &&Item| {
        bytes = bytes.saturating_add(item.bytes);
        values = values.saturating_add(item.values);
        bytes <= BYTES_MAX && values <= MAX_VALUES
    };
    items.take_while(fits).count()
}
